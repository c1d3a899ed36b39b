"""The keys that approvers sign with: Ed25519 (RFC 8032), and ES256, which is ECDSA with P-256 and SHA-256.

A public key is kept as SubjectPublicKeyInfo in DER (RFC 5280) and known by the SHA-256 of that. Signatures have
64 bytes: those of RFC 8032, or r and s of RFC 7518 section 3.4.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from intelgraph.errors import InvalidArgument

ED25519: Final = "Ed25519"
ES256: Final = "ES256"
SIGNATURE_BYTES: Final = 64
_HALF: Final = SIGNATURE_BYTES // 2


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of an approver."""

    algorithm: str
    der: bytes

    @classmethod
    def read(cls, encoded: bytes) -> Self:
        """The key in PEM or DER. Raises InvalidArgument APPROVER_KEY_INVALID."""
        load = (
            serialization.load_pem_public_key
            if encoded.lstrip().startswith(b"-----")
            else serialization.load_der_public_key
        )
        try:
            key = load(encoded)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if isinstance(key, Ed25519PublicKey):
            return cls(ED25519, _spki(key))
        if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            return cls(ES256, _spki(key))
        raise InvalidArgument(
            "APPROVER_KEY_INVALID",
            "it is neither an Ed25519 nor a P-256 public key",
            fix="give the public half, in PEM; `intelgraph approvals key generate` makes a key",
        )

    @property
    def key_id(self) -> bytes:
        """By what the key is known."""
        return hashlib.sha256(self.der).digest()

    def verify(self, statement: bytes, signature: bytes) -> None:
        """Raises InvalidArgument APPROVAL_SIGNATURE_INVALID unless the key signed the statement."""
        key = serialization.load_der_public_key(self.der)
        try:
            if len(signature) != SIGNATURE_BYTES:
                raise InvalidSignature
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, statement)
            elif isinstance(key, EllipticCurvePublicKey):
                halves = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
                key.verify(encode_dss_signature(*halves), statement, ECDSA(hashes.SHA256()))
            else:
                raise InvalidSignature
        except InvalidSignature:
            raise InvalidArgument(
                "APPROVAL_SIGNATURE_INVALID",
                "the signature is not one of that key over that statement",
                fix="sign the statement of docs/approvals.md with the registered key; --sign-with does",
            ) from None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half, for those who sign: the command line and tests. The gateway never has one."""

    _key: Ed25519PrivateKey | EllipticCurvePrivateKey

    @classmethod
    def generate(cls, algorithm: str = ED25519) -> Self:
        """A new key."""
        return cls(
            Ed25519PrivateKey.generate() if algorithm == ED25519 else generate_private_key(SECP256R1())
        )

    @classmethod
    def read(cls, pem: bytes, passphrase: bytes | None = None) -> Self:
        """The key in PEM. Raises InvalidArgument APPROVER_KEY_UNREADABLE, which never quotes it."""
        try:
            key = serialization.load_pem_private_key(pem, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if isinstance(key, Ed25519PrivateKey) or (
            isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
        ):
            return cls(key)
        raise InvalidArgument(
            "APPROVER_KEY_UNREADABLE",
            "the file holds no Ed25519 or P-256 private key in PEM that this passphrase opens",
            fix="name the file that `intelgraph approvals key generate` wrote",
        )

    @property
    def key_id(self) -> bytes:
        """By what the key is known."""
        return self.public.key_id

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey.read(_spki(self._key.public_key()))

    def sign(self, statement: bytes) -> bytes:
        """64 bytes."""
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(statement)
        r, s = decode_dss_signature(self._key.sign(statement, ECDSA(hashes.SHA256())))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)

    def pem(self, passphrase: bytes | None = None) -> bytes:
        """PKCS #8, encrypted where there is a passphrase."""
        protection: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
        )


def _spki(key: Ed25519PublicKey | EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
