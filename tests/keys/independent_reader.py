"""Reads keyrings and key rows by their documented formats, with other code than the gateway's.

It shows that the formats are what `docs/keys.md` and the crate say, and it finds out the key bytes that must
appear nowhere.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intelgraph.storage.database import Database

_ENVELOPE = b"intelgraph/envelope/v1"
_ENTRY = 61


@dataclass(frozen=True)
class TenantSecrets:
    """All key bytes of one tenant."""

    keks: dict[int, bytes]
    tenant_keys: dict[UUID, bytes]
    deks: dict[bytes, bytes]
    index_key: bytes

    def all(self, tenant_id: UUID) -> dict[str, bytes]:
        """Each by a name, with what is derived of it to encrypt with."""
        found = {f"KEK {number}": kek for number, kek in self.keks.items()}
        for key_id, tenant_key in self.tenant_keys.items():
            found[f"tenant key {key_id}"] = tenant_key
            found[f"wrapping key of {key_id}"] = _derived(tenant_key, b"tenant-key/wrap" + tenant_id.bytes)
        for dek_id, dek in self.deks.items():
            found[f"DEK {dek_id.hex()}"] = dek
            found[f"encryption key of {dek_id.hex()}"] = _derived(dek, b"enc\x01" + tenant_id.bytes)
        found["index key"] = self.index_key
        found["HMAC key of entities"] = _derived(self.index_key, b"index-key/entity-id" + tenant_id.bytes)
        return found


async def secrets_of(database: Database, directory: Path, tenant_id: UUID) -> TenantSecrets:
    """Unlocks everything of a tenant from what is stored."""
    keyring = (directory / "keyring.sealed").read_bytes()
    keks = _keks(keyring, (directory / "keyring.key").read_bytes())[tenant_id]
    async with database.read(tenant_id) as connection:
        tenant_keys = {
            row["key_id"]: _unwrapped_by_kek(keks, tenant_id, row["key_id"], row["wrapped"])
            for row in await connection.fetch("SELECT key_id, wrapped FROM tenant_key")
        }
        deks = {
            row["dek_id"]: _unwrapped(tenant_keys, tenant_id, row["dek_id"], row["wrapped"])
            for row in await connection.fetch("SELECT dek_id, wrapped FROM data_key")
        }
        row = await connection.fetchrow("SELECT index_key_id, wrapped FROM index_key")
    assert row is not None
    index_key = _unwrapped(tenant_keys, tenant_id, row["index_key_id"], row["wrapped"])
    for dek_id, dek in deks.items():
        assert _derived(dek, b"commit\x01" + tenant_id.bytes) == dek_id, "the id is the key's commitment"
    return TenantSecrets(keks, tenant_keys, deks, index_key)


def _keks(sealed: bytes, root: bytes) -> dict[UUID, dict[int, bytes]]:
    header, body = sealed[:90], sealed[90:]
    assert header[:10] == b"IGKEYRNG\x01\x02", "format 1, unlocked by a key file"
    key = HKDF(SHA256(), 32, header[22:54], b"intelgraph/keyring/seal").derive(root)
    content = AESGCM(key).decrypt(body[:12], body[12:], header)
    found: dict[UUID, dict[int, bytes]] = {}
    for start in range(0, len(content), _ENTRY):
        entry = content[start : start + _ENTRY]
        found.setdefault(UUID(bytes=entry[:16]), {})[int.from_bytes(entry[16:20])] = entry[29:]
    return found


def _unwrapped_by_kek(keks: dict[int, bytes], tenant_id: UUID, key_id: UUID, wrapped: bytes) -> bytes:
    head, nonce, sealed = wrapped[:5], wrapped[5:17], wrapped[17:]
    context = _prefixed(b"intelgraph/keyring/wrap") + head + tenant_id.bytes + _prefixed(key_id.bytes)
    return AESGCM(keks[int.from_bytes(head[1:])]).decrypt(nonce, sealed, context)


def _unwrapped(tenant_keys: dict[UUID, bytes], tenant_id: UUID, key_id: bytes, wrapped: bytes) -> bytes:
    tenant_key, nonce, sealed = tenant_keys[UUID(bytes=wrapped[1:17])], wrapped[17:29], wrapped[29:]
    key = _derived(tenant_key, b"tenant-key/wrap" + tenant_id.bytes)
    return AESGCM(key).decrypt(nonce, sealed, tenant_id.bytes + key_id)


def _derived(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, _ENVELOPE, info).derive(secret)


def _prefixed(field: bytes) -> bytes:
    return len(field).to_bytes(4) + field
