"""The snippets of the guides run as they stand, against a real gateway with the data they speak of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benches.__main__ import BENCHMARKS
from tests.e2e.gateway import TENANT, GatewayProcess

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "contracts" / "nycflights13"
DEFAULT_ADDRESS = '"127.0.0.1:7443"'

WEATHER = [
    b'{"origin":"%s","year":2013,"month":2,"day":%d,"hour":1,"temp":%d.5,"dewp":26.06,"humid":59.37,'
    b'"wind_dir":270,"wind_speed":10.3,"wind_gust":null,"precip":0,"pressure":1012,"visib":10,'
    b'"time_hour":"2013-02-%02dT06:00:00Z"}' % (origin, day, 30 + day, day)
    for origin in (b"EWR", b"JFK")
    for day in (8, 9)
]


def snippets(guide: str, language: str = "python") -> list[str]:
    text = (ROOT / "README.md" if guide == "README.md" else ROOT / "docs" / guide).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def stocked(gateway: GatewayProcess) -> GatewayProcess:
    with gateway.blocking_client() as client:
        for name in ("weather", "airlines"):
            client.contracts.put((CONTRACTS / f"{name}.json").read_bytes())
        with client.stream("weather", "guide-weather", producer="test") as stream:
            stream.send(WEATHER)
        with client.stream("airlines", "guide-airlines", producer="test") as stream:
            stream.send({"carrier": "9E", "name": "Endeavor Air Inc."})
    return gateway


def run_snippet(gateway: GatewayProcess, snippet: str, tokens: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", snippet.replace(DEFAULT_ADDRESS, repr(gateway.address))],
        env=os.environ | tokens,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("guide", ["README.md", "connectors.md", "services.md"])
def test_every_snippet_compiles(guide: str) -> None:
    found = snippets(guide)
    assert found
    for snippet in found:
        compile(snippet, guide, "exec")


def test_the_tenant_of_the_contracts_is_the_one_that_local_use_has() -> None:
    for document in CONTRACTS.glob("*.json"):
        assert f'"tenantId": "{TENANT}"' in document.read_text()


# Stands in a reader's PATH. Ends where a verb shows nothing, which a session in a guide never does.
INTELGRAPH = """#!/bin/sh
shown=$("$PYTHON" -m intelgraph "$@") || exit
[ -n "$shown" ] || { echo "shows nothing: $*" >&2; exit 99; }
printf '%s\\n' "$shown"
"""


def run_session(gateway: GatewayProcess, directory: Path, session: str) -> str:
    """What a reader sees who pastes the session into a shell; the first command that fails ends it."""
    command = directory / "bin" / "intelgraph"
    command.parent.mkdir(parents=True)
    command.write_text(INTELGRAPH)
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "COLUMNS": "120",
        "INTELGRAPH_SERVER": gateway.address,
        "INTELGRAPH_DATA_DIR": str(gateway.data_dir),
    }
    # Without a token of the environment, each verb mints what it needs, as it does for a reader.
    environment.pop("INTELGRAPH_TOKEN", None)
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", session],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_session_of_the_readme_runs(gateway: GatewayProcess, tmp_path: Path) -> None:
    (session,) = [block for block in snippets("README.md", "sh") if "contract put" in block]
    (tmp_path / "contracts").symlink_to(ROOT / "contracts")
    assert "Endeavor Air Inc." in run_session(gateway, tmp_path, session)


def test_the_session_of_the_policy_guide_runs(gateway: GatewayProcess, tmp_path: Path) -> None:
    first, second = snippets("policy.md", "sh")
    assert "version 1 in force; 3 tests hold" in run_session(gateway, tmp_path, first)
    shown = run_session(gateway, tmp_path / "second", second)
    assert "allowed" in shown
    assert "(removed)" in shown


def test_the_session_of_the_contracts_guide_runs(gateway: GatewayProcess, tmp_path: Path) -> None:
    blocks = snippets("contracts.md", "sh")
    assert [block.split()[0] for block in blocks] == ["cat", "intelgraph"]
    shown = run_session(gateway, tmp_path, "".join(blocks))
    assert "was there already" in shown, "the gateway of these tests has another contract"
    assert shown.count("2 records satisfy the contract, 0 do not") == 2


@pytest.mark.parametrize("guide", ["README.md", "connectors.md", "services.md"])
def test_the_token_that_a_guide_mints_is_enough_for_its_snippets(
    stocked: GatewayProcess, tmp_path: Path, guide: str
) -> None:
    (block,) = [block for block in snippets(guide, "sh") if "INTELGRAPH_TOKEN=" in block]
    # The directory is this gateway's instead of the demo's.
    names = re.findall(r"^export (INTELGRAPH_[A-Z]+)=", block, re.MULTILINE)
    session = block.replace("--data-dir build/demo/data ", "") + "".join(
        f'echo "${name}"\n' for name in names
    )
    tokens = dict(zip(names, run_session(stocked, tmp_path, session).split(), strict=True))
    for snippet in snippets(guide):
        if DEFAULT_ADDRESS in snippet:
            assert run_snippet(stocked, snippet, tokens).strip(), f"a snippet of {guide} shows nothing"


def test_the_two_commands_of_the_readme_are_targets_of_make() -> None:
    (commands,) = [block for block in snippets("README.md", "sh") if "make demo" in block]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {line.split()[1] for line in commands.splitlines()} <= set(targets)


def test_the_help_of_make_names_every_benchmark() -> None:
    (names,) = re.findall(r"^bench:.*## .*NAME=(\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tuple(names.split("|")) == BENCHMARKS
