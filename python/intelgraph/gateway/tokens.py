"""Access tokens: signed JWTs (RFC 7519) checked as RFC 8725 asks.

Claims: `sub` the caller, by a name that shows as it is (`intelgraph.person`), `tenant` the name of its tenant,
`roles` a list of role names, `aud` and `exp` as usual. Where `client_id` is the same as `sub`, the token was given
to a program for itself (RFC 9068 §2.2: no resource owner was involved) and not to a person. `ig_attrs`, an object
of texts, is what the issuer says of the caller besides: the policy reads it.

A caller sends the same token with every call, and to check a signature takes 0.2 ms, as long as a small call
takes altogether. So a token that held is remembered, by its hash, until it expires or its key is replaced.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from intelgraph.errors import Unauthenticated
from intelgraph.gateway.token_keys import TokenKeys
from intelgraph.person import names_a_person

_LONGEST_TOKEN: Final = 16 * 1024
_MOST_REMEMBERED: Final = 4096
_FAILURES: Final[tuple[tuple[type[jwt.InvalidTokenError], str, str, str], ...]] = (
    (jwt.ExpiredSignatureError, "TOKEN_EXPIRED", "the token has expired", "get a new token"),
    (
        jwt.ImmatureSignatureError,
        "TOKEN_NOT_YET_VALID",
        "the token is not valid yet",
        "check the clocks of the issuer and of the gateway",
    ),
    (
        jwt.InvalidAudienceError,
        "TOKEN_AUDIENCE",
        "the token is for another audience",
        "ask the issuer for the audience of the setting auth.audience",
    ),
    (
        jwt.InvalidIssuerError,
        "TOKEN_ISSUER",
        "the token is from another issuer",
        "use the issuer of the setting auth.issuer",
    ),
    (
        jwt.InvalidSignatureError,
        "TOKEN_SIGNATURE",
        "the signature of the token does not hold",
        "get a token from an issuer whose keys the gateway knows",
    ),
    (
        jwt.InvalidAlgorithmError,
        "TOKEN_ALGORITHM",
        "the token is not signed with the algorithm of its key",
        "sign with EdDSA, ES256 or RS256, as the key says",
    ),
    (
        jwt.InvalidTokenError,
        "TOKEN_CLAIMS",
        "a claim of the token is missing or has the wrong form",
        "issue exp, sub, aud, tenant (a name), roles (a list of names) and, if any, ig_attrs (an object of texts)",
    ),
)


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a valid token says. `expires_at` is in seconds since the Unix epoch, leeway included.

    `machine` says that it was issued to a client for itself: RFC 9068 section 2.2 gives it as subject then.
    """

    subject: str
    tenant: str
    roles: frozenset[str]
    expires_at: float
    machine: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a token said, and the key that vouched for it."""

    key: jwt.PyJWK
    claims: TokenClaims


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Checks tokens against the keys of the issuers; `leeway` in seconds bears with clocks that differ."""

    keys: TokenKeys
    audience: str
    issuer: str | None = None
    leeway: float = 30.0
    _jwt: jwt.PyJWT = field(default_factory=jwt.PyJWT, repr=False)
    _held: dict[bytes, _Held] = field(default_factory=dict, repr=False)

    async def verify(self, token: str) -> TokenClaims:
        """The claims of a token that holds.

        Raises Unauthenticated with a reason that begins with TOKEN_, and Unavailable JWKS_UNREACHABLE. No
        error contains any part of the token.
        """
        if len(token) > _LONGEST_TOKEN:
            raise _refused("TOKEN_MALFORMED", "the token is longer than 16 KiB", "send a JWT")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise _refused("TOKEN_MALFORMED", "the token is not a JWT", "send a signed JWT") from error
        key = await self.keys.key(kid) if isinstance(kid, str) else None
        if key is None:
            raise _refused(
                "TOKEN_KEY_UNKNOWN",
                "the token names no key that the gateway knows",
                "sign with a key of the set in auth.jwks and name it in the header kid",
            )
        digest = hashlib.sha256(token.encode()).digest()
        held = self._held.get(digest)
        if held is not None and held.key is key and time.time() < held.claims.expires_at:
            return held.claims
        claims = self._checked(token, key)
        if len(self._held) >= _MOST_REMEMBERED:
            self._held.pop(next(iter(self._held)))
        self._held[digest] = _Held(key, claims)
        return claims

    def _checked(self, token: str, key: jwt.PyJWK) -> TokenClaims:
        try:
            claims = self._jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=self.audience,
                issuer=self.issuer,
                leeway=self.leeway,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise _failure(error) from error
        return self._of(claims)

    def _of(self, claims: dict[str, Any]) -> TokenClaims:
        subject, tenant, roles = claims["sub"], claims.get("tenant"), claims.get("roles", [])
        attributes = claims.get("ig_attrs", {})
        if (
            not isinstance(tenant, str)
            or not subject
            or not isinstance(roles, list)
            or not all(isinstance(role, str) for role in roles)
            or not isinstance(attributes, dict)
            or not all(isinstance(value, str) for value in attributes.values())
        ):
            raise _failure(jwt.InvalidTokenError())
        if not names_a_person(subject):
            raise _refused(
                "TOKEN_SUBJECT",
                "the claim sub does not show as it is: two names that look alike could be two callers",
                "issue a sub without control, format or other invisible characters, or blanks at its ends",
            )
        return TokenClaims(
            subject,
            tenant,
            frozenset(roles),
            float(claims["exp"]) + self.leeway,
            machine=claims.get("client_id") == subject,
            attributes=attributes,
        )


def _failure(error: jwt.InvalidTokenError) -> Unauthenticated:
    return next(_refused(*words) for kind, *words in _FAILURES if isinstance(error, kind))


def _refused(reason: str, message: str, fix: str) -> Unauthenticated:
    return Unauthenticated(reason, message, fix=fix)
