"""The client, for programs without an event loop: the methods of the async classes, which block.

Each file is the blocking side of the one of the same name in `intelgraph.client`; `client` is that of `aio`.
"""

from intelgraph.client.blocking.client import Client
from intelgraph.client.blocking.stream import Stream

__all__ = ["Client", "Stream"]
