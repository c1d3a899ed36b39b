"""From a token or a certificate to an identity whose tenant is served.

Where both are configured every connection shows a certificate. A call with a token is the token's; if the
certificate names a tenant too, it must be the same. A call without one is the certificate's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from intelgraph.errors import PermissionDenied, Unauthenticated
from intelgraph.gateway.certificates import CertificateIdentity, identity_of
from intelgraph.gateway.identity import Identity
from intelgraph.gateway.tokens import TokenVerifier
from intelgraph.tenants.registry import Tenant, TenantState

_SCHEME: Final = "bearer "


class TenantDirectory(Protocol):
    """Where tenants are looked up."""

    async def get(self, name: str) -> Tenant:
        """The tenant of that name. Raises PermissionDenied TENANT_UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """`tokens` is None where no issuer is trusted, `trust_domain` where no client CA is.

    `platform_tenant` is the name of the tenant that administers the gateway.
    """

    tenants: TenantDirectory
    tokens: TokenVerifier | None
    trust_domain: str | None
    platform_tenant: str

    async def identify(
        self, metadata: Iterable[tuple[str, str | bytes]], transport: Mapping[str, Iterable[bytes]]
    ) -> Identity:
        """The caller of an RPC: `metadata` as invoked, `transport` as gRPC's auth context.

        Raises Unauthenticated, and PermissionDenied where the tenant is not served.
        """
        certificate = self._certificate(transport)
        token = _bearer_token(metadata)
        if token is not None:
            identity = await self.verify_token(token)
            if certificate is not None and certificate.tenant != identity.tenant.name:
                raise Unauthenticated(
                    "IDENTITY_MISMATCH",
                    "the token and the client certificate name different tenants",
                    fix="use a token and a certificate of the same tenant",
                )
            return identity
        if certificate is None:
            raise Unauthenticated(
                "IDENTITY_MISSING",
                "the call carries neither an access token nor a client certificate that names a tenant",
                fix="send the metadata `authorization: Bearer <token>`; locally `intelgraph token` mints one",
            )
        return Identity(
            tenant=await self.served(certificate.tenant),
            subject=certificate.subject,
            roles=certificate.roles,
            expires_at=certificate.expires_at,
            method="mtls",
            platform=certificate.tenant == self.platform_tenant,
            machine=True,
        )

    async def verify_token(self, raw: str) -> Identity:
        """The identity of a token. Raises as `identify` does."""
        if self.tokens is None:
            raise Unauthenticated(
                "TOKEN_NOT_ACCEPTED",
                "this gateway accepts client certificates only",
                fix="call without a token, or set auth.jwks",
            )
        claims = await self.tokens.verify(raw)
        return Identity(
            tenant=await self.served(claims.tenant),
            subject=claims.subject,
            roles=claims.roles,
            expires_at=claims.expires_at,
            method="jwt",
            platform=claims.tenant == self.platform_tenant,
            machine=claims.machine,
            attributes=claims.attributes,
        )

    async def served(self, name: str) -> Tenant:
        """The tenant, if it may be served now.

        Raises PermissionDenied TENANT_UNKNOWN, TENANT_SUSPENDED or TENANT_OFFBOARDED.
        """
        tenant = await self.tenants.get(name)
        if tenant.state is TenantState.SUSPENDED:
            raise PermissionDenied(
                "TENANT_SUSPENDED", "the tenant is suspended", fix="ask the operator to let it go on"
            )
        if tenant.state is not TenantState.ACTIVE:
            raise PermissionDenied("TENANT_OFFBOARDED", "the tenant is offboarded", fix="use another tenant")
        return tenant

    def _certificate(self, transport: Mapping[str, Iterable[bytes]]) -> CertificateIdentity | None:
        """The certificate's identity, if it is of the trust domain that the client CA stands for."""
        certificates = tuple(transport.get("x509_pem_cert", ()))
        if self.trust_domain is None or len(certificates) != 1:
            return None
        identity = identity_of(certificates[0])
        return identity if identity is not None and identity.trust_domain == self.trust_domain else None


def _bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The token of the metadata `authorization` (RFC 6750 §2.1); None if there is no such metadata."""
    values = [value for key, value in metadata if key == "authorization"]
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not isinstance(value, str) or value[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated(
            "TOKEN_MALFORMED",
            "the metadata `authorization` is not one bearer token",
            fix="send it once, as `Bearer <token>`",
        )
    return value[len(_SCHEME) :].strip()
