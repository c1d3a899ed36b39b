"""The KMS as the gateway calls it: in batches, within a time limit, tried again, behind a breaker."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar
from uuid import UUID

from tenacity import (
    AsyncRetrying,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
    wait_random_exponential,
)

from intelgraph._core import Secret
from intelgraph.keys.breaker import LONGEST_WAIT_SECONDS, SHORTEST_WAIT_SECONDS, Breaker
from intelgraph.keys.metrics import KMS_SECONDS
from intelgraph.keys.provider import (
    KeyFault,
    KeyProvider,
    Throttled,
    Unreachable,
    UnwrapRequest,
    Wrapped,
    WrapRequest,
)

MAX_BATCH: Final = 64
"""Keys in one call of the KMS."""
ATTEMPTS: Final = 3

Request = TypeVar("Request")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Kms:
    """Calls a provider. Its methods raise nothing but CancelledError: faults are results."""

    def __init__(self, provider: KeyProvider, timeout_seconds: float) -> None:
        self._provider = provider
        self._timeout_seconds = timeout_seconds
        self._breaker = Breaker()
        self._waiting: list[tuple[UnwrapRequest, asyncio.Future[Secret | KeyFault]]] = []
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def provider_name(self) -> str:
        """The provider's name."""
        return self._provider.name

    async def provision(self, tenant_id: UUID) -> KeyFault | None:
        """Makes the tenant's KEK where the provider makes them."""

        async def provision(tenant_ids: Sequence[UUID]) -> Sequence[KeyFault | None]:
            return [await self._provider.provision(each) for each in tenant_ids]

        return (await self._asked("provision", provision, [tenant_id]))[0]

    async def wrap(self, request: WrapRequest) -> Wrapped | KeyFault:
        """Wraps one key: they are made one at a time."""
        return (await self._asked("wrap", self._provider.wrap, [request]))[0]

    async def unwrap(self, requests: Sequence[UnwrapRequest]) -> Sequence[Secret | KeyFault]:
        """One result for each request. What is asked for at the same moment, by whomever, is asked of the KMS
        in one call.
        """
        return await asyncio.gather(*(self._enqueued(request) for request in requests))

    async def close(self) -> None:
        """Gives up on what is under way."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._provider.close()

    def _enqueued(self, request: UnwrapRequest) -> "asyncio.Future[Secret | KeyFault]":
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._send)
        result: asyncio.Future[Secret | KeyFault] = loop.create_future()
        self._waiting.append((request, result))
        return result

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MAX_BATCH):
            call = asyncio.create_task(self._unwrap_batch(waiting[start : start + MAX_BATCH]))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _unwrap_batch(
        self, batch: Sequence[tuple[UnwrapRequest, "asyncio.Future[Secret | KeyFault]"]]
    ) -> None:
        try:
            results = await self._asked("unwrap", self._provider.unwrap, [request for request, _ in batch])
            for (_, waiter), result in zip(batch, results, strict=True):
                if not waiter.done():
                    waiter.set_result(result)
        finally:
            for _, waiter in batch:
                if not waiter.done():
                    waiter.set_result(Unreachable("the gateway stops", LONGEST_WAIT_SECONDS))

    async def _asked(
        self,
        operation: str,
        call: Callable[[Sequence[Request]], Awaitable[Sequence[Result | KeyFault]]],
        requests: Sequence[Request],
    ) -> Sequence[Result | KeyFault]:
        """Asks for all, and again for those that a moment's fault failed."""
        asking = _Asking[Request, Result](requests)

        async def attempt() -> bool:
            wait = self._breaker.seconds_to_wait()
            if wait > 0:
                asking.refuse(Unreachable("the KMS does not answer and is left alone", wait))
                return False
            begun = time.perf_counter()
            asking.settle(await self._timed(operation, call, asking.pending))
            # One key that does not answer, in a region of its own perhaps, is not the KMS being away.
            answers = len(asking.open) < len(requests)
            outcome = "answered" if answers else "unanswered"
            KMS_SECONDS.labels(self._provider.name, operation, outcome).observe(time.perf_counter() - begun)
            (self._breaker.succeeded if answers else self._breaker.failed)()
            return bool(asking.open)

        retrying = AsyncRetrying(
            retry=retry_if_result(bool),
            wait=wait_random_exponential(
                multiplier=2 * SHORTEST_WAIT_SECONDS, min=SHORTEST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS
            ),
            # A call that took all of its time is not repeated: somebody waits.
            stop=stop_any(stop_after_attempt(ATTEMPTS), stop_after_delay(self._timeout_seconds)),
            retry_error_callback=lambda _: True,
        )
        await retrying(attempt)
        return asking.results

    async def _timed(
        self,
        operation: str,
        call: Callable[[Sequence[Request]], Awaitable[Sequence[Result | KeyFault]]],
        requests: Sequence[Request],
    ) -> Sequence[Result | KeyFault] | KeyFault:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                results = await call(requests)
        except TimeoutError:
            return Unreachable(f"the KMS took longer than {self._timeout_seconds} s", SHORTEST_WAIT_SECONDS)
        except Exception:
            # A defect of the provider: no authorisation may come of it, and no denial either.
            _log.exception("a KMS provider failed", extra={"provider": self._provider.name, "op": operation})
            return Unreachable("the provider of the KMS failed", LONGEST_WAIT_SECONDS)
        if len(results) == len(requests):
            return results
        _log.error("a KMS provider lost results", extra={"provider": self._provider.name, "op": operation})
        return Unreachable("the provider of the KMS lost results", LONGEST_WAIT_SECONDS)


class _Asking(Generic[Request, Result]):
    """A batch, and the results that it has so far."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._results: dict[int, Result | KeyFault] = {}
        self.open = list(range(len(requests)))
        """Indexes of the requests that are to be asked, or asked again."""

    @property
    def pending(self) -> Sequence[Request]:
        return [self._requests[index] for index in self.open]

    @property
    def results(self) -> Sequence[Result | KeyFault]:
        return [self._results[index] for index in range(len(self._requests))]

    def settle(self, answer: Sequence[Result | KeyFault] | KeyFault) -> None:
        if isinstance(answer, KeyFault):
            self.refuse(answer)
            return
        for index, result in zip(self.open, answer, strict=True):
            self._results[index] = result
        self.open = [
            index for index in self.open if isinstance(self._results[index], Unreachable | Throttled)
        ]

    def refuse(self, fault: KeyFault) -> None:
        self._results.update(dict.fromkeys(self.open, fault))
