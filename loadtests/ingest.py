r"""Connectors under load: locust users that stream versions of shipments into a gateway through the client.

    intelgraph serve &
    make .venv/bench
    LOCUST_SKIP_MONKEY_PATCH=1 .venv/bin/python -m locust -f loadtests/ingest.py \
        --headless -u 4 -r 1 -t 60s --host 127.0.0.1:7443

Every user is a connector with a stream and entities of its own. What locust calls a request is a batch, from
its first sending to its acknowledgement; what it calls a failure is a batch that was rejected. Without
INTELGRAPH_TOKEN, a token is minted with the key in INTELGRAPH_DATA_DIR (by default ./intelgraph-data).
"""

import os
import sys
from collections import deque
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import orjson
from gevent.monkey import is_module_patched
from gevent.threadpool import ThreadPool
from locust import User, events, task
from locust.env import Environment

from benches.records import DATASET, Shipment, contract_document
from intelgraph.client import Client, IntelGraphError, Outcome
from intelgraph.gateway.local_identity import LocalIssuer

if is_module_patched("threading"):
    # The client has an event loop on a thread of its own, and gRPC has threads: patched, they never run.
    sys.exit("set LOCUST_SKIP_MONKEY_PATCH=1: the client needs Python's own threads")

ENTITIES: Final = 2_000
"""Entities of a user."""
VERSIONS: Final = 4
"""Versions of each, made beforehand and sent in turn; 3 of 20 fields differ from one to the next."""
RECORDS_A_TASK: Final = 5_000
TENANT: Final = "local"


def access_token() -> str:
    """The token that was given, or one for an hour."""
    if token := os.environ.get("INTELGRAPH_TOKEN"):
        return token
    issuer = LocalIssuer.open(Path(os.environ.get("INTELGRAPH_DATA_DIR", "intelgraph-data")))
    return issuer.mint(TENANT, ("connector", "operator"), subject="loadtest", audience="intelgraph")


@events.test_start.add_listener
def publish_contract(environment: Environment, **_: Any) -> None:
    """Publishes the contract of the records; again, it changes nothing."""
    with Client(environment.host or "127.0.0.1:7443", token=access_token) as client:
        client.contracts.put(orjson.dumps(contract_document(TENANT)))


class Connector(User):
    """One producer."""

    def on_start(self) -> None:
        """Opens the stream, on a thread: what blocks must not hold up the other users."""
        self._settled: deque[Outcome] = deque()
        self._thread = ThreadPool(1)
        self._records = _endless_records(int(token_hex(3), 16))
        self._client = Client(self.host or "127.0.0.1:7443", token=access_token)
        self._stream = self._thread.apply(self._open)

    def _open(self) -> Any:
        self._client.__enter__()
        stream = self._client.stream(
            DATASET, f"load-{token_hex(6)}", producer="loadtest", on_outcome=self._settled.append
        )
        return stream.__enter__()

    @task
    def send(self) -> None:
        """Sends records as fast as the gateway takes them, and reports what was settled meanwhile."""
        try:
            self._thread.apply(self._stream.send, (self._next_records(),))
        except IntelGraphError as error:
            self._report("stream", 0.0, 0, error)
            self.stop()
        while self._settled:
            outcome = self._settled.popleft()
            self._report("batch", 1000 * outcome.seconds, outcome.size, outcome.error)

    def on_stop(self) -> None:
        """Waits for the last answers and closes."""
        self._thread.apply(self._close)

    def _close(self) -> None:
        self._stream.__exit__(None, None, None)
        self._client.close()

    def _next_records(self) -> list[bytes]:
        return [next(self._records) for _ in range(RECORDS_A_TASK)]

    def _report(self, name: str, milliseconds: float, size: int, error: IntelGraphError | None) -> None:
        self.environment.events.request.fire(
            request_type="ingest",
            name=name,
            response_time=milliseconds,
            response_length=size,
            exception=error,
            context={},
        )


def _endless_records(seed: int) -> Iterator[bytes]:
    shipments = [Shipment(seed, index) for index in range(ENTITIES)]
    versions: list[list[bytes]] = []
    for _ in range(VERSIONS):
        versions.append([shipment.encode() for shipment in shipments])
        shipments = [shipment.next() for shipment in shipments]
    return (record for version in cycle(versions) for record in version)
