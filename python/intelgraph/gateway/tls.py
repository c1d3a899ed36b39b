"""The gateway's certificate and client CA, read again when their files change."""

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: chain and key of the gateway, and the CA of client certificates where those are required."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class _Material:
    """What the files held at one moment; `version` counts the changes."""

    version: int
    certificate: bytes
    key: bytes
    client_ca: bytes | None
    http: ssl.SSLContext

    def for_grpc(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self.key, self.certificate)], root_certificates=self.client_ca
        )


class ServerTls:
    """TLS of both listeners. With a client CA, every gRPC connection must show a certificate of it.

    The files are looked at in each handshake. New ones that cannot be read or do not fit together are not
    taken: the former stay in use and the log says so.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Raises OSError and ssl.SSLError for files that cannot be read or do not fit together."""
        self._files = files
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._status = self._stat()
        self._material = self._read(version=1)

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials for `add_secure_port`."""
        seen = self._material.version

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal seen
            material = self._present()
            if material.version == seen:
                return None
            seen = material.version
            return material.for_grpc()

        return grpc.dynamic_ssl_server_credentials(
            self._material.for_grpc(),
            changed,  # type: ignore[arg-type] # None stands for no change, which the stub leaves out
            require_client_authentication=self._files.client_ca is not None,
        )

    def http_context(self) -> ssl.SSLContext:
        """A context that gives each connection the present certificate, and asks for no client's."""

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._present().http

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key)
        context.sni_callback = choose
        return context

    def _present(self) -> _Material:
        with self._lock:
            try:
                status = self._stat()
                if status != self._status:
                    self._material = self._read(self._material.version + 1)
                    self._status = status
                    _log.info("certificate reloaded", extra={"path": str(self._files.certificate)})
            except (OSError, ssl.SSLError, ValueError) as error:
                _log.error("certificate not reloaded", extra={"cause": type(error).__name__})
            return self._material

    def _stat(self) -> tuple[tuple[int, int], ...]:
        paths = (self._files.certificate, self._files.key, self._files.client_ca)
        return tuple(
            (status.st_mtime_ns, status.st_ino)
            for status in (path.stat() for path in paths if path is not None)
        )

    def _read(self, version: int) -> _Material:
        http = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        http.load_cert_chain(self._files.certificate, self._files.key)
        client_ca = self._files.client_ca.read_bytes() if self._files.client_ca is not None else None
        if client_ca is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=client_ca.decode("ascii"))
        return _Material(
            version, self._files.certificate.read_bytes(), self._files.key.read_bytes(), client_ca, http
        )
