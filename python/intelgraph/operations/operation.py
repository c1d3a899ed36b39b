"""Operations as they are read."""

from dataclasses import dataclass
from enum import Enum
from typing import Final
from uuid import UUID


class OperationState(Enum):
    """Where an operation stands."""

    WAITING = "waiting"
    """Nothing has begun yet."""
    RUNNING = "running"
    CANCELLING = "cancelling"
    """Somebody cancelled it; what can be undone is being undone."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in _FINAL


_FINAL: Final = {OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it was when it was read. Times are microseconds since the Unix epoch, None before they come."""

    operation_id: UUID
    kind: str
    state: OperationState
    input: str
    """Canonical JSON."""
    memory: str
    """What the last committed step left, canonical JSON."""
    created_us: int
    created_by: str
    deadline_us: int | None
    started_us: int | None
    updated_us: int
    finished_us: int | None
    holder: str
    """The gateway that runs it, or ran it last."""
    step: str
    """The step that was committed last."""
    steps: int
    """Steps that were committed."""
    done: int
    total: int | None
    rate: float
    """Units a second, of late."""
    yielding: bool
    """Whether it waits for live traffic to get faster."""
    attempts: int
    """How often it was put back since its last committed step."""
    cancelled_by: str | None
    reason: str
    """Why it failed, or was put back: the reason of an error."""
    message: str
    undone: str
    """What cancelling it undid, and what stays."""

    @property
    def remaining_seconds(self) -> float | None:
        """How long it will take from here on, as far as one can know."""
        if self.state.is_final:
            return 0.0
        if self.total is None or self.rate <= 0:
            return None
        return max(0, self.total - self.done) / self.rate
