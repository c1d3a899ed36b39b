"""An asynchronous iterator, item by item, for a caller that blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from anyio.from_thread import BlockingPortal

_Item = TypeVar("_Item")


def iterate(portal: BlockingPortal, items: AsyncIterator[_Item]) -> Iterator[_Item]:
    """The items, each fetched when it is asked for."""
    while True:
        try:
            yield portal.call(items.__anext__)
        except StopAsyncIteration:
            return
