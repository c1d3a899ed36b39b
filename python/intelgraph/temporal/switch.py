"""Whether a tenant's past is served: what the flag `temporal` turns off."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph.errors import Unavailable

if TYPE_CHECKING:
    from intelgraph.tenants.registry import Tenant

RETRY_SECONDS = 5.0
"""A flag is turned by people."""


class TemporalSwitch:
    """Asked before anything but the present is read."""

    def __init__(self, is_off: Callable[[UUID], bool]) -> None:
        """`is_off` answers from memory."""
        self._is_off = is_off

    def require_on(self, tenant: "Tenant") -> None:
        """Raises Unavailable TEMPORAL_OFF where the past is not served."""
        if self._is_off(tenant.tenant_id):
            raise Unavailable(
                "TEMPORAL_OFF",
                "reads of the past, histories, differences and the feed of changes are turned off for the tenant",
                fix="read the present version, without a time; a security officer turns it on again:"
                " intelgraph flags set temporal on",
                retry_after=RETRY_SECONDS,
            )


ALWAYS_ON = TemporalSwitch(lambda _: False)
"""For who reads a log without a gateway."""
