"""Settings of operations."""

from pydantic import BaseModel, ConfigDict, Field


class OperationSettings(BaseModel):
    """How many operations run at a time, and how soon another gateway takes one over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_process: int = Field(
        default=2, ge=0, le=64, description="operations that a process runs at a time; 0 runs none"
    )
    per_tenant: int = Field(
        default=2, ge=1, le=64, description="operations of one tenant that run at a time, on all gateways"
    )
    lease_seconds: float = Field(
        default=15,
        ge=1,
        le=600,
        description="how long a gateway that was heard of last holds its operations, in seconds",
    )
