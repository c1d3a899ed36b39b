"""The client brings nothing of the gateway along."""

import subprocess
import sys

_GATEWAY_ONLY = (
    "asyncpg",
    "cryptography",
    "prometheus_client",
    "pydantic",
    "starlette",
    "structlog",
    "typer",
    "uvicorn",
    "intelgraph._core",
    "intelgraph.gateway.server",
    "intelgraph.ingest",
    "intelgraph.keys",
    "intelgraph.storage",
)


def test_importing_the_client_imports_nothing_of_the_gateway() -> None:
    program = "import sys, intelgraph.client; print(*sys.modules, sep='\\n')"
    modules = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    imported = set(modules.stdout.split())
    assert "intelgraph.client" in imported
    assert imported.isdisjoint(_GATEWAY_ONLY)
