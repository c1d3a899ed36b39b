"""A stream of records into one dataset, from a connector's side.

- `send` takes records and returns once they are batched and at most one batch waits for credit. That is the
  back-pressure: a slow gateway makes `send` slow, and memory stays within what is in flight and two batches.
- A batch is sent when it is large enough, when `flush` or `close` asks for it, or after 20 ms.
- Several batches are in flight. After a disconnect the stream opens again by itself, learns what was
  committed and sends only the rest: every record arrives exactly once.
- What came of each batch is told by `on_outcome` and `outcomes()`. A batch that is rejected for good is never
  passed over in silence: where neither is used, `flush` and `close` raise its error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Self

from intelgraph.client.batching import BatchBuilder, BatchLimits
from intelgraph.client.failures import is_transient
from intelgraph.client.frames import Delete, Record, encode_record, longest_document
from intelgraph.client.outcomes import Outcome, Outcomes, Totals
from intelgraph.client.progress import Progress
from intelgraph.client.retry import Patience, RetryPolicy
from intelgraph.client.session import Session
from intelgraph.errors import IntelGraphError, Unauthenticated

if TYPE_CHECKING:
    from types import TracebackType

    import grpc

    from intelgraph.client.tokens import TokenSource
    from intelgraph.gateway.v1 import ingest_pb2

Records = Record | Iterable[Record] | AsyncIterable[Record]
"""One record or many."""

OnOutcome = Callable[[Outcome], None]
"""Called on the stream's event loop, once for each batch, in order."""

IN_FLIGHT_BYTES: Final = 2 << 20
"""Enough to keep a gateway busy that is near: 5 batches. More only waits there, and is acknowledged later."""

_TARGET_BYTES: Final = 384 * 1024
_SMALLEST_TARGET: Final = 16 * 1024
_BATCHES_IN_CREDIT: Final = 4
_LINGER_SECONDS: Final = 0.02
_CLOSE_SECONDS: Final = 10.0
_log: Final = logging.getLogger("intelgraph.client")


class RecordStream:
    """Sends records on one stream. Made by `AsyncClient.stream`; an async context manager.

    Leaving the context flushes and closes; leaving it with an exception abandons what is not yet sent.
    May be used by several tasks of one event loop.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        tokens: TokenSource,
        opening: ingest_pb2.OpenStream,
        policy: RetryPolicy,
        on_outcome: OnOutcome | None,
        in_flight_bytes: int,
    ) -> None:
        self._opening = opening
        self._tokens = tokens
        self._patience = Patience(policy)
        self._progress = Progress(on_outcome, in_flight_bytes)
        self._session = Session(channel, tokens, opening, self._progress, self._patience)
        self._sending = asyncio.Lock()
        self._builder: BatchBuilder | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._runner: asyncio.Task[None] | None = None
        self._waiting_since: float | None = None
        self._waited = 0.0

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run(), name=f"stream {self._opening.stream_id}")
        try:
            await self._progress.until(lambda: self._progress.opened is not None)
        except BaseException:
            await self._abandon()
            raise
        self._builder = BatchBuilder(self._limits())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self._abandon()

    async def send(self, records: Records) -> int:
        """Takes records, in their order, and returns their number.

        Returns early enough to keep memory bounded and late enough to be slowed by the gateway; use `flush`
        to wait until everything is answered. A record that cannot be sent raises and ends the call; those
        before it are taken.

        Raises InvalidArgument (RECORD_NOT_JSON, RECORD_TOO_LARGE), and what ended the stream.
        """
        async with self._sending:
            self._require_running()
            before = self._open_builder.records_taken
            try:
                if isinstance(records, Mapping | str | bytes | Delete):
                    await self._take(encode_record(records, before))
                elif isinstance(records, AsyncIterable):
                    async for record in records:
                        await self._take(encode_record(record, self._open_builder.records_taken))
                        self._start_linger()
                else:
                    for record in records:
                        await self._take(encode_record(record, self._open_builder.records_taken))
            finally:
                self._start_linger()
            return self._open_builder.records_taken - before

    async def send_encoded(self, encoded: Iterable[bytes]) -> None:
        """As `send`, of records that `frames.encode_record` has encoded; for those who encode elsewhere."""
        async with self._sending:
            self._require_running()
            try:
                for record in encoded:
                    await self._take(record)
            finally:
                self._start_linger()

    async def flush(self, timeout: float | None = None) -> Totals:
        """Sends what is gathered, waits until every batch is answered, returns the sums so far.

        Raises TimeoutError after `timeout` seconds (nothing is lost by it), what ended the stream, and the
        error of a rejected batch that nobody listened for.
        """
        async with asyncio.timeout(timeout):
            async with self._sending:
                await self._ship()
            await self._progress.until(lambda: self._progress.window.is_empty)
        self._progress.raise_unobserved_rejection()
        return self.totals

    async def close(self, timeout: float | None = None) -> Totals:
        """Flushes, ends the stream and returns the sums. Raises as `flush` does, and is over anyway."""
        if self._runner is None:
            return self.totals
        try:
            totals = await self.flush(timeout)
            self._progress.closing = True
            self._progress.signal.changed()
            await asyncio.wait({self._runner}, timeout=_CLOSE_SECONDS)
        finally:
            await self._abandon()
        return totals

    def outcomes(self) -> Outcomes:
        """What comes of the batches from now on; ends when the stream is closed."""
        return self._progress.subscribe()

    @property
    def totals(self) -> Totals:
        """Sums over the batches settled so far."""
        return self._progress.totals

    @property
    def contract_version(self) -> str:
        """Version of the contract that applies."""
        return self._opened.contract_version

    @property
    def contract_digest(self) -> bytes:
        """SHA-256 of the canonical form of the contract that applies."""
        return self._opened.contract_digest

    @property
    def most_document_bytes(self) -> int:
        """Length of the longest JSON document that a batch holds; `send` refuses one beyond."""
        return longest_document(self._opened.limits.max_batch_bytes)

    @property
    def waits_for(self) -> IntelGraphError | None:
        """Why the gateway takes nothing at this moment, though it may again by itself; None while it does."""
        return self._progress.waits_for

    @property
    def unanswered_records(self) -> int:
        """Number of records that were taken and are not settled."""
        return self._open_builder.records_taken - self.totals.sent

    @property
    def in_flight_bytes(self) -> int:
        """Bytes sent and not yet answered."""
        return self._progress.window.in_flight_bytes

    @property
    def credit_bytes(self) -> int:
        """Bytes that the gateway takes in addition to what is in flight."""
        return self._progress.window.credit

    @property
    def is_slowed(self) -> bool:
        """Whether `send` is waiting for the gateway at this moment."""
        return self._waiting_since is not None

    @property
    def slowed_seconds(self) -> float:
        """How long `send` has waited for the gateway altogether."""
        waiting = time.monotonic() - self._waiting_since if self._waiting_since is not None else 0.0
        return self._waited + waiting

    @property
    def reconnects(self) -> int:
        """How often the stream was opened again."""
        return max(self._progress.times_opened - 1, 0)

    @property
    def _opened(self) -> ingest_pb2.StreamOpened:
        if self._progress.opened is None:
            raise RuntimeError("the stream is not open: use it as a context manager")
        return self._progress.opened

    @property
    def _open_builder(self) -> BatchBuilder:
        if self._builder is None:
            raise RuntimeError("the stream is not open: use it as a context manager")
        return self._builder

    def _require_running(self) -> None:
        if self._progress.failure is not None:
            raise self._progress.failure
        if self._runner is None:
            raise RuntimeError("the stream is closed")

    async def _take(self, record: bytes) -> None:
        builder = self._open_builder
        if not builder.fits(record):
            await self._ship()
        builder.add(record)
        if builder.is_full:
            await self._ship()

    async def _ship(self) -> None:
        """Hands the gathered records to the connection; waits while another batch waits for credit."""
        self._hand_over()
        window = self._progress.window
        # Gives the connection a turn even where nothing has to wait.
        await asyncio.sleep(0)
        if window.unsent > 1 or self._progress.failure is not None:
            self._waiting_since = time.monotonic()
            try:
                await self._progress.until(lambda: window.unsent <= 1)
            finally:
                self._waited += time.monotonic() - self._waiting_since
                self._waiting_since = None

    def _hand_over(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        builder = self._open_builder
        if builder.records:
            self._progress.window.add(builder.take(self._progress.window.next_sequence))
            self._progress.signal.changed()
            builder.limits = self._limits()

    def _start_linger(self) -> None:
        if self._linger is None and self._open_builder.records:
            self._linger = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._linger_over)

    def _linger_over(self) -> None:
        self._linger = None
        if self._progress.window.unsent:
            # A batch already waits for credit: the records may as well go on gathering.
            self._start_linger()
        else:
            self._hand_over()

    def _limits(self) -> BatchLimits:
        limits = self._opened.limits
        credit = min(self._opened.credit_bytes, self._progress.window.bound)
        share = max(credit // _BATCHES_IN_CREDIT, _SMALLEST_TARGET)
        return BatchLimits(
            target_bytes=min(_TARGET_BYTES, share, limits.max_batch_bytes),
            max_bytes=limits.max_batch_bytes,
            max_records=limits.max_batch_records,
        )

    async def _run(self) -> None:
        denied_at = -1
        try:
            while True:
                try:
                    await self._session.run()
                except Unauthenticated:
                    # Once more with another token. Refused again without having been let in, it is final.
                    if not self._tokens.renews or denied_at == self._progress.times_opened:
                        raise
                    denied_at = self._progress.times_opened
                    self._session.discard_token()
                except IntelGraphError as error:
                    if not is_transient(error):
                        raise
                    _log.warning("stream %s: %s; connecting again", self._opening.stream_id, error.reason)
                    self._progress.waits_for = error
                    await self._patience.wait(error)
                else:
                    return
        except Exception as failure:  # whatever it is, those who wait must not wait for ever
            self._progress.fail(failure)

    async def _abandon(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        self._progress.end_outcomes()
