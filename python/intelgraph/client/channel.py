"""The gRPC channel: where the gateway is, TLS, and what gRPC repeats by itself.

A token never leaves the machine in the clear: without TLS only loopback addresses and Unix sockets are taken.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import orjson

from intelgraph.errors import FailedPrecondition

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_ADDRESS: Final = "127.0.0.1:7443"

# Methods that may run twice without harm. `CreateTenant` and what decides on an approval are not among them: their
# repetition is refused.
_REPEATABLE: Final = {
    "ApprovalService": ("GetApproval", "ListApprovals", "ListApproverKeys"),
    "ContractService": ("UpsertContract", "GetContract", "ListContracts", "ValidateRecords"),
    "EntityService": ("Get", "Diff", "History"),
    "EnvelopeService": ("Encrypt", "Decrypt"),
    "QuarantineService": ("ListQuarantine", "GetQuarantine"),
    "TenantService": ("ListTenants", "UpdateTenantLimits", "SuspendTenant", "OffboardTenant"),
}


@dataclass(frozen=True, slots=True)
class Tls:
    """How the gateway proves who it is and, with `certificate` and `key`, how the client does (mTLS).

    Files are PEM. Without `ca` the system's authorities are trusted.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def open_channel(address: str, tls: Tls | None) -> grpc.aio.Channel:
    """A channel to `address` (`host:port`, `dns:///host:port` or `unix:path`); it connects when it is used.

    Raises FailedPrecondition (TLS_REQUIRED) for an address beyond loopback without TLS, and OSError where a
    file of `tls` cannot be read.
    """
    if tls is not None:
        return grpc.aio.secure_channel(address, _credentials(tls), options=_options())
    if not is_loopback(address):
        raise FailedPrecondition(
            reason="TLS_REQUIRED",
            message=f"{address} is not a loopback address, and tokens must not cross a network in the clear",
            fix="give the CA that the gateway's certificate is signed by: tls=Tls(ca=Path(…)), or --ca",
        )
    return grpc.aio.insecure_channel(address, options=_options())


def is_loopback(address: str) -> bool:
    """Whether the address cannot leave the machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.removeprefix("dns:///").removeprefix("ipv4:").removeprefix("ipv6:").rpartition(":")[0]
    host = host.removeprefix("[").removesuffix("]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=tls.ca.read_bytes() if tls.ca else None,
        private_key=tls.key.read_bytes() if tls.key else None,
        certificate_chain=tls.certificate.read_bytes() if tls.certificate else None,
    )


def _options() -> list[tuple[str, str | int]]:
    return [
        ("grpc.service_config", _service_config()),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Clients of one process do not share connections, nor each other's back-off.
        ("grpc.use_local_subchannel_pool", 1),
        # A gateway that restarts is back within seconds; gRPC's own back-off grows to 2 minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # A peer that vanished without closing is noticed within a minute.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 15_000),
    ]


def _service_config() -> str:
    names = [
        {"service": f"intelgraph.gateway.v1.{service}", "method": method}
        for service, methods in _REPEATABLE.items()
        for method in methods
    ]
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return orjson.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]}).decode()
