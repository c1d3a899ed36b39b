"""The snippets of the guides run as they stand, against a real gateway with the data they speak of."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("guide", "snippet"),
    [
        (guide, snippet)
        for guide in ("README.md", "connectors.md", "services.md")
        for snippet in snippets(guide)
        if DEFAULT_ADDRESS in snippet
    ],
)
def test_a_snippet_runs(stocked: GatewayProcess, guide: str, snippet: str) -> None:
    program = snippet.replace(DEFAULT_ADDRESS, repr(stocked.address))
    mint = stocked.token()
    environment = os.environ | {"INTELGRAPH_TOKEN": str(mint())}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), f"a snippet of {guide} shows nothing to the reader"


@pytest.mark.parametrize("guide", ["README.md", "connectors.md", "services.md"])
def test_every_snippet_compiles(guide: str) -> None:
    found = snippets(guide)
    assert found
    for snippet in found:
        compile(snippet, guide, "exec")


def test_the_tenant_of_the_contracts_is_the_one_that_local_use_has() -> None:
    for document in CONTRACTS.glob("*.json"):
        assert f'"tenantId": "{TENANT}"' in document.read_text()


def test_the_session_of_the_readme_runs(gateway: GatewayProcess, tmp_path: Path) -> None:
    (session,) = [block for block in snippets("README.md", "sh") if "contract put" in block]
    (tmp_path / "contracts").symlink_to(ROOT / "contracts")
    (tmp_path / "airlines.csv").write_text("carrier,name\n9E,Endeavor Air Inc.\n")
    environment = os.environ | {
        "INTELGRAPH_TOKEN": str(gateway.token()()),
        "INTELGRAPH_SERVER": gateway.address,
        "INTELGRAPH_DATA_DIR": str(gateway.data_dir),
    }
    for line in session.splitlines():
        arguments = shlex.split(line, comments=True)
        assert arguments[0] == "intelgraph"
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert done.stdout.strip(), f"{line} shows nothing to the reader"


def test_the_two_commands_of_the_readme_are_targets_of_make() -> None:
    (commands,) = [block for block in snippets("README.md", "sh") if "make demo" in block]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {line.split()[1] for line in commands.splitlines()} <= set(targets)
