"""Client verbs find the gateway of this host where its settings put it."""

from pathlib import Path

import pytest
import typer

from intelgraph.cli.app import main
from intelgraph.cli.local_gateway import LocalGateway
from intelgraph.gateway.local_identity import LocalIssuer

DEFAULT = "127.0.0.1:7443"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "SERVER", "DATA_DIR", "GRPC__HOST", "GRPC__PORT"):
        monkeypatch.delenv(f"INTELGRAPH_{name}", raising=False)


def test_nothing_set() -> None:
    gateway = LocalGateway.configured()
    assert (gateway.address(DEFAULT), gateway.data_dir) == (DEFAULT, None)


@pytest.mark.parametrize(
    ("grpc", "address"),
    [
        ("port = 8443", "127.0.0.1:8443"),
        ("port = 0", DEFAULT),
        ('host = "0.0.0.0"', DEFAULT),
        ('host = "::"\nport = 8443', "[::1]:8443"),
        ('host = "gateway.example"', "gateway.example:7443"),
    ],
)
def test_address_of_the_file(grpc: str, address: str) -> None:
    Path("intelgraph.toml").write_text(f"[grpc]\n{grpc}\n")
    assert LocalGateway.configured().address(DEFAULT) == address


def test_variables_win_over_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("intelgraph.toml").write_text("[grpc]\nport = 1\n")
    Path("named.toml").write_text('data_dir = "named"\n[grpc]\nport = 2\n')
    monkeypatch.setenv("INTELGRAPH_CONFIG", "named.toml")
    gateway = LocalGateway.configured()
    assert (gateway.address(DEFAULT), gateway.data_dir) == ("127.0.0.1:2", Path("named"))
    monkeypatch.setenv("INTELGRAPH_GRPC__PORT", "3")
    assert LocalGateway.configured().address(DEFAULT) == "127.0.0.1:3"


def test_verb_goes_by_the_file_unless_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LocalIssuer.ensure(tmp_path / "kept")
    Path("intelgraph.toml").write_text('data_dir = "kept"\n')
    with pytest.raises(SystemExit) as minted:
        main(["token", "--role", "analyst"])
    assert minted.value.code == 0
    with pytest.raises(SystemExit) as refused:
        main(["token", "--role", "analyst", "--data-dir", "other"])
    assert refused.value.code == 2
    assert "other" in capsys.readouterr().err


def test_file_that_cannot_be_read() -> None:
    Path("intelgraph.toml").write_text("not toml")
    with pytest.raises(typer.BadParameter, match="config check"):
        LocalGateway.configured()
    with pytest.raises(SystemExit) as ended:
        main(["config", "check"])
    assert ended.value.code == 64
