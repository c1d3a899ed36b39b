"""Reading and setting flags."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import flags
    from intelgraph.client.times import Moment


class Flags:
    """Reads and sets flags. See `intelgraph.client.flags.Flags`."""

    def __init__(self, portal: BlockingPortal, inner: flags.Flags) -> None:
        self._portal = portal
        self._inner = inner

    def list(self, flag: str = "", *, timeout: float | None = None) -> Sequence[flags.FlagValue]:
        """What holds for the caller's tenant, of one flag or of all."""
        return self._portal.call(partial(self._inner.list, flag, timeout=timeout))

    def all_tenants(self, flag: str = "", *, timeout: float | None = None) -> Iterator[flags.FlagValue]:
        """What holds for every tenant, by name."""
        return iterate(self._portal, self._inner.all_tenants(flag, timeout=timeout))

    def describe(self, flag: str = "", *, timeout: float | None = None) -> Sequence[flags.Flag]:
        """The flags themselves, one or all."""
        return self._portal.call(partial(self._inner.describe, flag, timeout=timeout))

    def set(
        self,
        flag: str,
        value: str,
        *,
        share: int | None = None,
        until: Moment | None = None,
        approval: UUID | None = None,
        timeout: float | None = None,
    ) -> flags.FlagSet:
        """Sets a flag for the caller's tenant, or with `share`, in percent, for so many of all tenants."""
        return self._portal.call(
            partial(
                self._inner.set, flag, value, share=share, until=until, approval=approval, timeout=timeout
            )
        )
