"""Key bytes are nowhere but in the core: not in logs, errors, metrics, reprs, pickles, tables or files."""

import base64
import copy
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from intelgraph import errors
from intelgraph._core import TenantKey, Unlock
from intelgraph.gateway import logs
from intelgraph.keys import service
from intelgraph.keys.local import LocalProvider
from intelgraph.keys.provider import KeyContext, WrapRequest
from intelgraph.keys.settings import LocalKeyringSettings
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import Gateway, dek_ids_of, keyring
from tests.keys.independent_reader import secrets_of


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """The gateway's own log, at its most talkative."""
    handlers, level = list(logging.root.handlers), logging.root.level
    logs.configure("debug")
    yield capsys
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


async def test_key_bytes_are_nowhere(
    start: StartGateway,
    tenant: Tenant,
    database: Database,
    key_directory: Path,
    log: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "UPKEEP_SECONDS", 0.02)
    gateway = await start()
    shown: list[str] = []
    await gateway.keys.ensure_seal_slot(tenant, 1)
    dek_ids = await dek_ids_of(database, tenant)
    reader = await start()
    await reader.keys.load(tenant, dek_ids)
    secrets = await secrets_of(database, key_directory, tenant.tenant_id)

    for each in (gateway, reader):
        shown += _shown_by(each, tenant, key_directory)
        # Every way to fail.
        with keyring(key_directory).changing() as held:
            held.disable(tenant.tenant_id.bytes, 1)
        await each.keys._leases.renew([each.keys._custodies[tenant.tenant_id]])
        with pytest.raises(errors.PermissionDenied) as denied:
            await each.keys.load(tenant, dek_ids)
        each.kms.breaks = True
        each.keys._custodies[tenant.tenant_id].refused = None
        with pytest.raises(errors.Unavailable) as unavailable:
            await each.keys.authorise(tenant)
        for error in (denied.value, unavailable.value):
            shown += [repr(error), str(error), str(errors.to_status(error))]
        with keyring(key_directory).changing() as held:
            held.enable(tenant.tenant_id.bytes, 1)
        shown += _shown_by(each, tenant, key_directory)

    written = log.readouterr().err
    assert "the KMS denies a tenant" in written
    assert "data key in use" in written
    places = {
        "the log": written.encode(),
        "metrics": generate_latest(),
        "what is shown": "\n".join(shown).encode(),
        "tables": await _tables(database, tenant.tenant_id),
        "the keyring": (key_directory / "keyring.sealed").read_bytes(),
    }
    key_file = (key_directory / "keyring.key").read_bytes()
    names = secrets.all(tenant.tenant_id) | {"the key file": key_file}
    assert len(names) >= 8
    for name, secret in names.items():
        assert len(secret) == 32
        for place, content in places.items():
            assert not any(form in content for form in _forms(secret)), f"{name} is in {place}"


async def test_a_passphrase_is_nowhere(key_directory: Path, log: pytest.CaptureFixture[str]) -> None:
    planted = "planted-passphrase-7391"
    settings = LocalKeyringSettings(passphrase=SecretStr(planted))
    await LocalProvider.open(settings, key_directory)
    wrong = LocalKeyringSettings(passphrase=SecretStr(planted + "!"))
    with pytest.raises(errors.FailedPrecondition) as caught:
        await LocalProvider.open(wrong, key_directory)
    shown = repr(settings) + str(wrong) + settings.model_dump_json() + repr(caught.value) + str(caught.value)
    for path in key_directory.iterdir():  # noqa: ASYNC240 (two small files)
        assert planted.encode() not in path.read_bytes()
    assert planted not in shown + log.readouterr().err + generate_latest().decode()


async def test_handles_can_be_neither_pickled_nor_copied_nor_read(
    start: StartGateway, tenant: Tenant, key_directory: Path
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    for handle in _handles(gateway, tenant, key_directory):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            # Protocols 0 and 1 write the type's name, and nothing that could be loaded.
            with pytest.raises(TypeError):
                pickle.loads(pickle.dumps(handle, protocol))  # noqa: S301 (made here)
        with pytest.raises(TypeError):
            copy.copy(handle)
        with pytest.raises(TypeError):
            copy.deepcopy(handle)
        with pytest.raises(TypeError):
            memoryview(handle)  # type: ignore[arg-type] # that is the point
        with pytest.raises(TypeError):
            bytes(handle)  # type: ignore[call-overload] # that is the point
        with pytest.raises(AttributeError):
            handle.extra = 1  # type: ignore[attr-defined] # that is the point
        assert not hasattr(handle, "__dict__")


async def test_a_secret_is_used_once(tenant: Tenant) -> None:
    core_id = tenant.tenant_id.bytes
    key = TenantKey.generate(core_id, 0)
    secret = key.secret()
    TenantKey.load(core_id, key.key_id, 0, secret)
    with pytest.raises(ValueError, match="used up"):
        TenantKey.load(core_id, key.key_id, 0, secret)


def _handles(gateway: Gateway, tenant: Tenant, key_directory: Path) -> list[object]:
    """Everything of the core that has a key in it."""
    core_id = tenant.tenant_id.bytes
    key = TenantKey.generate(core_id, 0)
    with keyring(key_directory).reading() as held:
        return [
            key,
            key.secret(),
            gateway.keystore.generate_dek(core_id),
            gateway.keystore.generate_index_key(core_id),
            gateway.keystore,
            held,
            Unlock.key_file(bytes(32)),
        ]


def _shown_by(gateway: Gateway, tenant: Tenant, key_directory: Path) -> list[str]:
    """What a debugger, an f-string or a crash report would show."""
    shown: list[object] = [gateway, gateway.keys, gateway.settings, gateway.kms, *vars(gateway.keys).values()]
    custody = gateway.keys._custodies[tenant.tenant_id]
    shown += [custody, custody.sealing, *custody.tenant_keys.values()]
    for row in custody.tenant_keys.values():
        shown += [row.to_unwrap(), row.wrapped]
    if gateway.lease(tenant) is not None:
        shown += _handles(gateway, tenant, key_directory)
        key = TenantKey.generate(tenant.tenant_id.bytes, 0)
        shown.append(WrapRequest(KeyContext(tenant.tenant_id, UUID(bytes=key.key_id)), key.secret()))
    return [form(each) for each in shown for form in (repr, str)]


async def _tables(database: Database, tenant_id: UUID) -> bytes:
    content = b""
    async with database.read(tenant_id) as connection:
        for table in ("tenant_key", "data_key", "index_key"):
            rows = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 (own list)
            assert rows
            content += b"".join(value for row in rows for value in row.values() if isinstance(value, bytes))
    return content


def _forms(secret: bytes) -> Iterator[bytes]:
    """The bytes as they may be written somewhere."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield repr(secret)[2:-1].encode()
    yield str(list(secret))[1:-1].encode()
    # Base64 in the three ways in which the bytes can stand within something longer.
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + secret)[4 if lead else 0 : -4]
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))
