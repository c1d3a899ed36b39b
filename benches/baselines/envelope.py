"""Sealing by the two libraries that a Python team would take: the AWS Encryption SDK and Tink."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import tink
from aws_encryption_sdk import (
    CachingCryptoMaterialsManager,
    CommitmentPolicy,
    EncryptionSDKClient,
    LocalCryptoMaterialsCache,
)
from aws_encryption_sdk.identifiers import Algorithm, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from tink import aead

_MAX_AGE_S: Final = 900.0
_MAX_MESSAGES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Sealable:
    """A value to be sealed, and what binds it to its place."""

    plaintext: bytes
    aad: bytes


class Sealer(Protocol):
    """Seals and opens batches of values of one tenant."""

    def seal(self, values: Sequence[Sealable]) -> list[bytes]:
        """The sealed form of each value, in their order."""

    def open(self, sealed: Sequence[bytes], values: Sequence[Sealable]) -> list[bytes]:
        """The plaintext of each sealed value; `values` gives what each is bound to."""


class TinkSealer:
    """Tink's AES-256-GCM in C++ under one key in memory, which wraps nothing and asks no KMS."""

    def __init__(self) -> None:
        aead.register()
        handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        self._aead = handle.primitive(aead.Aead)

    def seal(self, values: Sequence[Sealable]) -> list[bytes]:
        """One call into C++ per value; Tink has none for a batch."""
        encrypt = self._aead.encrypt
        return [encrypt(value.plaintext, value.aad) for value in values]

    def open(self, sealed: Sequence[bytes], values: Sequence[Sealable]) -> list[bytes]:
        """Reverses `seal`.

        Raises:
            tink.TinkError: if a value is not what was sealed.
        """
        return [self._aead.decrypt(blob, value.aad) for blob, value in zip(sealed, values, strict=True)]


class EsdkSealer:
    """The AWS Encryption SDK with its caching materials manager over a raw AES key, so that no KMS is asked.

    The suite commits to its key, as the gateway's envelope does, and does not sign. The encryption context
    is the tenant alone: the cache is keyed by context, so one that names the record would make a data key
    per record."""

    def __init__(self, tenant: str) -> None:
        provider = _RawKeyProvider()
        provider.add_master_key("bench")
        self._context = {"tenant": tenant}
        self._client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
        self._materials = CachingCryptoMaterialsManager(
            master_key_provider=provider,
            cache=LocalCryptoMaterialsCache(capacity=100),
            max_age=_MAX_AGE_S,
            max_messages_encrypted=_MAX_MESSAGES,
        )

    def seal(self, values: Sequence[Sealable]) -> list[bytes]:
        """One message of the SDK per value."""
        return [self._encrypt(value.plaintext) for value in values]

    def open(self, sealed: Sequence[bytes], values: Sequence[Sealable]) -> list[bytes]:
        """Reverses `seal`; `values` says nothing here, for messages carry their context.

        Raises:
            aws_encryption_sdk.exceptions.AWSEncryptionSDKClientError: if a value is not what was sealed.
        """
        return [self._decrypt(blob) for blob, _ in zip(sealed, values, strict=True)]

    def _encrypt(self, plaintext: bytes) -> bytes:
        message: bytes
        message, _ = self._client.encrypt(
            source=plaintext,
            materials_manager=self._materials,
            encryption_context=self._context,
            algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        )
        return message

    def _decrypt(self, message: bytes) -> bytes:
        plaintext: bytes
        plaintext, _ = self._client.decrypt(source=message, materials_manager=self._materials)
        return plaintext


class _RawKeyProvider(RawMasterKeyProvider):  # type: ignore[misc]  # the SDK has no types
    """A master key that lives in this process."""

    provider_id = "intelgraph-bench"

    def _get_raw_key(self, key_id: str) -> WrappingKey:
        del key_id
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=bytes(range(32)),
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )
