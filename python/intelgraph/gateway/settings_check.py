"""Settings against the files they name, without starting anything."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from intelgraph.gateway.settings import ConfigurationError, Settings, WrongSetting
from intelgraph.gateway.tls import ServerTls, TlsFiles
from intelgraph.gateway.token_keys import parse_key_set


def check_files(settings: Settings) -> None:
    """Raises ConfigurationError for files that cannot be read or used."""
    wrong = (*_wrong_tls(settings), *_wrong_keys(settings))
    if wrong:
        raise ConfigurationError(wrong)


def tls_of(settings: Settings) -> ServerTls | None:
    """TLS as the settings want it; None where they want none. Raises ConfigurationError."""
    tls = settings.tls
    if tls.certificate is None or tls.key is None:
        return None
    try:
        return ServerTls(TlsFiles(tls.certificate, tls.key, tls.client_ca))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            (WrongSetting("tls", f"the files cannot be used ({error}): name PEM files that fit together"),)
        ) from error


def _wrong_tls(settings: Settings) -> Iterator[WrongSetting]:
    try:
        tls_of(settings)
    except ConfigurationError as error:
        yield from error.wrong


def _wrong_keys(settings: Settings) -> Iterator[WrongSetting]:
    jwks = settings.auth.jwks
    if jwks is None or urlsplit(jwks).scheme:
        return
    try:
        keys = parse_key_set(Path(jwks).read_bytes())
    except (OSError, ValueError) as error:
        yield WrongSetting("auth.jwks", f"{jwks} is no JSON Web Key Set ({type(error).__name__}): name one")
        return
    if not keys:
        yield WrongSetting(
            "auth.jwks",
            f"{jwks} has no usable key: give Ed25519, P-256 or RSA of 2,048 bits or more, each with a kid",
        )
