"""The client, for programs without an event loop: the same methods, which block.

An event loop runs on a thread of its own while the client is open. Records are encoded on the caller's.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from intelgraph.client import blocking_services as services
from intelgraph.client.aio import AsyncClient
from intelgraph.client.channel import DEFAULT_ADDRESS, Tls
from intelgraph.client.frames import Delete, Record, encode_record
from intelgraph.client.retry import RetryPolicy
from intelgraph.client.stream import IN_FLIGHT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from intelgraph.client.outcomes import Outcome, Outcomes, Totals
    from intelgraph.client.stream import OnOutcome, RecordStream
    from intelgraph.client.tokens import TokenProvider

_CHUNK_BYTES = 128 * 1024
_DEADLINE_SECONDS = 30.0
_DEFAULT_POLICY = RetryPolicy()


class Client:
    """A connection to a gateway; a context manager. Arguments and errors are those of `AsyncClient`.

    May be used by several threads; a stream by one thread at a time.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        token: str | TokenProvider | None = None,
        tls: Tls | None = None,
        deadline: float | None = _DEADLINE_SECONDS,
        retry: RetryPolicy = _DEFAULT_POLICY,
    ) -> None:
        self._client = AsyncClient(address, token=token, tls=tls, deadline=deadline, retry=retry)
        self._exits = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            portal = exits.enter_context(start_blocking_portal())
            exits.enter_context(portal.wrap_async_context_manager(self._client))
            self._exits = exits.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; close streams before."""
        self._portal = None
        self._exits.close()

    def stream(
        self,
        dataset: str,
        stream_id: str,
        *,
        producer: str,
        contract_version: str = "",
        source_region: str = "",
        on_outcome: OnOutcome | None = None,
        in_flight_bytes: int = IN_FLIGHT_BYTES,
    ) -> Stream:
        """As `AsyncClient.stream`. `on_outcome` is called on the client's own thread."""
        opened = self._client.stream(
            dataset,
            stream_id,
            producer=producer,
            contract_version=contract_version,
            source_region=source_region,
            on_outcome=on_outcome,
            in_flight_bytes=in_flight_bytes,
        )
        return Stream(self._open_portal, opened)

    @property
    def entities(self) -> services.Entities:
        """Reads entities."""
        return services.Entities(self._open_portal, self._client.entities)

    @property
    def contracts(self) -> services.Contracts:
        """Publishes and reads contracts."""
        return services.Contracts(self._open_portal, self._client.contracts)

    @property
    def quarantine(self) -> services.Quarantine:
        """Reads the quarantine."""
        return services.Quarantine(self._open_portal, self._client.quarantine)

    @property
    def envelopes(self) -> services.Envelopes:
        """Seals and opens messages."""
        return services.Envelopes(self._open_portal, self._client.envelopes)

    @property
    def operations(self) -> services.Operations:
        """Shows, follows and cancels what is longer than a request."""
        return services.Operations(self._open_portal, self._client.operations)

    @property
    def retention(self) -> services.Retention:
        """Removes what its contracts no longer keep."""
        return services.Retention(self._open_portal, self._client.retention)

    @property
    def flags(self) -> services.Flags:
        """Reads and sets flags."""
        return services.Flags(self._open_portal, self._client.flags)

    @property
    def tenants(self) -> services.Tenants:
        """Manages tenants."""
        return services.Tenants(self._open_portal, self._client.tenants)

    @property
    def approvals(self) -> services.Approvals:
        """Asks for approvals and decides on them."""
        return services.Approvals(self._open_portal, self._client.approvals)

    @property
    def ledger(self) -> services.Ledger:
        """Reads the ledger."""
        return services.Ledger(self._open_portal, self._client.ledger)

    @property
    def policies(self) -> services.Policies:
        """Reads and replaces the tenant's rules."""
        return services.Policies(self._open_portal, self._client.policies)

    @property
    def _open_portal(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("the client is not open: use it as a context manager")
        return self._portal


class Stream:
    """Sends records on one stream; a context manager. See `RecordStream`, whose rules hold here."""

    def __init__(self, portal: BlockingPortal, stream: RecordStream) -> None:
        self._portal = portal
        self._stream = stream
        self._encoded = 0

    def __enter__(self) -> Self:
        self._portal.call(self._stream.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._stream.__aexit__, kind, error, trace)

    def send(self, records: Record | Iterable[Record]) -> int:
        """Takes records and returns their number; blocks while the gateway slows the stream.

        Raises as `RecordStream.send`: a record that cannot be sent ends the call; those before it are taken.
        """
        before = self._encoded
        many = [records] if isinstance(records, dict | str | bytes | Delete) else records
        chunk: list[bytes] = []
        size = 0
        try:
            for record in many:
                encoded = encode_record(record, self._encoded)
                self._encoded += 1
                chunk.append(encoded)
                size += len(encoded)
                if size >= _CHUNK_BYTES:
                    full, chunk, size = chunk, [], 0
                    self._portal.call(self._stream.send_encoded, full)
        finally:
            if chunk:
                self._portal.call(self._stream.send_encoded, chunk)
        return self._encoded - before

    def flush(self, timeout: float | None = None) -> Totals:
        """As `RecordStream.flush`."""
        return self._portal.call(partial(self._stream.flush, timeout))

    def close(self, timeout: float | None = None) -> Totals:
        """As `RecordStream.close`."""
        return self._portal.call(partial(self._stream.close, timeout))

    def outcomes(self) -> Iterator[Outcome]:
        """What comes of the batches from now on; ends when the stream is closed.

        Read it on another thread than the one that sends.
        """
        return self._iterate(self._portal.call(self._stream.outcomes))

    def _iterate(self, outcomes: Outcomes) -> Iterator[Outcome]:
        while True:
            try:
                yield self._portal.call(outcomes.__anext__)
            except StopAsyncIteration:
                return

    @property
    def totals(self) -> Totals:
        """Sums over the batches settled so far."""
        return self._stream.totals

    @property
    def contract_version(self) -> str:
        """Version of the contract that applies."""
        return self._stream.contract_version

    @property
    def unanswered_records(self) -> int:
        """Number of records that were taken and are not settled."""
        return self._stream.unanswered_records

    @property
    def is_slowed(self) -> bool:
        """Whether the gateway slows the stream at this moment."""
        return self._stream.is_slowed

    @property
    def slowed_seconds(self) -> float:
        """How long the gateway has slowed `send` altogether."""
        return self._stream.slowed_seconds

    @property
    def reconnects(self) -> int:
        """How often the stream was opened again."""
        return self._stream.reconnects
