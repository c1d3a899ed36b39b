"""Limits of a tenant: defaults, bounds, and changes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Final, Self

from intelgraph.errors import FieldViolation, InvalidArgument


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """What one tenant may use of one gateway process."""

    streams: int = 64
    """Open ingest streams."""
    records_per_second: int = 0
    """Averaged over a second; 0 means no limit."""
    bytes_in_flight: int = 64 << 20
    """Bytes of batches that are received and not yet answered: four streams at full credit, twice over."""
    quarantine_records: int = 1_000_000
    """Records that may wait in quarantine."""
    cache_share_percent: int = 50
    """Share of the heads cache, so that no tenant can push out all others by itself."""

    @classmethod
    def from_stored(cls, stored: Mapping[str, int]) -> Self:
        """The limits as the registry keeps them; one that is younger than the row has its default."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in names})

    def to_stored(self) -> dict[str, int]:
        """For the registry."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LimitChanges:
    """Limits to change; None leaves one as it is."""

    streams: int | None = None
    records_per_second: int | None = None
    bytes_in_flight: int | None = None
    quarantine_records: int | None = None
    cache_share_percent: int | None = None

    def applied_to(self, limits: TenantLimits) -> TenantLimits:
        """The limits after the change. Raises InvalidArgument LIMIT_OUT_OF_RANGE."""
        changes = {name: value for name, value in asdict(self).items() if value is not None}
        violations = tuple(
            FieldViolation(f"/limits/{name}", f"must be from {_BOUNDS[name][0]} to {_BOUNDS[name][1]}")
            for name, value in changes.items()
            if not _BOUNDS[name][0] <= value <= _BOUNDS[name][1]
        )
        if violations:
            raise InvalidArgument(
                "LIMIT_OUT_OF_RANGE",
                "a limit lies outside of what makes sense",
                fix="see the violations for the bounds; suspend a tenant that is to do nothing at all",
                violations=violations,
            )
        return replace(limits, **changes)


_BOUNDS: Final = {
    "streams": (1, 100_000),
    "records_per_second": (0, 2**31 - 1),
    # A batch of the largest size must fit, or its stream would wait for ever.
    "bytes_in_flight": (4 << 20, 1 << 40),
    "quarantine_records": (0, 2**53),
    "cache_share_percent": (1, 100),
}
