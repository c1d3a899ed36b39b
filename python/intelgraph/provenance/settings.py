"""Where the ledger's log lies, and who else vouches for it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LedgerSettings(BaseModel):
    """The log directory, copies of its last checkpoint, and witnesses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path | None = Field(
        default=None,
        description="the log's tiles and checkpoint; unset, ledger in the data directory. Gateways of one"
        " database share it",
    )
    checkpoint_copies: tuple[Path, ...] = Field(
        default=(),
        description="directories beyond the database's reach that hold the last signed checkpoint too: what"
        " shows that a restored backup would fork the log",
    )
    witnesses: tuple[str, ...] = Field(
        default=(), description="verifier keys (C2SP signed-note) of witnesses whose cosignatures are taken"
    )

    def directory_in(self, data_dir: Path) -> Path:
        """The log directory of a gateway with that data directory."""
        return self.directory or data_dir / "ledger"
