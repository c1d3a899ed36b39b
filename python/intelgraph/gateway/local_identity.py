"""Identity without an issuer: a signing key of the data directory's own, for use on loopback.

Whoever can read the data directory can mint a token for any tenant of it; it is 0700. The gateway trusts this
key only while no other issuer is configured and it listens on loopback.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID, uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from intelgraph.errors import FailedPrecondition
from intelgraph.provenance.actor import account
from intelgraph.provenance.minted_file import MintedLine, record

DEFAULT_LIFETIME_S: Final = 3600.0
_KEY: Final = "local-signing-key.pem"
_PUBLIC: Final = "local-jwks.json"


class LocalIssuer:
    """Mints tokens with the key in `<data directory>/identity`."""

    def __init__(self, key: Ed25519PrivateKey, kid: str, directory: Path) -> None:
        self._key = key
        self._kid = kid
        self._directory = directory

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """The issuer of a data directory in use.

        Raises OSError if its key cannot be read, and FailedPrecondition LOCAL_KEY_UNUSABLE if it is none.
        """
        path = data_dir / "identity" / _KEY
        content = path.read_bytes()
        try:
            key = serialization.load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Neither the text of the error nor its chain is passed on: they may quote the key.
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise FailedPrecondition(
                "LOCAL_KEY_UNUSABLE",
                f"{path} is not an Ed25519 private key in PEM without a passphrase",
                fix="restore it, or remove it and start the gateway again: it makes a new key, and tokens that"
                " were minted with the former one end",
            )
        return cls(key, _thumbprint(key), path.parent)

    @classmethod
    def ensure(cls, data_dir: Path) -> Self:
        """The issuer of a data directory, with a new key if it has none. Safe among processes.

        The private key is the truth: a public set that does not fit it, because one of the two files was lost
        or restored, is written anew. Raises as `open`.
        """
        directory = data_dir / "identity"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / _KEY).exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            _write_once(directory / _KEY, pem)
        issuer = cls.open(data_dir)
        public_set = issuer.public_set()
        if _content(directory / _PUBLIC) != public_set:
            _write(directory / _PUBLIC, public_set)
        return issuer

    @staticmethod
    def public_keys(data_dir: Path) -> Path:
        """The JSON Web Key Set that verifies the tokens."""
        return data_dir / "identity" / _PUBLIC

    def mint(
        self,
        tenant: str,
        roles: Iterable[str],
        *,
        subject: str,
        audience: str,
        lifetime: float = DEFAULT_LIFETIME_S,
        attributes: Mapping[str, str] | None = None,
    ) -> str:
        """A token that is valid from now for `lifetime` seconds, once it is written down for the ledger.

        Raises FailedPrecondition TOKEN_NOT_WRITTEN_DOWN.
        """
        now, token_id = int(time.time()), uuid4()
        claims: dict[str, Any] = {
            "sub": subject,
            "tenant": tenant,
            "roles": sorted(roles),
            "aud": audience,
            "iss": "intelgraph-local",
            "iat": now,
            "exp": now + int(lifetime),
            "jti": str(token_id),
        }
        if attributes:
            claims["ig_attrs"] = dict(attributes)
        _write_down(self._directory, token_id, claims)
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._kid})

    def public_set(self) -> bytes:
        """The JSON Web Key Set of the one key."""
        public = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        key = public | {"kid": self._kid, "use": "sig", "alg": "EdDSA"}
        return json.dumps({"keys": [key]}, indent=2).encode()


def _write_down(directory: Path, token_id: UUID, claims: Mapping[str, Any]) -> None:
    line = MintedLine(
        token_id=token_id,
        tenant=claims["tenant"],
        holder=claims["sub"],
        roles=tuple(claims["roles"]),
        minted_us=claims["iat"] * 1_000_000,
        expires_us=claims["exp"] * 1_000_000,
        by=account(),
    )
    try:
        record(directory, line)
    except OSError as error:
        raise FailedPrecondition(
            "TOKEN_NOT_WRITTEN_DOWN",
            f"the token cannot be written down in {directory} ({error.strerror}), and is not given out",
            fix="make room, and mint as an account that may write there",
        ) from error


def _thumbprint(key: Ed25519PrivateKey) -> str:
    """The key's id: its public bytes, shortened, as text."""
    return key.public_key().public_bytes_raw().hex()[:16]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write_once(path: Path, content: bytes) -> None:
    """Writes a file that is whole when it appears, 0600; one that another process wrote first stays."""
    scratch = _scratch(path, content)
    try:
        os.link(scratch, path)
    except FileExistsError:
        return
    finally:
        scratch.unlink()


def _write(path: Path, content: bytes) -> None:
    """Writes a file that is whole when it appears, 0600, in place of the one that was there."""
    _scratch(path, content).replace(path)


def _scratch(path: Path, content: bytes) -> Path:
    """A file of this process beside `path` with what is to stand there, synced."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        scratch.unlink()
        raise
    return scratch
