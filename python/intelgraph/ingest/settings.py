"""Settings of the ingest path."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IngestSettings(BaseModel):
    """What streams and batches may measure, and what the process keeps in memory for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(
        default=0, ge=0, le=256, description="worker threads of the core; 0 means one per CPU"
    )
    heads_cache_bytes: int = Field(
        default=256 << 20, ge=1 << 20, description="memory for entities' newest versions, of all tenants"
    )
    bytes_in_flight: int = Field(
        default=128 << 20,
        ge=1 << 20,
        description="batches of all streams that are not answered yet, in bytes",
    )
    stream_credit_bytes: int = Field(
        default=8 << 20, ge=64 << 10, description="batches of one stream that are not answered yet, in bytes"
    )
    max_batch_bytes: int = Field(default=4 << 20, ge=64 << 10, description="largest batch, in bytes")
    max_batch_records: int = Field(default=65_536, ge=1, le=1 << 20, description="most records in a batch")
    max_record_bytes: int = Field(default=1 << 20, ge=1 << 10, description="largest JSON document, in bytes")
    max_depth: int = Field(default=64, ge=1, le=128, description="deepest nesting of a JSON document")
