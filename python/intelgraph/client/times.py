"""Moments on the wire: microseconds since the Unix epoch, UTC."""

from datetime import UTC, datetime, timedelta

Moment = datetime | int
"""A time-zone aware `datetime`, or microseconds since the Unix epoch."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: Moment) -> int:
    """Microseconds since the Unix epoch, exact.

    Raises ValueError for a `datetime` without a time zone: guessing one would misdate records silently.
    """
    if isinstance(moment, int):
        return moment
    if moment.tzinfo is None:
        raise ValueError("a datetime needs a time zone, for example datetime.now(UTC)")
    return (moment - _EPOCH) // _MICROSECOND


def from_us(moment_us: int) -> datetime:
    """The moment as `datetime` in UTC.

    Raises OverflowError outside the years 1 to 9999, which `datetime` cannot hold.
    """
    return _EPOCH + timedelta(microseconds=moment_us)
