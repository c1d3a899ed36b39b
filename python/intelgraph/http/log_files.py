"""The log's files over HTTP, byte for byte as they lie in its directory (C2SP tlog-tiles): open to everyone, for they
tell nobody who did what.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PREFIX: Final = "/ledger"
_FOREVER: Final = "public, max-age=31536000, immutable"


def log_route(read: Callable[[str], bytes | None], is_path: Callable[[str], bool]) -> Route:
    """The route of a log; `read` gives the bytes at a path that `is_path` admits, None where there are none."""

    async def file(request: Request) -> Response:
        path = request.path_params["path"]
        content = await asyncio.to_thread(read, path) if is_path(path) else None
        if content is None:
            return PlainTextResponse("there is no such file in the log\n", status_code=404)
        if path == "checkpoint":
            headers, kind = {"Cache-Control": "no-cache"}, "text/plain; charset=utf-8"
        else:
            # A partial tile gives way to the full one some day; until then its bytes are these.
            headers, kind = {"Cache-Control": _FOREVER}, "application/octet-stream"
        return Response(content, media_type=kind, headers=headers)

    return Route(f"{PREFIX}/{{path:path}}", file)
