"""Liveness, readiness and metrics on a gateway that listens on loopback."""

import httpx
import pytest

from intelgraph.http.app import ReadinessCheck, create_app
from tests.gateway.served import Served


async def test_loopback(served: Served) -> None:
    async with httpx.AsyncClient(base_url=f"http://{served.http}") as http:
        assert (await http.get("/livez")).text == "ok\n"
        assert (await http.get("/readyz")).json() == {"ready": True, "failing": []}
        metrics = await http.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=")
        assert "# TYPE grpc_server_handling_seconds histogram" in metrics.text
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/livez")).status_code == 405
        assert "server" not in metrics.headers


async def test_readiness_names_what_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def fine() -> None:
        pass

    async def away() -> None:
        raise ConnectionRefusedError("postgresql://user:hunter2@host")

    checks: dict[str, ReadinessCheck] = {"keys": fine, "postgres": away}
    app = create_app(checks=checks, exposition=lambda: (b"", "text/plain"), authorize_metrics=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "failing": ["postgres"]}
    assert "hunter2" not in answer.text + str([vars(record) for record in caplog.records])
