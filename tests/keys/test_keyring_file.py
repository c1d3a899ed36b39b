"""The keyring on disk: closed to others, whole after a crash, and one for all processes."""

import asyncio
import fcntl
import multiprocessing
import os
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr, ValidationError

from intelgraph import errors
from intelgraph._core import Keystore, Secret, TenantKey, Unlock
from intelgraph.keys import private_file, unlocking
from intelgraph.keys.keyring_file import KeyringFile
from intelgraph.keys.local import LocalProvider
from intelgraph.keys.provider import (
    Denial,
    Denied,
    KekDescription,
    KekState,
    KeyContext,
    NotFound,
    Unauthentic,
    Unreachable,
    UnwrapRequest,
    Wrapped,
    WrapRequest,
)
from intelgraph.keys.settings import KeySettings, LocalKeyringSettings
from tests.keys.gateway import keyring

LOCAL = LocalKeyringSettings()


async def test_first_start_makes_a_private_keyring_and_key_file(key_directory: Path) -> None:
    await LocalProvider.open(LOCAL, key_directory)
    assert _mode(key_directory) == 0o700
    assert _modes(key_directory) == {
        "keyring.sealed": 0o600,
        "keyring.sealed.lock": 0o600,
        "keyring.key": 0o600,
    }
    assert len((key_directory / "keyring.key").read_bytes()) == 32


async def test_a_change_keeps_the_file_private_whatever_the_umask(key_directory: Path) -> None:
    before = os.umask(0)
    try:
        provider = await LocalProvider.open(LOCAL, key_directory)
        await provider.provision(uuid4())
    finally:
        os.umask(before)
    assert {*_modes(key_directory).values()} == {0o600}


async def test_a_tenants_kek_outlives_the_process(key_directory: Path) -> None:
    tenant_id, key_id = uuid4(), uuid4()
    first = await LocalProvider.open(LOCAL, key_directory)
    assert await first.provision(tenant_id) is None
    wrapped = await _wrapped(first, tenant_id, key_id)
    assert (wrapped.kek_id, wrapped.kek_version) == (f"local:{tenant_id}", "1")
    second = await LocalProvider.open(LOCAL, key_directory)
    assert isinstance(await _unwrapped(second, tenant_id, key_id, wrapped), Secret)


async def test_answers_are_for_each_item(key_directory: Path) -> None:
    provider = await LocalProvider.open(LOCAL, key_directory)
    ids = [uuid4() for _ in range(4)]
    for tenant_id in ids[:3]:
        await provider.provision(tenant_id)
    key_id = uuid4()
    rows = [await _wrapped(provider, tenant_id, key_id) for tenant_id in ids[:3]]
    with keyring(key_directory).changing() as held:
        held.disable(ids[1].bytes, 1)
        held.destroy(ids[2].bytes, 1)
    answers = await provider.unwrap(
        [
            UnwrapRequest(KeyContext(ids[0], key_id), rows[0]),
            UnwrapRequest(KeyContext(ids[1], key_id), rows[1]),
            UnwrapRequest(KeyContext(ids[2], key_id), rows[2]),
            UnwrapRequest(KeyContext(ids[3], key_id), rows[0]),
            UnwrapRequest(KeyContext(ids[0], uuid4()), rows[0]),
            UnwrapRequest(KeyContext(ids[0], key_id), Wrapped(b"rubbish", "", "")),
        ]
    )
    assert isinstance(answers[0], Secret)
    assert isinstance(answers[1], Denied)
    assert answers[1].denial is Denial.DISABLED
    assert isinstance(answers[2], Denied)
    assert answers[2].denial is Denial.DESTROYED
    assert isinstance(answers[3], NotFound)
    assert isinstance(answers[4], Unauthentic)
    assert isinstance(answers[5], Unauthentic)


async def test_a_disabled_or_destroyed_key_is_described_and_not_made_anew(key_directory: Path) -> None:
    provider = await LocalProvider.open(LOCAL, key_directory)
    tenant_id = uuid4()
    assert isinstance(await provider.describe(tenant_id), NotFound)
    await provider.provision(tenant_id)
    for change, state in (("disable", KekState.DISABLED), ("destroy", KekState.DESTROYED)):
        with keyring(key_directory).changing() as held:
            getattr(held, change)(tenant_id.bytes, 1)
        await provider.provision(tenant_id)
        assert await provider.describe(tenant_id) == KekDescription(f"local:{tenant_id}", "1", state)
        answer = (await provider.wrap([WrapRequest(KeyContext(tenant_id, uuid4()), _secret())]))[0]
        assert isinstance(answer, Denied)


# -- what unlocks it ---------------------------------------------------------------------------------------


async def test_a_passphrase_by_setting_or_file(key_directory: Path, tmp_path: Path) -> None:
    by_setting = LocalKeyringSettings(passphrase=SecretStr("correct horse"))
    await LocalProvider.open(by_setting, key_directory)
    assert not (key_directory / "keyring.key").exists()
    file = tmp_path / "passphrase"
    file.write_bytes(b"correct horse\n")
    file.chmod(0o440)  # as an orchestrator mounts it
    await LocalProvider.open(LocalKeyringSettings(passphrase_file=file), key_directory)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (LocalKeyringSettings(passphrase=SecretStr("correct house")), "KEYRING_UNLOCK_WRONG"),
        (LocalKeyringSettings(passphrase=SecretStr("")), "KEYRING_UNLOCK_UNFIT"),
        (LOCAL, "KEYRING_UNLOCK_MISSING"),
        (LocalKeyringSettings(key_file=Path("/nowhere/key")), "KEYRING_UNLOCK_MISSING"),
        (LocalKeyringSettings(passphrase_file=Path("/nowhere/pass")), "KEYRING_UNLOCK_MISSING"),
        (LocalKeyringSettings(passphrase_prompt=True), "KEYRING_PASSPHRASE_NOT_ASKED"),
    ],
)
async def test_what_does_not_unlock_it_is_named(
    key_directory: Path, settings: LocalKeyringSettings, reason: str
) -> None:
    await LocalProvider.open(LocalKeyringSettings(passphrase=SecretStr("correct horse")), key_directory)
    before = (key_directory / "keyring.sealed").read_bytes()
    with pytest.raises(errors.FailedPrecondition) as caught:
        await LocalProvider.open(settings, key_directory)
    assert caught.value.reason == reason
    assert caught.value.fix
    assert (key_directory / "keyring.sealed").read_bytes() == before
    assert not (key_directory / "keyring.key").exists(), "nothing was made beside it"


async def test_another_key_file_or_kind_does_not_unlock_it(key_directory: Path) -> None:
    await LocalProvider.open(LOCAL, key_directory)
    await _refused(LocalKeyringSettings(passphrase=SecretStr("a")), key_directory, "KEYRING_UNLOCK_KIND")
    key_file = key_directory / "keyring.key"
    for content, reason in (
        (bytes(32), "KEYRING_UNLOCK_WRONG"),
        (bytes(31), "KEYRING_UNLOCK_UNFIT"),
        (b"", "KEYRING_UNLOCK_UNFIT"),
    ):
        key_file.write_bytes(content)
        await _refused(LOCAL, key_directory, reason)
    key_file.unlink()
    await _refused(LOCAL, key_directory, "KEYRING_UNLOCK_MISSING")


async def test_a_named_key_file_is_never_made(key_directory: Path, tmp_path: Path) -> None:
    settings = LocalKeyringSettings(key_file=tmp_path / "stick" / "key")
    await _refused(settings, key_directory, "KEYRING_UNLOCK_MISSING")
    assert not (key_directory / "keyring.sealed").exists()


@pytest.mark.parametrize("name", ["keyring.sealed", "keyring.key"])
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
async def test_a_file_that_others_may_use_is_refused(key_directory: Path, name: str, mode: int) -> None:
    await LocalProvider.open(LOCAL, key_directory)
    (key_directory / name).chmod(mode)
    await _refused(LOCAL, key_directory, "KEYRING_EXPOSED")


def test_two_ways_to_unlock_are_refused_by_the_settings() -> None:
    with pytest.raises(ValidationError, match="key_file and passphrase are set"):
        LocalKeyringSettings(key_file=Path("k"), passphrase=SecretStr("p"))
    assert "hunter2" not in repr(LocalKeyringSettings(passphrase=SecretStr("hunter2")))


def test_the_prompt_asks_once_and_twice_for_a_new_one(
    key_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = KeySettings(local=LocalKeyringSettings(passphrase_prompt=True))
    typed = iter(["new", "new", "new", "other", "old"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked = unlocking.with_passphrase_asked(settings, key_directory)
    assert asked.local.passphrase == SecretStr("new")
    assert not asked.local.passphrase_prompt
    with pytest.raises(errors.FailedPrecondition) as caught:
        unlocking.with_passphrase_asked(settings, key_directory)
    assert caught.value.reason == "KEYRING_PASSPHRASE_DIFFERS"
    key_directory.mkdir()
    (key_directory / "keyring.sealed").touch()
    assert unlocking.with_passphrase_asked(settings, key_directory).local.passphrase == SecretStr("old")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(errors.FailedPrecondition) as caught:
        unlocking.with_passphrase_asked(settings, key_directory)
    assert caught.value.reason == "KEYRING_PASSPHRASE_NOT_ASKED"
    assert unlocking.with_passphrase_asked(KeySettings(), key_directory) == KeySettings()


# -- damage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (0, "KEYRING_FORMAT_UNKNOWN"),
        (8, "KEYRING_VERSION_UNKNOWN"),
        (9, "KEYRING_PARAMETERS"),
        (30, "KEYRING_UNLOCK_WRONG"),
        (-1, "KEYRING_CORRUPT"),
    ],
)
async def test_a_tampered_file_is_named_for_what_it_is(key_directory: Path, place: int, reason: str) -> None:
    provider = await LocalProvider.open(LOCAL, key_directory)
    await provider.provision(uuid4())
    path = key_directory / "keyring.sealed"
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)
    await _refused(LOCAL, key_directory, reason)


async def test_a_truncated_file_is_refused_and_kept(key_directory: Path) -> None:
    provider = await LocalProvider.open(LOCAL, key_directory)
    await provider.provision(uuid4())
    path = key_directory / "keyring.sealed"
    whole = path.read_bytes()
    for length in (0, 5, 50, len(whole) - 1):
        path.write_bytes(whole[:length])
        await _refused(LOCAL, key_directory, "KEYRING_TRUNCATED")
        assert path.read_bytes() == whole[:length], "it is evidence, and may be all that is left"


async def test_a_file_that_breaks_while_it_is_in_use_is_a_kms_that_is_away(key_directory: Path) -> None:
    """No answer, and so no denial either: what it granted runs to its end."""
    provider = await LocalProvider.open(LOCAL, key_directory)
    tenant_id, key_id = uuid4(), uuid4()
    await provider.provision(tenant_id)
    wrapped = await _wrapped(provider, tenant_id, key_id)
    path = key_directory / "keyring.sealed"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert isinstance(await _unwrapped(provider, tenant_id, key_id, wrapped), Unreachable)
    path.unlink()
    assert isinstance(await _unwrapped(provider, tenant_id, key_id, wrapped), Unreachable)
    assert isinstance(await provider.provision(uuid4()), Unreachable)
    path.write_bytes(whole)
    path.chmod(0o600)
    assert isinstance(await _unwrapped(provider, tenant_id, key_id, wrapped), Secret)


async def test_a_change_that_cannot_be_written_was_not_made(
    key_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await LocalProvider.open(LOCAL, key_directory)
    tenant_id = uuid4()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert isinstance(await provider.provision(tenant_id), Unreachable)
    assert {*_modes(key_directory)} == {"keyring.sealed", "keyring.sealed.lock", "keyring.key"}
    # The KEK that was made in memory must not wrap: nothing on disk could ever unwrap it.
    assert isinstance(await provider.describe(tenant_id), NotFound)
    assert await provider.provision(tenant_id) is None


async def test_what_a_killed_process_left_behind_does_no_harm(key_directory: Path) -> None:
    provider = await LocalProvider.open(LOCAL, key_directory)
    (key_directory / "keyring.sealed.new").write_bytes(b"half a keyr")
    tenant_id = uuid4()
    assert await provider.provision(tenant_id) is None
    assert not (key_directory / "keyring.sealed.new").exists()
    assert isinstance(
        await (await LocalProvider.open(LOCAL, key_directory)).describe(tenant_id), KekDescription
    )


# -- several processes -------------------------------------------------------------------------------------


def _provision_many(directory: str, tenant_ids: list[UUID]) -> None:
    async def provision() -> None:
        provider = await LocalProvider.open(LOCAL, Path(directory))
        for tenant_id in tenant_ids:
            assert await provider.provision(tenant_id) is None

    asyncio.run(provision())


async def test_processes_that_start_and_change_at_once_lose_nothing(key_directory: Path) -> None:
    spawning = multiprocessing.get_context("spawn")
    shared = [uuid4() for _ in range(4)]
    own = [[uuid4() for _ in range(4)] for _ in range(3)]
    processes = [
        spawning.Process(target=_provision_many, args=(str(key_directory), [*shared, *mine])) for mine in own
    ]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode == 0
    with keyring(key_directory).reading() as held:
        for tenant_id in [*shared, *own[0], *own[1], *own[2]]:
            assert [each.number for each in held.versions(tenant_id.bytes)] == [1]


async def test_another_process_change_is_noticed_at_the_next_call(key_directory: Path) -> None:
    one = await LocalProvider.open(LOCAL, key_directory)
    other = await LocalProvider.open(LOCAL, key_directory)
    tenant_id, key_id = uuid4(), uuid4()
    await one.provision(tenant_id)
    wrapped = await _wrapped(other, tenant_id, key_id)
    with keyring(key_directory).changing() as held:
        held.disable(tenant_id.bytes, 1)
    for provider in (one, other):
        assert isinstance(await _unwrapped(provider, tenant_id, key_id, wrapped), Denied)


async def test_a_lock_that_another_process_keeps_is_not_waited_for_long(
    key_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_file, "LOCK_PATIENCE_SECONDS", 0.1)
    provider = await LocalProvider.open(LOCAL, key_directory)
    descriptor = os.open(key_directory / "keyring.sealed.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert isinstance(await provider.provision(uuid4()), Unreachable)
    assert isinstance(await provider.describe(uuid4()), NotFound), "reading needs no lock"
    os.close(descriptor)
    assert await provider.provision(uuid4()) is None


def test_a_block_that_raises_changes_nothing(key_directory: Path) -> None:
    key_directory.mkdir(mode=0o700)
    path, tenant_id = key_directory / "keyring.sealed", uuid4()
    unlock = Unlock.key_file(bytes(32))
    KeyringFile.create(path, unlock)
    file = KeyringFile(path, unlock)
    before = path.read_bytes()

    def change_and_fail() -> None:
        with file.changing() as held:
            held.create_kek(tenant_id.bytes, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert path.read_bytes() == before
    with file.reading() as held:
        assert held.versions(tenant_id.bytes) == []


def _secret() -> Secret:
    return TenantKey.generate(uuid4().bytes, Keystore.tick()).secret()


async def _wrapped(provider: LocalProvider, tenant_id: UUID, key_id: UUID) -> Wrapped:
    (answer,) = await provider.wrap([WrapRequest(KeyContext(tenant_id, key_id), _secret())])
    assert isinstance(answer, Wrapped)
    return answer


async def _unwrapped(provider: LocalProvider, tenant_id: UUID, key_id: UUID, wrapped: Wrapped) -> object:
    (answer,) = await provider.unwrap([UnwrapRequest(KeyContext(tenant_id, key_id), wrapped)])
    return answer


async def _refused(settings: LocalKeyringSettings, directory: Path, reason: str) -> None:
    with pytest.raises(errors.FailedPrecondition) as caught:
        await LocalProvider.open(settings, directory)
    assert caught.value.reason == reason


def _modes(directory: Path) -> dict[str, int]:
    return {path.name: _mode(path) for path in directory.iterdir()}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
