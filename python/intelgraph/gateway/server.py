"""The gRPC server of one process and its life: start, drain, stop.

server = GatewayServer(settings, parts)
await server.start()
…
await server.drain()   # SIGTERM: not serving, streams told to reconnect, what is in flight answered
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from starlette.applications import Starlette
from starlette.routing import Route

from intelgraph.errors import Unavailable
from intelgraph.gateway.authenticator import Authenticator
from intelgraph.gateway.interceptor import AccessInterceptor
from intelgraph.gateway.methods import foreign_rules, wire_rules
from intelgraph.gateway.metrics import exposition
from intelgraph.gateway.permissions import Permissions
from intelgraph.gateway.ports import bound_socket
from intelgraph.gateway.settings import ConfigurationError, Settings, WrongSetting, is_loopback
from intelgraph.gateway.settings_check import tls_of
from intelgraph.http.app import ReadinessCheck, create_app
from intelgraph.http.listener import HttpListener

_LARGEST_METADATA: Final = 24 * 1024
"""Holds an access token of 16 KiB."""

_CHANNELZ: Final = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name

_log = logging.getLogger(__name__)


async def _nothing_to_drain() -> None:
    """For services whose calls end by themselves."""


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service: its full `name`, how it is added to a server, and how its streams are told to end.

    `drain` returns when what was in flight is answered; it is called once, when no new call is let in any
    more.
    """

    name: str
    add_to: Callable[[grpc.aio.Server], None]
    drain: Callable[[], Awaitable[None]] = _nothing_to_drain


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server serves with: built and closed by who composes the gateway.

    `checks` are the readiness checks by the name of the part, `routes` what parts serve over HTTP.
    """

    authenticator: Authenticator
    permissions: Permissions
    services: Sequence[Service]
    checks: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    routes: Sequence[Route] = ()


class GatewayServer:
    """Serves the services over gRPC, and metrics and health over HTTP."""

    def __init__(self, settings: Settings, parts: Parts, *, shared_ports: bool = False) -> None:
        """`shared_ports`: other workers of the same gateway listen on the same ports.

        Raises MethodWithoutPermissionError, and ConfigurationError for TLS files that cannot be used.
        """
        self._settings = settings
        self._parts = parts
        self._shared_ports = shared_ports
        self._tls = tls_of(settings)
        self._interceptor = AccessInterceptor(
            parts.authenticator,
            parts.permissions,
            wire_rules() | foreign_rules(beyond_loopback=not is_loopback(settings.grpc.host)),
        )
        self._server = grpc.aio.server(interceptors=[self._interceptor], options=self._options())
        self._health = health.aio.HealthServicer()
        self._http: HttpListener | None = None
        self._draining = False
        self.grpc_port = 0

    @property
    def http_port(self) -> int:
        """The port of metrics and health; 0 before the start."""
        return self._http.port if self._http is not None else 0

    async def start(self) -> None:
        """Returns when calls are answered. Raises ConfigurationError for a port that cannot be had."""
        for service in self._parts.services:
            service.add_to(self._server)
        names = [service.name for service in self._parts.services]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, _CHANNELZ, reflection.SERVICE_NAME], self._server
        )
        self.grpc_port = self._listen()
        await self._server.start()
        self._http = await HttpListener(self._http_app(), self._http_socket(), self._http_tls()).start()
        for name in ["", *names]:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        _log.info("serving", extra={"grpc_port": self.grpc_port, "http_port": self.http_port})

    async def drain(self) -> None:
        """Lets no call in any more, tells streams to end, and returns when all calls have ended.

        What has not ended within `drain_s` is cancelled: a batch of it that was not acknowledged is sent
        again by its connector.
        """
        if self._draining:
            return
        self._draining = True
        _log.info("draining", extra={"seconds": self._settings.drain_s})
        await self._health.enter_graceful_shutdown()
        self._interceptor.drain()
        await asyncio.gather(
            self._server.stop(self._settings.drain_s), *(service.drain() for service in self._parts.services)
        )
        _log.info("drained")

    async def stop(self) -> None:
        """Ends what has not ended by itself. Does nothing after `drain`."""
        await self._server.stop(None)
        if self._http is not None:
            await self._http.stop()

    def _options(self) -> list[tuple[str, int]]:
        return [
            # Off, a second gateway on the port is refused instead of getting half of the connections.
            ("grpc.so_reuseport", int(self._shared_ports)),
            ("grpc.max_receive_message_length", self._settings.grpc.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _LARGEST_METADATA),
            ("grpc.enable_channelz", 1),
            # Connectors keep idle connections alive through firewalls; once in ten seconds is no abuse.
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            # A connector that vanished frees its stream.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
        ]

    def _listen(self) -> int:
        host = self._settings.grpc.host
        address = (
            f"[{host}]:{self._settings.grpc.port}" if ":" in host else f"{host}:{self._settings.grpc.port}"
        )
        if not self._shared_ports:
            # gRPC's own refusal does not say why.
            bound_socket(host, self._settings.grpc.port, setting="grpc").close()
        try:
            if self._tls is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, self._tls.grpc_credentials())
        except RuntimeError as error:
            raise ConfigurationError(
                (WrongSetting("grpc.port", f"{address} cannot be listened on: choose another address"),)
            ) from error

    def _http_socket(self) -> socket.socket:
        http = self._settings.http
        return bound_socket(http.host, http.port, setting="http", shared=self._shared_ports)

    def _http_tls(self) -> ssl.SSLContext | None:
        if self._tls is None or is_loopback(self._settings.http.host):
            return None
        return self._tls.http_context()

    def _http_app(self) -> Starlette:
        open_metrics = is_loopback(self._settings.http.host)
        return create_app(
            checks={"gateway": self._not_draining, **self._parts.checks},
            exposition=exposition,
            authorize_metrics=None if open_metrics else self._authorize_metrics,
            more=self._parts.routes,
        )

    async def _not_draining(self) -> None:
        if self._draining:
            raise Unavailable("GATEWAY_DRAINING", "the gateway is about to stop", fix="use another")

    async def _authorize_metrics(self, authorization: str) -> None:
        identity = await self._parts.authenticator.identify([("authorization", authorization)], {})
        await self._parts.permissions.require(identity, "metrics.read")
