"""What an operation does, step by step, so that it can be stopped between any two of them and gone on with elsewhere.

A kind is a class below `Kind`, and `catalogue` lists all there are. Its `next` looks at what the last committed step
left (`memory`) and gives the next step; nothing else is carried from one step to another, for the next one may be
taken by another process. A step's effect, its memory and its journal row commit together: so a committed step is never
repeated, and one that is not committed has not happened. A step may act outside of the database first (`outside`);
that has a journal row of its own from before, and is repeated after a crash: it must be idempotent.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Act
    from intelgraph.storage.connection import Connection
    from intelgraph.tenants.registry import Tenant

Input = TypeVar("Input")
Memory = TypeVar("Memory")


@dataclass(frozen=True, slots=True)
class Work(Generic[Input, Memory]):
    """An operation as its next step finds it."""

    operation_id: UUID
    tenant: "Tenant"
    by: "Actor"
    """Who asked for it."""
    input: Input
    memory: Memory


@dataclass(frozen=True, slots=True)
class Step(Generic[Memory]):
    """What is done next. `apply` runs in one transaction with the journal row, and gives what it leaves behind;
    `outside` runs before it, between the two journal rows of the step.
    """

    name: str
    apply: Callable[["Connection"], Awaitable[Memory]]
    outside: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is, in units of its kind; `total` is None until it is known."""

    done: int
    total: int | None


class Kind(ABC, Generic[Input, Memory]):
    """One kind of operation. `INPUT` and `MEMORY` are frozen dataclasses, stored as canonical JSON: a field is never
    removed and never changes its meaning, and one that is added has a default, for what is stored is read by newer
    versions of the gateway.
    """

    NAME: ClassVar[str]
    INPUT: ClassVar[type[Any]]
    MEMORY: ClassVar[type[Any]]
    STEPS: ClassVar[tuple[str, ...]]
    """Names of its steps, in order. A step may be repeated for one batch after the other."""
    EXCLUSIVE: ClassVar[bool] = False
    """Whether a tenant has one at a time."""

    @abstractmethod
    def begin(self, given: Input) -> Memory:
        """What the first step finds."""

    @abstractmethod
    async def next(self, work: Work[Input, Memory]) -> Step[Memory] | None:
        """The next step, prepared outside of any transaction; None when all is done."""

    async def undo(self, work: Work[Input, Memory]) -> Step[Memory] | None:
        """The next compensating step of one that is being cancelled; None when all is undone that can be."""
        return None

    @abstractmethod
    def undone(self, memory: Memory) -> str:
        """What a cancelled operation undid, and what stays, for people."""

    @abstractmethod
    def progress(self, memory: Memory) -> Progress:
        """How far it is."""

    def result(self, memory: Memory) -> Mapping[str, Any]:
        """What it found or did so far, as JSON."""
        return {}

    def entries(self, work: Work[Input, Memory], state: str) -> "list[Act]":
        """Entries of the ledger that its end writes beside `operation.finished`, whatever the end is."""
        return []
