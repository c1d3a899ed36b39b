"""The client, for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from intelgraph.client.approvals import Approvals
from intelgraph.client.calls import Caller
from intelgraph.client.channel import DEFAULT_ADDRESS, Tls, open_channel
from intelgraph.client.contracts import Contracts
from intelgraph.client.entities import Entities
from intelgraph.client.envelopes import Envelopes
from intelgraph.client.flags import Flags
from intelgraph.client.ledger import Ledger
from intelgraph.client.operations import Operations, Retention
from intelgraph.client.policies import Policies
from intelgraph.client.quarantine import Quarantine
from intelgraph.client.retry import RetryPolicy
from intelgraph.client.stream import IN_FLIGHT_BYTES, OnOutcome, RecordStream
from intelgraph.client.tenants import Tenants
from intelgraph.client.tokens import TokenProvider, TokenSource
from intelgraph.gateway.v1 import ingest_pb2

if TYPE_CHECKING:
    from types import TracebackType

    import grpc

_DEADLINE_SECONDS = 30.0
_DEFAULT_POLICY = RetryPolicy()


class AsyncClient:
    """A connection to a gateway; an async context manager. Belongs to the event loop that entered it.

    `token` is a bearer token, or a function that returns one and is asked again before it expires; None where
    the client's certificate says who it is. `deadline`, in seconds, is for unary calls that name no other.
    Every method raises an IntelGraphError: what the gateway answered, or Unavailable where it is away.
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
        self._address = address
        self._tls = tls
        self._retry = retry
        self._tokens = TokenSource(token)
        self._caller = Caller(self._tokens, deadline)
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._address, self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; close streams before. Calls that are under way are cancelled."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

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
    ) -> RecordStream:
        """A stream of records into a dataset; enter it to open it.

        `stream_id` names it within the tenant: one running producer each. The same id resumes the same
        stream. `producer` is kept as provenance, as is `source_region`, for example `eu-central-1`.
        `contract_version` is by default the newest that is published. At most `in_flight_bytes` wait for an
        answer, and never more than the gateway grants; over a long way, more is faster.
        """
        opening = ingest_pb2.OpenStream(
            dataset=dataset,
            contract_version=contract_version,
            stream_id=stream_id,
            producer=producer,
            source_region=source_region,
        )
        return RecordStream(
            self._open_channel, self._tokens, opening, self._retry, on_outcome, in_flight_bytes
        )

    @property
    def entities(self) -> Entities:
        """Reads entities."""
        return Entities(self._open_channel, self._caller, self._retry)

    @property
    def contracts(self) -> Contracts:
        """Publishes and reads contracts."""
        return Contracts(self._open_channel, self._caller)

    @property
    def quarantine(self) -> Quarantine:
        """Reads the quarantine."""
        return Quarantine(self._open_channel, self._caller)

    @property
    def envelopes(self) -> Envelopes:
        """Seals and opens messages."""
        return Envelopes(self._open_channel, self._caller)

    @property
    def operations(self) -> Operations:
        """Shows, follows and cancels what is longer than a request."""
        return Operations(self._open_channel, self._caller, self._retry)

    @property
    def retention(self) -> Retention:
        """Removes what its contracts no longer keep."""
        return Retention(self._open_channel, self._caller)

    @property
    def flags(self) -> Flags:
        """Reads and sets flags."""
        return Flags(self._open_channel, self._caller)

    @property
    def tenants(self) -> Tenants:
        """Manages tenants."""
        return Tenants(self._open_channel, self._caller)

    @property
    def approvals(self) -> Approvals:
        """Asks for approvals and decides on them."""
        return Approvals(self._open_channel, self._caller, self._retry)

    @property
    def ledger(self) -> Ledger:
        """Reads the ledger."""
        return Ledger(self._open_channel, self._caller)

    @property
    def policies(self) -> Policies:
        """Reads and replaces the tenant's rules."""
        return Policies(self._open_channel, self._caller)

    @property
    def _open_channel(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise RuntimeError("the client is not open: use it as a context manager")
        return self._channel
