"""Moments on the command line: ISO 8601, or microseconds since the Unix epoch."""

from datetime import UTC, datetime
from typing import Final

import typer

from intelgraph.client import from_us, to_us

_BOUND: Final = 1 << 63
"""Moments travel as int64 (`entity.proto`)."""


def parse_moment(text: str) -> int:
    """Microseconds since the Unix epoch; a moment without time zone is UTC. Raises BadParameter."""
    try:
        moment_us = int(text)
    except ValueError:
        pass
    else:
        if not -_BOUND <= moment_us < _BOUND:
            raise typer.BadParameter("is beyond 64 bits of microseconds since the Unix epoch")
        return moment_us
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            "is neither ISO 8601, as 2013-02-08T18:00Z, nor microseconds since the Unix epoch"
        ) from error
    return to_us(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def format_moment(moment_us: int) -> str:
    """ISO 8601 in UTC; the plain number where a calendar does not reach."""
    try:
        return from_us(moment_us).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return str(moment_us)
