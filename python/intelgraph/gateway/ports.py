"""The ports that the gateway listens on: free, or shared by the workers of one gateway and nobody else."""

import socket

from intelgraph.gateway.settings import ConfigurationError, WrongSetting


def bound_socket(host: str, port: int, *, setting: str, shared: bool = False) -> socket.socket:
    """A TCP socket bound to `host` and `port` (0: a free one) and not listening yet.

    With `shared`, sockets of the same account may bind it as well and the kernel spreads connections over
    those that listen (SO_REUSEPORT). Raises ConfigurationError, which names `setting`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            (
                WrongSetting(
                    f"{setting}.port",
                    f"{host}:{port} cannot be listened on ({error.strerror}): stop what uses it, or set"
                    f" {setting}.host and {setting}.port to an address of this host that is free",
                ),
            )
        ) from error
    return bound


def reserve(host: str, port: int, *, setting: str) -> socket.socket:
    """Finds a port for workers to share. It must be free now; nobody else gets it once a worker listens."""
    bound_socket(host, port, setting=setting).close()
    return bound_socket(host, port, setting=setting, shared=True)
