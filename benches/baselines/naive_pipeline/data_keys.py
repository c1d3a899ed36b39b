"""One AES-256-GCM data key per tenant, wrapped once by a master key."""

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BITS = 256


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key ready for use, and its wrapped form for storage."""

    cipher: AESGCM
    wrapped: bytes

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypts under a random nonce: `nonce(12) | ciphertext | tag(16)`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, plaintext, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Reverses `seal`.

        Raises:
            cryptography.exceptions.InvalidTag: if value, key and `aad` do not belong together.
        """
        return self.cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)


class DataKeys:
    """The data keys of all tenants, made when first asked for."""

    def __init__(self) -> None:
        self._master = AESGCM(AESGCM.generate_key(_KEY_BITS))
        self._by_tenant: dict[str, DataKey] = {}

    def of(self, tenant: str) -> DataKey:
        """The tenant's data key."""
        key = self._by_tenant.get(tenant)
        if key is None:
            key = self._by_tenant[tenant] = self._generate(tenant)
        return key

    def _generate(self, tenant: str) -> DataKey:
        plain = AESGCM.generate_key(_KEY_BITS)
        nonce = os.urandom(_NONCE_BYTES)
        return DataKey(AESGCM(plain), nonce + self._master.encrypt(nonce, plain, tenant.encode()))
