"""Settings: where they come from, what is refused, and that every refusal names the setting and the fix."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from intelgraph.gateway.settings import ConfigurationError, Settings, is_loopback, load_settings
from intelgraph.gateway.settings_check import check_files
from tests.gateway.pki import Authority
from tests.gateway.token_issuer import TokenIssuer


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No intelgraph.toml is around unless the test writes one."""
    monkeypatch.chdir(tmp_path)


def refused(flags: dict[str, Any], file: Path | None = None) -> list[tuple[str, str]]:
    """The wrong settings by name."""
    with pytest.raises(ConfigurationError) as error:
        load_settings(flags, file)
    return [(wrong.name, wrong.problem) for wrong in error.value.wrong]


def test_defaults_need_nothing() -> None:
    settings = load_settings({})
    assert settings.grpc.host == settings.http.host == "127.0.0.1"
    assert (settings.grpc.port, settings.http.port) == (7443, 7480)
    assert settings.storage.embedded
    assert settings.local_identity


def test_flags_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "intelgraph.toml").write_text(
        'data_dir = "from-file"\ndrain_s = 1\n[grpc]\nport = 1001\nhost = "::1"\n'
    )
    monkeypatch.setenv("INTELGRAPH_GRPC__PORT", "1002")
    monkeypatch.setenv("INTELGRAPH_DRAIN_S", "2")
    settings = load_settings({"drain_s": 3})
    assert settings.data_dir == Path("from-file")
    assert (settings.grpc.host, settings.grpc.port, settings.drain_s) == ("::1", 1002, 3)


def test_named_file_is_read_instead(tmp_path: Path) -> None:
    (tmp_path / "intelgraph.toml").write_text("workers = 2\n")
    named = tmp_path / "named.toml"
    named.write_text("workers = 3\n")
    assert load_settings({}).workers == 2
    assert load_settings({}, named).workers == 3


@pytest.mark.parametrize(
    ("flags", "name", "says"),
    [
        ({"grpc": {"port": 70_000}}, "grpc.port", "65535"),
        ({"workers": 0}, "workers", "greater than or equal to 1"),
        ({"platform_tenant": "Not A Name"}, "platform_tenant", "match"),
        ({"log_level": "loud"}, "log_level", "'debug', 'info'"),
        ({"grpc": {"prot": 1}}, "grpc.prot", "did you mean port?"),
        ({"grcp": {}}, "grcp", "did you mean grpc?"),
        ({"tls": {"certificate": "c.pem"}}, "tls", "set both or none"),
        ({"tls": {"client_ca": "ca.pem"}}, "tls", "needs certificate and key"),
        ({"tls": {"certificate": "c", "key": "k", "client_ca": "a"}}, "tls", "set trust_domain"),
        ({"auth": {"jwks": "http://id.example/jwks"}}, "auth.jwks", "https://"),
        ({"auth": {"jwks": "ftp://id.example/jwks"}}, "auth.jwks", "https://"),
        ({"auth": {"leeway_s": 301}}, "auth.leeway_s", "300"),
        ({"storage": {"owner_dsn": "postgresql://x"}}, "storage", "all three roles"),
    ],
)
def test_wrong_setting_is_named(flags: dict[str, Any], name: str, says: str) -> None:
    ((named, problem),) = refused(flags)
    assert named == name
    assert says in problem


def test_all_wrong_settings_are_named_at_once() -> None:
    assert {name for name, _ in refused({"workers": 0, "drain_s": -1})} == {"workers", "drain_s"}


def test_refusal_says_where_the_setting_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTELGRAPH_GRPC__PORT", "70000")
    assert "the variable INTELGRAPH_GRPC__PORT" in refused({})[0][1]
    monkeypatch.delenv("INTELGRAPH_GRPC__PORT")
    file = tmp_path / "own.toml"
    file.write_text("[grpc]\nport = 70000\n")
    assert "own.toml" in refused({}, file)[0][1]


def test_misspelt_variable_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTELGRAPH_WROKERS", "4")
    ((name, problem),) = refused({})
    assert name == "INTELGRAPH_WROKERS"
    assert "did you mean INTELGRAPH_WORKERS?" in problem


def test_variables_of_the_client_are_not_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVER", "TOKEN", "CONFIG", "CA", "CERTIFICATE", "KEY", "TENANT"):
        monkeypatch.setenv(f"INTELGRAPH_{name}", "x")
    load_settings({})


def test_secrets_are_neither_printed_nor_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "postgresql://user:hunter2@host/db"
    roles = {f"{role}_dsn": secret for role in ("owner", "writer", "reader")}
    settings = load_settings({"storage": roles})
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    problem = refused({"storage": {"owner_dsn": secret, "writer_connections": "hunter2"}})
    assert "hunter2" not in str(problem)
    monkeypatch.setenv("INTELGRAPH_STORAGE", "hunter2")
    assert "hunter2" not in str(refused({}))


def test_file_that_is_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[grpc\n")
    assert refused({}, file)[0][0] == "config"
    assert refused({}, tmp_path / "missing.toml")[0][0] == "config"


def test_settings_reach_worker_processes() -> None:
    roles = {f"{role}_dsn": f"postgresql://{role}" for role in ("owner", "writer", "reader")}
    settings = load_settings({"workers": 2, "storage": roles})
    arrived = pickle.loads(pickle.dumps(settings))  # noqa: S301 - what multiprocessing does
    assert type(arrived) is Settings
    assert arrived.storage.owner_dsn is not None
    assert arrived.storage.owner_dsn.get_secret_value() == "postgresql://owner"
    assert arrived == settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    load_settings({"grpc": {"host": host}, "http": {"host": host}})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example", "", "127.0.0.1.example"])
def test_beyond_loopback_needs_tls_and_authentication(host: str) -> None:
    assert not is_loopback(host)
    ((_, problem),) = refused({"grpc": {"host": host}})
    assert "set tls.certificate" in problem
    tls = {"certificate": "c.pem", "key": "k.pem"}
    ((_, problem),) = refused({"grpc": {"host": host}, "tls": tls})
    assert "set auth.jwks or tls.client_ca" in problem
    load_settings({"grpc": {"host": host}, "tls": tls, "auth": {"jwks": "jwks.json"}})
    mutual = tls | {"client_ca": "ca.pem", "trust_domain": "example.org"}
    load_settings({"grpc": {"host": host}, "tls": mutual})


def test_metrics_beyond_loopback_need_tokens() -> None:
    mutual = {"certificate": "c.pem", "key": "k.pem", "client_ca": "ca.pem", "trust_domain": "example.org"}
    ((_, problem),) = refused({"http": {"host": "0.0.0.0"}, "tls": mutual})
    assert "set auth.jwks" in problem
    load_settings({"http": {"host": "0.0.0.0"}, "tls": mutual, "auth": {"jwks": "https://id.example/jwks"}})


def test_files_are_checked_without_starting(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    one, two = authority.issue_server("one"), authority.issue_server("two")
    jwks = TokenIssuer().write_key_set(tmp_path / "jwks.json")
    check_files(load_settings({}))
    check_files(
        load_settings({"tls": {"certificate": one.certificate, "key": one.key}, "auth": {"jwks": str(jwks)}})
    )
    empty = tmp_path / "empty.json"
    empty.write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}]}')
    with pytest.raises(ConfigurationError) as refusal:
        check_files(
            load_settings(
                {"tls": {"certificate": one.certificate, "key": two.key}, "auth": {"jwks": str(empty)}}
            )
        )
    assert [wrong.name for wrong in refusal.value.wrong] == ["tls", "auth.jwks"]
    with pytest.raises(ConfigurationError, match=r"auth\.jwks"):
        check_files(load_settings({"auth": {"jwks": str(tmp_path / "missing.json")}}))
    check_files(load_settings({"auth": {"jwks": "https://id.example/jwks"}}))


def test_files_that_unlock_the_keyring_are_checked(tmp_path: Path) -> None:
    def wrong(setting: str, path: Path) -> str:
        with pytest.raises(ConfigurationError) as refusal:
            check_files(load_settings({"keys": {"local": {setting: str(path)}}}))
        (only,) = refusal.value.wrong
        assert only.name == f"keys.local.{setting}"
        return only.problem

    for setting in ("key_file", "passphrase_file"):
        assert "cannot be read" in wrong(setting, tmp_path / "missing")
    secret = tmp_path / "secret"
    secret.write_bytes(b"k" * 31)
    secret.chmod(0o600)
    assert "32 bytes" in wrong("key_file", secret)
    check_files(load_settings({"keys": {"local": {"passphrase_file": str(secret)}}}))
    secret.write_bytes(b"k" * 32)
    check_files(load_settings({"keys": {"local": {"key_file": str(secret)}}}))
    secret.chmod(0o644)
    assert "chmod 600" in wrong("key_file", secret)
    secret.write_bytes(b"\n")
    secret.chmod(0o600)
    assert "empty" in wrong("passphrase_file", secret)


def test_data_directory_is_checked_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(data_dir: Path) -> str:
        with pytest.raises(ConfigurationError) as refusal:
            check_files(load_settings({"data_dir": data_dir}))
        (only,) = refusal.value.wrong
        assert only.name == "data_dir"
        return only.problem

    check_files(load_settings({"data_dir": tmp_path / "new/data"}))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    assert "is not a directory" in wrong(tmp_path / "file")
    assert "is not a directory" in wrong(tmp_path / "file/data")
    (tmp_path / "open").mkdir(mode=0o755)
    assert "chmod 700" in wrong(tmp_path / "open")
    # Root, who may run the tests, writes wherever the disk can be written.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in wrong(tmp_path / "new/data")
