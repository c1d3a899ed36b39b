"""Which tokens hold, and what is said about those that do not."""

import base64
import hashlib
import hmac
import json
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from intelgraph.errors import Unauthenticated, Unavailable
from intelgraph.gateway import tokens
from intelgraph.gateway.token_keys import KeyFile
from intelgraph.gateway.tokens import TokenVerifier
from tests.gateway.token_issuer import ALGORITHMS, TokenIssuer, generate, public_jwk, public_pem

LEEWAY = 30.0


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer()


@pytest.fixture
def verifier(issuer: TokenIssuer, tmp_path: Path) -> TokenVerifier:
    return TokenVerifier(KeyFile(issuer.write_key_set(tmp_path / "jwks.json")), "intelgraph", leeway=LEEWAY)


async def reason_of(verifier: TokenVerifier, token: str) -> str:
    """Why a token is refused; the refusal must not quote it."""
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)
    assert refused.value.fix
    for part in token.split("."):
        assert len(part) < 8 or part not in str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithm_holds(verifier: TokenVerifier, issuer: TokenIssuer, algorithm: str) -> None:
    claims = await verifier.verify(
        issuer.mint(algorithm=algorithm, roles=["analyst", "auditor"], exp=4102444800)
    )
    assert claims.subject == "ada"
    assert claims.tenant == "acme"
    assert claims.roles == {"analyst", "auditor"}
    assert claims.expires_at == 4102444800 + LEEWAY


@pytest.mark.parametrize(
    ("claims", "machine"),
    [
        ({}, False),
        ({"client_id": "console"}, False),
        ({"client_id": "ada"}, True),
        ({"client_id": ["ada"]}, False),
        ({"sub": "nightly-export", "client_id": "nightly-export"}, True),
    ],
)
async def test_a_token_that_a_program_got_for_itself_is_a_machines(
    verifier: TokenVerifier, issuer: TokenIssuer, claims: dict[str, Any], machine: bool
) -> None:
    assert (await verifier.verify(issuer.mint(**claims))).machine is machine


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": int(time.time()) - 3600}, "TOKEN_EXPIRED"),
        ({"aud": "another"}, "TOKEN_AUDIENCE"),
        ({"without": ("aud",)}, "TOKEN_CLAIMS"),
        ({"without": ("exp",)}, "TOKEN_CLAIMS"),
        ({"without": ("sub",)}, "TOKEN_CLAIMS"),
        ({"sub": "bob "}, "TOKEN_SUBJECT"),
        ({"sub": "al\u200bice\u202e"}, "TOKEN_SUBJECT"),
        ({"sub": "bob\nalice"}, "TOKEN_SUBJECT"),
        ({"without": ("tenant",)}, "TOKEN_CLAIMS"),
        ({"sub": ""}, "TOKEN_CLAIMS"),
        ({"tenant": ["acme"]}, "TOKEN_CLAIMS"),
        ({"roles": "operator"}, "TOKEN_CLAIMS"),
        ({"roles": [1]}, "TOKEN_CLAIMS"),
        ({"nbf": int(time.time()) + 3600}, "TOKEN_NOT_YET_VALID"),
        ({"iat": int(time.time()) + 3600}, "TOKEN_NOT_YET_VALID"),
        ({"kid": "never-seen"}, "TOKEN_KEY_UNKNOWN"),
        ({"kid": "ES256"}, "TOKEN_ALGORITHM"),
        ({"kid": ""}, "TOKEN_KEY_UNKNOWN"),
    ],
)
async def test_refused(
    verifier: TokenVerifier, issuer: TokenIssuer, change: dict[str, Any], reason: str
) -> None:
    assert await reason_of(verifier, issuer.mint(**change)) == reason


async def test_leeway_bears_with_clocks_that_differ(verifier: TokenVerifier, issuer: TokenIssuer) -> None:
    now = int(time.time())
    await verifier.verify(issuer.mint(exp=now - 20))
    await verifier.verify(issuer.mint(nbf=now + 20, iat=now + 20))
    assert await reason_of(verifier, issuer.mint(exp=now - 40)) == "TOKEN_EXPIRED"
    assert await reason_of(verifier, issuer.mint(nbf=now + 40)) == "TOKEN_NOT_YET_VALID"


async def test_token_that_held_expires_all_the_same(
    verifier: TokenVerifier, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.mint(exp=int(time.time()) + 60)
    await verifier.verify(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60 + LEEWAY - 5)
    await verifier.verify(token)
    monkeypatch.setattr(time, "time", lambda: now + 60 + LEEWAY + 5)
    monkeypatch.setattr(jwt.api_jwt, "datetime", _Later)
    assert await reason_of(verifier, token) == "TOKEN_EXPIRED"


class _Later(datetime):
    """A clock that has moved on by two minutes."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Later":
        return super().now(tz) + timedelta(minutes=2)


async def test_token_that_held_falls_with_its_key(issuer: TokenIssuer, tmp_path: Path) -> None:
    file = issuer.write_key_set(tmp_path / "jwks.json")
    verifier = TokenVerifier(KeyFile(file), "intelgraph")
    token = issuer.mint()
    await verifier.verify(token)
    withdrawn = [key for key in issuer.key_set()["keys"] if key["kid"] != "EdDSA"]
    file.write_text(json.dumps({"keys": withdrawn}))
    assert await reason_of(verifier, token) == "TOKEN_KEY_UNKNOWN"


async def test_remembered_tokens_are_bounded(verifier: TokenVerifier, issuer: TokenIssuer) -> None:
    for number in range(30):
        await verifier.verify(issuer.mint(jti=str(number)))
    assert len(verifier._held) == 30
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_MOST_REMEMBERED", 30)
        for number in range(20):
            await verifier.verify(issuer.mint(jti=f"more {number}"))
    assert len(verifier._held) == 30


async def test_issuer_is_checked_where_it_is_set(issuer: TokenIssuer, tmp_path: Path) -> None:
    keys = KeyFile(issuer.write_key_set(tmp_path / "jwks.json"))
    verifier = TokenVerifier(keys, "intelgraph", issuer="https://id.example")
    await verifier.verify(issuer.mint(iss="https://id.example"))
    assert await reason_of(verifier, issuer.mint(iss="https://other.example")) == "TOKEN_ISSUER"
    assert await reason_of(verifier, issuer.mint()) in {"TOKEN_ISSUER", "TOKEN_CLAIMS"}


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Header and payload of a JWT without a signature."""
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)
    )


def good_claims() -> dict[str, Any]:
    """Claims that would hold."""
    return {"sub": "eve", "tenant": "acme", "roles": ["operator"], "aud": "intelgraph", "exp": 4102444800}


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
async def test_algorithm_none_is_refused(verifier: TokenVerifier, algorithm: str) -> None:
    token = unsigned({"alg": algorithm, "kid": "EdDSA", "typ": "JWT"}, good_claims()) + "."
    assert await reason_of(verifier, token) in {"TOKEN_ALGORITHM", "TOKEN_MALFORMED"}


@pytest.mark.parametrize("kid", ["RS256", "ES256"])
async def test_public_key_as_hmac_secret_is_refused(
    verifier: TokenVerifier, issuer: TokenIssuer, kid: str
) -> None:
    """RFC 8725 §2.1: an attacker signs with HMAC and the public key, which everyone has."""
    signed = unsigned({"alg": "HS256", "kid": kid, "typ": "JWT"}, good_claims())
    mac = hmac.new(public_pem(issuer.keys[kid]), signed.encode(), hashlib.sha256).digest()
    token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert await reason_of(verifier, token) == "TOKEN_ALGORITHM"


async def test_changed_payload_is_refused(verifier: TokenVerifier, issuer: TokenIssuer) -> None:
    header, _, signature = issuer.mint().split(".")
    _, payload = unsigned({}, good_claims()).split(".")
    assert await reason_of(verifier, f"{header}.{payload}.{signature}") == "TOKEN_SIGNATURE"


async def test_signature_of_another_key_is_refused(verifier: TokenVerifier) -> None:
    token = jwt.encode(good_claims(), generate("EdDSA"), algorithm="EdDSA", headers={"kid": "EdDSA"})
    assert await reason_of(verifier, token) == "TOKEN_SIGNATURE"


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "\N{SNOWMAN}", "e30.e30.", "a" * 20_000])
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    assert await reason_of(verifier, token) in {"TOKEN_MALFORMED", "TOKEN_KEY_UNKNOWN"}


async def test_keys_that_must_not_verify_are_passed_over(tmp_path: Path) -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    wide = ec.generate_private_key(ec.SECP384R1())
    fit = generate("EdDSA")
    private = public_jwk(fit, "private", d="nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    keys = [
        public_jwk(small, "small"),
        public_jwk(wide, "wide"),
        public_jwk(fit, "encrypts", use="enc"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {key: value for key, value in public_jwk(fit, "x").items() if key != "kid"},
        private,
        public_jwk(fit, "fit"),
    ]
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    source = KeyFile(file)
    for kid in ("small", "wide", "encrypts", "shared", "x", "private"):
        assert await source.key(kid) is None, kid
    assert await source.key("fit") is not None


async def test_key_file_is_read_again_when_it_changes(issuer: TokenIssuer, tmp_path: Path) -> None:
    file = issuer.write_key_set(tmp_path / "jwks.json")
    verifier = TokenVerifier(KeyFile(file), "intelgraph")
    await verifier.verify(issuer.mint())
    rotated = TokenIssuer()
    rotated.write_key_set(tmp_path / "next.json")
    (tmp_path / "next.json").replace(file)
    assert await reason_of(verifier, issuer.mint()) == "TOKEN_SIGNATURE"
    await verifier.verify(rotated.mint())


@pytest.mark.parametrize("content", [None, "", "[]", '{"keys": []}', '{"keys": 3}'])
async def test_unusable_key_file_trusts_nobody(
    issuer: TokenIssuer, tmp_path: Path, content: str | None
) -> None:
    file = issuer.write_key_set(tmp_path / "jwks.json")
    verifier = TokenVerifier(KeyFile(file), "intelgraph")
    await verifier.verify(issuer.mint())
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    with pytest.raises(Unavailable, match="JWKS_UNREACHABLE"):
        await verifier.verify(issuer.mint())
