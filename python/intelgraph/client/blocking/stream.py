"""Sending records from a program without an event loop. They are encoded on the caller's thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from intelgraph.client.blocking.iteration import iterate
from intelgraph.client.frames import Delete, Record, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from anyio.from_thread import BlockingPortal

    from intelgraph.client.outcomes import Outcome, Totals
    from intelgraph.client.stream import RecordStream

_CHUNK_BYTES = 128 * 1024


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
        return iterate(self._portal, self._portal.call(self._stream.outcomes))

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
