"""One gateway for all tests that do not kill theirs; each test has stations of its own."""

from collections.abc import Iterator

import pytest

from tests.e2e.gateway import OBSERVATIONS, GatewayProcess


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    process.start()
    with process.blocking_client() as client:
        client.contracts.put(OBSERVATIONS)
    yield process
    process.stop()
