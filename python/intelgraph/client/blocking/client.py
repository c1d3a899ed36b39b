"""The client, which runs an event loop on a thread of its own while it is open."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from intelgraph.client.aio import AsyncClient
from intelgraph.client.blocking.approvals import Approvals
from intelgraph.client.blocking.contracts import Contracts
from intelgraph.client.blocking.entities import Entities
from intelgraph.client.blocking.envelopes import Envelopes
from intelgraph.client.blocking.flags import Flags
from intelgraph.client.blocking.ledger import Ledger
from intelgraph.client.blocking.operations import Operations, Retention
from intelgraph.client.blocking.policies import Policies
from intelgraph.client.blocking.quarantine import Quarantine
from intelgraph.client.blocking.stream import Stream
from intelgraph.client.blocking.tenants import Tenants
from intelgraph.client.channel import DEFAULT_ADDRESS, Tls
from intelgraph.client.retry import RetryPolicy
from intelgraph.client.stream import IN_FLIGHT_BYTES

if TYPE_CHECKING:
    from types import TracebackType

    from intelgraph.client.stream import OnOutcome
    from intelgraph.client.tokens import TokenProvider

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
    def entities(self) -> Entities:
        """Reads entities."""
        return Entities(self._open_portal, self._client.entities)

    @property
    def contracts(self) -> Contracts:
        """Publishes and reads contracts."""
        return Contracts(self._open_portal, self._client.contracts)

    @property
    def quarantine(self) -> Quarantine:
        """Reads the quarantine."""
        return Quarantine(self._open_portal, self._client.quarantine)

    @property
    def envelopes(self) -> Envelopes:
        """Seals and opens messages."""
        return Envelopes(self._open_portal, self._client.envelopes)

    @property
    def operations(self) -> Operations:
        """Shows, follows and cancels what is longer than a request."""
        return Operations(self._open_portal, self._client.operations)

    @property
    def retention(self) -> Retention:
        """Removes what its contracts no longer keep."""
        return Retention(self._open_portal, self._client.retention)

    @property
    def flags(self) -> Flags:
        """Reads and sets flags."""
        return Flags(self._open_portal, self._client.flags)

    @property
    def tenants(self) -> Tenants:
        """Manages tenants."""
        return Tenants(self._open_portal, self._client.tenants)

    @property
    def approvals(self) -> Approvals:
        """Asks for approvals and decides on them."""
        return Approvals(self._open_portal, self._client.approvals)

    @property
    def ledger(self) -> Ledger:
        """Reads the ledger."""
        return Ledger(self._open_portal, self._client.ledger)

    @property
    def policies(self) -> Policies:
        """Reads and replaces the tenant's rules."""
        return Policies(self._open_portal, self._client.policies)

    @property
    def _open_portal(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("the client is not open: use it as a context manager")
        return self._portal
