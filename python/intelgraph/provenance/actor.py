"""Who did what an entry of the ledger says."""

import os
import pwd
from dataclasses import dataclass
from typing import Final, Literal

Method = Literal["jwt", "mtls", "cli", "gateway"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a service or the gateway itself; `method` says how that is known."""

    subject: str
    method: Method


GATEWAY: Final = Actor("gateway", "gateway")
"""Acts that nobody asked for: a start, an anchor, a key that is replaced in time."""


def account() -> str:
    """The account that this process runs under, as the host knows it: a variable of the environment proves nothing."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
