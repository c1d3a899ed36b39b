"""The data directory's own signing key."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from intelgraph.cli.app import main
from intelgraph.errors import FailedPrecondition, Unauthenticated
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.gateway.token_keys import KeyFile
from intelgraph.gateway.tokens import TokenVerifier


def verifier(data_dir: Path) -> TokenVerifier:
    return TokenVerifier(KeyFile(LocalIssuer.public_keys(data_dir)), "intelgraph")


async def test_minted_token_holds(tmp_path: Path) -> None:
    token = LocalIssuer.ensure(tmp_path).mint(
        "local", ["connector", "analyst"], subject="ada", audience="intelgraph"
    )
    claims = await verifier(tmp_path).verify(token)
    assert (claims.tenant, claims.subject) == ("local", "ada")
    assert claims.roles == {"analyst", "connector"}


async def test_key_is_made_once(tmp_path: Path) -> None:
    first = LocalIssuer.ensure(tmp_path).mint("local", [], subject="ada", audience="intelgraph")
    LocalIssuer.ensure(tmp_path)
    await verifier(tmp_path).verify(first)
    later = LocalIssuer.open(tmp_path).mint("local", [], subject="ada", audience="intelgraph")
    await verifier(tmp_path).verify(later)


async def test_key_of_another_directory_does_not_count(tmp_path: Path) -> None:
    LocalIssuer.ensure(tmp_path / "one")
    token = LocalIssuer.ensure(tmp_path / "two").mint("local", [], subject="eve", audience="intelgraph")
    with pytest.raises(Unauthenticated, match="TOKEN_KEY_UNKNOWN"):
        await verifier(tmp_path / "one").verify(token)


def test_nobody_else_may_read_the_key(tmp_path: Path) -> None:
    LocalIssuer.ensure(tmp_path)
    directory = tmp_path / "identity"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()] == [0o600, 0o600]
    assert b"PRIVATE" not in LocalIssuer.public_keys(tmp_path).read_bytes()
    assert b'"d"' not in LocalIssuer.public_keys(tmp_path).read_bytes()


def test_directory_that_no_gateway_has_used(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalIssuer.open(tmp_path)


async def test_public_set_follows_the_key(tmp_path: Path) -> None:
    lost = LocalIssuer.ensure(tmp_path).mint("local", [], subject="ada", audience="intelgraph")
    (tmp_path / "identity/local-signing-key.pem").unlink()
    token = LocalIssuer.ensure(tmp_path).mint("local", [], subject="ada", audience="intelgraph")
    await verifier(tmp_path).verify(token)
    with pytest.raises(Unauthenticated, match="TOKEN_KEY_UNKNOWN"):
        await verifier(tmp_path).verify(lost)

    LocalIssuer.public_keys(tmp_path).write_bytes(b"not a set")
    LocalIssuer.ensure(tmp_path)
    await verifier(tmp_path).verify(token)
    names = {path.name for path in (tmp_path / "identity").iterdir()}
    assert names == {"local-signing-key.pem", "local-jwks.json", "minted.jsonl"}


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_file_that_is_no_key(tmp_path: Path, content: bytes) -> None:
    LocalIssuer.ensure(tmp_path)
    (tmp_path / "identity/local-signing-key.pem").write_bytes(content)
    for use in (LocalIssuer.open, LocalIssuer.ensure):
        with pytest.raises(FailedPrecondition, match="LOCAL_KEY_UNUSABLE") as refused:
            use(tmp_path)
        assert refused.value.__context__ is None


def test_verb_without_a_usable_key_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LocalIssuer.ensure(tmp_path)
    (tmp_path / "identity/local-signing-key.pem").write_bytes(b"garbage")
    for verb in (["token", "--role", "analyst"], ["entity", "get", "people", "1"]):
        with pytest.raises(SystemExit) as ended:
            main([*verb, "--data-dir", str(tmp_path)])
        assert ended.value.code == 2
        assert "LOCAL_KEY_UNUSABLE" in capsys.readouterr().err


def _ensure(data_dir: Path) -> str:
    return LocalIssuer.ensure(data_dir)._kid


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert len(set(pool.map(_ensure, [tmp_path] * 8, chunksize=1))) == 1
