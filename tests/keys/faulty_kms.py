"""A KMS that can be told to fail, in front of one that works."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from intelgraph._core import Secret
from intelgraph.keys.provider import (
    KekDescription,
    KeyContext,
    KeyFault,
    KeyProvider,
    UnwrapRequest,
    Wrapped,
    WrapRequest,
)


class FaultyKms:
    """Passes calls on to a real provider, notes them, and answers with faults where it is told to."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self.name = provider.name
        self.calls: list[tuple[str, int]] = []
        """Operation and number of items of every call."""
        self.fault: KeyFault | None = None
        """What all items are answered with."""
        self.fault_of: Callable[[KeyContext], KeyFault | None] = lambda _: None
        """What single items are answered with."""
        self.calls_to_fail = 0
        """With this many left, `fault` is answered; 0: always."""
        self.answering = asyncio.Event()
        """While it is not set, calls hang."""
        self.answering.set()
        self.breaks = False
        """Whether calls raise, as no provider may."""

    def asked(self, operation: str) -> int:
        """How often it was asked."""
        return sum(1 for name, _ in self.calls if name == operation)

    async def provision(self, tenant_id: UUID) -> KeyFault | None:
        return await self._fault("provision", 1) or await self._provider.provision(tenant_id)

    async def wrap(self, requests: Sequence[WrapRequest]) -> Sequence[Wrapped | KeyFault]:
        fault = await self._fault("wrap", len(requests))
        if fault is not None:
            return [fault] * len(requests)
        answers = await self._provider.wrap(requests)
        return [
            self.fault_of(request.context) or answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    async def unwrap(self, requests: Sequence[UnwrapRequest]) -> Sequence[Secret | KeyFault]:
        fault = await self._fault("unwrap", len(requests))
        if fault is not None:
            return [fault] * len(requests)
        answers = await self._provider.unwrap(requests)
        return [
            self.fault_of(request.context) or answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    async def describe(self, tenant_id: UUID) -> KekDescription | KeyFault:
        return await self._provider.describe(tenant_id)

    async def close(self) -> None:
        await self._provider.close()

    async def _fault(self, operation: str, items: int) -> KeyFault | None:
        self.calls.append((operation, items))
        await self.answering.wait()
        if self.breaks:
            raise RuntimeError("a defect of the provider")
        if self.fault is None or self.calls_to_fail == 0:
            return self.fault
        self.calls_to_fail -= 1
        fault = self.fault
        if self.calls_to_fail == 0:
            self.fault = None
        return fault
