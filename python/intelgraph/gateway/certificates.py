"""Client certificates: the caller's identity from the one URI in the certificate (SPIFFE X.509-SVID).

`spiffe://<trust domain>/tenant/<tenant>/role/<role>[+<role>…]/<subject>`. The chain was verified against the
client CA in the handshake; here only the name is read.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509

from intelgraph.errors import Unauthenticated

_PATH: Final = re.compile(
    r"spiffe://(?P<domain>[a-z0-9._-]{1,255})/tenant/(?P<tenant>[a-z0-9][a-z0-9-]{0,62})"
    r"/role/(?P<roles>[a-z0-9-]+(?:\+[a-z0-9-]+)*)/(?P<subject>[A-Za-z0-9._/-]{1,255})"
)


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """What a certificate says. `expires_at` is its notAfter, in seconds since the Unix epoch."""

    trust_domain: str
    subject: str
    tenant: str
    roles: frozenset[str]
    expires_at: float


@lru_cache(maxsize=1024)  # one connection shows the same certificate on every call
def identity_of(certificate: bytes) -> CertificateIdentity | None:
    """The identity in a PEM certificate; None where its URI is of another kind, or there is none.

    Raises Unauthenticated CERTIFICATE_NAMES if it has several URIs: which of them would count is not defined
    (SPIFFE X.509-SVID §2).
    """
    parsed = x509.load_pem_x509_certificate(certificate)
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) > 1:
        raise Unauthenticated(
            "CERTIFICATE_NAMES",
            "the client certificate has several URI names",
            fix="issue a certificate with exactly one URI, of the form"
            " spiffe://<trust domain>/tenant/<tenant>/role/<role>/<subject>",
        )
    match = _PATH.fullmatch(uris[0]) if uris else None
    if match is None:
        return None
    return CertificateIdentity(
        trust_domain=match["domain"],
        subject=match["subject"],
        tenant=match["tenant"],
        roles=frozenset(match["roles"].split("+")),
        expires_at=parsed.not_valid_after_utc.timestamp(),
    )
