"""Managing tenants."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import tenants


class Tenants:
    """Manages tenants. See `intelgraph.client.tenants.Tenants`."""

    def __init__(self, portal: BlockingPortal, inner: tenants.Tenants) -> None:
        self._portal = portal
        self._inner = inner

    def create(
        self, name: str, limits: tenants.TenantLimits | None = None, *, timeout: float | None = None
    ) -> tenants.Tenant:
        """Creates a tenant; limits that are not given take the defaults."""
        return self._portal.call(partial(self._inner.create, name, limits, timeout=timeout))

    def list(self, *, timeout: float | None = None) -> Iterator[tenants.Tenant]:
        """Tenants by name."""
        return iterate(self._portal, self._inner.list(timeout=timeout))

    def set_limits(
        self, name: str, limits: tenants.TenantLimits, *, timeout: float | None = None
    ) -> tenants.Tenant:
        """Changes the limits that are given."""
        return self._portal.call(partial(self._inner.set_limits, name, limits, timeout=timeout))

    def suspend(self, name: str, *, timeout: float | None = None) -> tenants.Tenant:
        """Denies a tenant everything until `resume`."""
        return self._portal.call(partial(self._inner.suspend, name, timeout=timeout))

    def resume(self, name: str, *, timeout: float | None = None) -> tenants.Tenant:
        """Lets a suspended tenant go on."""
        return self._portal.call(partial(self._inner.resume, name, timeout=timeout))

    def offboard(self, name: str, *, timeout: float | None = None) -> tenants.Tenant:
        """Denies a tenant for good; its name is never given again."""
        return self._portal.call(partial(self._inner.offboard, name, timeout=timeout))
