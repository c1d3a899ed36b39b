"""Which PostgreSQL the gateway uses, and how much of it."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class StorageSettings(BaseModel):
    """The three roles' addresses, or none of them: then the gateway starts a server of its own.

    A DSN may carry a password, so it is a secret: it is never printed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner_dsn: SecretStr | None = Field(
        default=None, description="migrates the schema; used at start only, never to serve"
    )
    writer_dsn: SecretStr | None = Field(default=None, description="commits what arrives; BYPASSRLS")
    reader_dsn: SecretStr | None = Field(default=None, description="serves reads under row-level security")
    backup_dsn: SecretStr | None = Field(
        default=None,
        description="backs up and restores; a superuser. For those two verbs only: never given to a gateway",
    )
    writer_connections: int = Field(
        default=8, ge=2, le=500, description="tenants whose batches one process commits at the same time"
    )
    reader_connections: int = Field(
        default=8, ge=2, le=500, description="reads that one process serves at the same time"
    )

    @model_validator(mode="after")
    def _all_roles_or_none(self) -> Self:
        names = ("owner_dsn", "writer_dsn", "reader_dsn")
        missing = [name for name in names if getattr(self, name) is None]
        if missing and len(missing) < len(names):
            raise ValueError(
                f"{' and '.join(missing)} not set: a PostgreSQL of your own needs the addresses of all three"
                " roles; unset all of them to use the embedded server"
            )
        return self

    @property
    def embedded(self) -> bool:
        """Whether the gateway is to start a PostgreSQL of its own."""
        return self.owner_dsn is None
