"""Metrics, liveness and readiness.

`/livez` answers while the process runs. `/readyz` answers 200 once every part can be used, and 503 with the
names of those that cannot, also while the gateway drains. `/metrics` is the Prometheus text format.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from intelgraph.errors import IntelGraphError, PermissionDenied, Unauthenticated, Unavailable, causes_of

ReadinessCheck = Callable[[], Awaitable[object]]
"""Raises if a part cannot be used."""

_STATUS = {Unauthenticated: 401, PermissionDenied: 403, Unavailable: 503}

_log = logging.getLogger(__name__)


def create_app(
    *,
    checks: Mapping[str, ReadinessCheck],
    exposition: Callable[[], tuple[bytes, str]],
    authorize_metrics: Callable[[str], Awaitable[None]] | None,
    more: Sequence[Route] = (),
) -> Starlette:
    """The application; `checks` are by the name of the part, `more` are routes of other parts.

    `authorize_metrics` gets the `Authorization` header and raises; without it metrics are open.
    """

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        results = await asyncio.gather(*(check() for check in checks.values()), return_exceptions=True)
        failing = {
            name: error
            for name, error in zip(checks, results, strict=True)
            if isinstance(error, BaseException)
        }
        for name, error in failing.items():
            _log.warning("not ready", extra={"part": name, "causes": causes_of(error)})
        return JSONResponse(
            {"ready": not failing, "failing": list(failing)}, status_code=503 if failing else 200
        )

    async def metrics(request: Request) -> Response:
        if authorize_metrics is not None:
            await authorize_metrics(request.headers.get("authorization", ""))
        content, content_type = exposition()
        return Response(content, media_type=content_type)

    return Starlette(
        routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics), *more],
        exception_handlers={IntelGraphError: _refused},
    )


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, IntelGraphError):
        raise error
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(
        {"reason": error.reason, "message": error.message, "fix": error.fix},
        status_code=status,
        headers=headers,
    )
