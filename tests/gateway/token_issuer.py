"""A token issuer of the tests' own, with a key of each kind that the gateway takes."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ALGORITHMS = ("EdDSA", "ES256", "RS256")


def generate(algorithm: str) -> PrivateKey:
    """A private key for an algorithm."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def public_jwk(key: PrivateKey, kid: str, **members: str) -> dict[str, Any]:
    """The public half of a key as a JSON Web Key."""
    converter: Any = {
        ed25519.Ed25519PrivateKey: OKPAlgorithm,
        ec.EllipticCurvePrivateKey: ECAlgorithm,
        rsa.RSAPrivateKey: RSAAlgorithm,
    }
    algorithm = next(converter[kind] for kind in converter if isinstance(key, kind))
    return dict(algorithm.to_jwk(key.public_key(), as_dict=True)) | {"kid": kid} | members


def public_pem(key: PrivateKey) -> bytes:
    """The public half of a key as PEM."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class TokenIssuer:
    """Its key ids are the names of the algorithms."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {algorithm: generate(algorithm) for algorithm in ALGORITHMS}

    def key_set(self) -> dict[str, Any]:
        """The JSON Web Key Set."""
        return {"keys": [public_jwk(key, kid, use="sig") for kid, key in self.keys.items()]}

    def write_key_set(self, path: Path) -> Path:
        """Writes the key set to a file and returns its path."""
        path.write_text(json.dumps(self.key_set()))
        return path

    def mint(
        self,
        *,
        algorithm: str = "EdDSA",
        kid: str | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token of tenant `acme` with the role analyst, unless `claims` say otherwise.

        An empty `kid` is left out.
        """
        now = int(time.time())
        payload: dict[str, Any] = {
            "sub": "ada",
            "tenant": "acme",
            "roles": ["analyst"],
            "aud": "intelgraph",
            "iat": now,
            "exp": now + 300,
        } | claims
        for claim in without:
            del payload[claim]
        kid = algorithm if kid is None else kid
        return jwt.encode(
            payload, self.keys[algorithm], algorithm=algorithm, headers={"kid": kid} if kid else None
        )
