"""Settings against the files they name, without starting anything."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from intelgraph.errors import FailedPrecondition
from intelgraph.gateway.data_directory import check_data_directory
from intelgraph.gateway.settings import ConfigurationError, Settings, WrongSetting
from intelgraph.gateway.tls import ServerTls, TlsFiles
from intelgraph.gateway.token_keys import parse_key_set
from intelgraph.keys.private_file import read_private
from intelgraph.keys.unlocking import KEY_BYTES


def check_files(settings: Settings) -> None:
    """Raises ConfigurationError for files that cannot be read or used, and a data directory that cannot be."""
    wrong = (
        *_wrong_data_directory(settings),
        *_wrong_tls(settings),
        *_wrong_token_keys(settings),
        *_wrong_unlocking(settings),
    )
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


def _wrong_data_directory(settings: Settings) -> Iterator[WrongSetting]:
    try:
        check_data_directory(settings.data_dir)
    except ConfigurationError as error:
        yield from error.wrong


def _wrong_tls(settings: Settings) -> Iterator[WrongSetting]:
    try:
        tls_of(settings)
    except ConfigurationError as error:
        yield from error.wrong


def _wrong_token_keys(settings: Settings) -> Iterator[WrongSetting]:
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


def _wrong_unlocking(settings: Settings) -> Iterator[WrongSetting]:
    """What is wrong with the files that unlock the keyring, as `keys.unlocking` wants them."""
    local = settings.keys.local
    named = (("key_file", local.key_file), ("passphrase_file", local.passphrase_file))
    for setting, path in named:
        if path is None:
            continue
        try:
            content = read_private(path, group_may_read=True)
        except OSError as error:
            yield WrongSetting(
                f"keys.local.{setting}",
                f"{path} cannot be read ({error.strerror}): put the file back, or name where it is",
            )
        except FailedPrecondition as error:
            yield WrongSetting(f"keys.local.{setting}", f"{error.message}: {error.fix}")
        else:
            if setting == "key_file" and len(content) != KEY_BYTES:
                yield WrongSetting(
                    "keys.local.key_file", f"{path} does not hold {KEY_BYTES} bytes: name one that does"
                )
            elif not content.removesuffix(b"\n").removesuffix(b"\r"):
                yield WrongSetting(f"keys.local.{setting}", f"{path} is empty: put the passphrase into it")
