"""Which KMS holds the tenants' keys, and for how long its word is taken."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class LocalKeyringSettings(BaseModel):
    """The keyring file of the `local` provider, and what unlocks it: a key file, or a passphrase."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path | None = Field(
        default=None, description="the keyring; unset, keys/keyring.sealed in the data directory"
    )
    key_file: Path | None = Field(
        default=None,
        description="32 random bytes that unlock it; unset and with no passphrase, keys/keyring.key in the"
        " data directory, made at first start",
    )
    passphrase: SecretStr | None = Field(
        default=None, description="unlocks it; best given by the variable, not in a file of settings"
    )
    passphrase_file: Path | None = Field(
        default=None, description="file whose content, but for a final newline, is the passphrase"
    )
    passphrase_prompt: bool = Field(default=False, description="ask for the passphrase at start")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = {
            "key_file": self.key_file is not None,
            "passphrase": self.passphrase is not None,
            "passphrase_file": self.passphrase_file is not None,
            "passphrase_prompt": self.passphrase_prompt,
        }
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are set: a keyring is unlocked by one of them")
        return self


class KeySettings(BaseModel):
    """Provider, lease and limits of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Literal["local"] = Field(default="local", description="the KMS that holds the tenants' keys")
    local: LocalKeyringSettings = LocalKeyringSettings()
    lease_seconds: float = Field(
        default=300,
        ge=10,
        le=3600,
        description="how long keys and plaintext are held after the KMS said yes: the revocation lag",
    )
    stale_if_unreachable: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="seconds that a lease goes on beyond its end while the KMS is unreachable; 0 is strict",
    )
    stale_if_unreachable_of: dict[str, float] = Field(
        default={}, description="the same, for tenants by name, where it differs"
    )
    idle_seconds: float = Field(
        default=900, ge=1, description="a tenant that nobody uses for so long is let go: its lease runs out"
    )
    kms_timeout_seconds: float = Field(default=2, ge=0.05, le=30, description="for one call of the KMS")
    dek_messages: int = Field(
        default=5_000_000, ge=1, le=1 << 24, description="values that one data key seals"
    )
    dek_seconds: float = Field(
        default=900, ge=1, le=3600, description="how long one data key seals, in seconds"
    )
    tenant_key_days: float = Field(
        default=30, gt=0, le=30, description="age at which a tenant key is replaced, in days"
    )

    @model_validator(mode="after")
    def _time_to_renew(self) -> Self:
        # Renewal begins at half-life, and may take two calls of the KMS and the pause between them.
        if 5 * self.kms_timeout_seconds > self.lease_seconds:
            raise ValueError(
                "kms_timeout_seconds is too long for lease_seconds: a lease has to last five times as long"
            )
        return self

    @model_validator(mode="after")
    def _bounded_staleness(self) -> Self:
        for name, seconds in self.stale_if_unreachable_of.items():
            if not 0 <= seconds <= 86_400:
                raise ValueError(f"stale_if_unreachable_of {name}: must be between 0 and 86400 seconds")
        return self

    def staleness_of(self, tenant_name: str) -> float:
        """Seconds that the tenant's lease goes on while the KMS cannot be reached."""
        return self.stale_if_unreachable_of.get(tenant_name, self.stale_if_unreachable)
