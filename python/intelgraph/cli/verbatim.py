"""Text that is there to be copied: signed notes, keys, hashes. A line of it stays one line, whatever the width."""

from __future__ import annotations

from rich.text import Text


def verbatim(text: str, style: str = "") -> Text:
    """The text as it is, printed by `Invocation.show`."""
    return Text(text, style, no_wrap=True, overflow="ignore")
