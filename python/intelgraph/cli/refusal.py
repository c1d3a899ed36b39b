"""How an error of the gateway ends a verb: what a person reads, and the exit code that a script reads."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from intelgraph.errors import IntelGraphError

EXIT_BAD_INPUT: Final = 2
EXIT_FAILED: Final = 3

_CALLER_CODES: Final = frozenset(
    {
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
    }
)
"""gRPC codes of errors that the caller can mend; the others are the gateway's, or of the way to it."""


def exit_code_of(error: "IntelGraphError") -> int:
    """2 where the caller can mend it, 3 where the gateway, or the way to it, failed."""
    return EXIT_BAD_INPUT if error.code.name in _CALLER_CODES else EXIT_FAILED


def print_refusal(error: "IntelGraphError", *, as_json: bool) -> None:
    """Prints the error, each place that it names, and its fix to standard error."""
    if as_json:
        facts = {
            "reason": error.reason,
            "message": error.message,
            "fix": error.fix,
            "metadata": error.metadata,
            "violations": [asdict(violation) for violation in error.violations],
        }
        sys.stderr.write(json.dumps({"error": facts}, ensure_ascii=False) + "\n")
        return
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]{error.reason}[/] {escape(error.message)}")
    for violation in error.violations:
        console.print(f"  {escape(str(violation))}")
    if error.fix:
        console.print(f"[bold]fix[/] {escape(error.fix)}")
