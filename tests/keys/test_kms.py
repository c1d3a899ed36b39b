"""Calls of the KMS: together, in time, again after a moment, and not at all while it does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest_asyncio
from prometheus_client import REGISTRY

from intelgraph._core import Secret, TenantKey
from intelgraph.keys.breaker import Breaker
from intelgraph.keys.kms import ATTEMPTS, MAX_BATCH, Kms
from intelgraph.keys.local import LocalProvider
from intelgraph.keys.provider import (
    Denial,
    Denied,
    KeyContext,
    Throttled,
    Unreachable,
    UnwrapRequest,
    Wrapped,
    WrapRequest,
)
from intelgraph.keys.settings import LocalKeyringSettings
from tests.keys.faulty_kms import FaultyKms

AWAY = Unreachable("away", 0.1)
TIMEOUT = 0.3


@pytest_asyncio.fixture
async def provider(key_directory: Path) -> FaultyKms:
    """A KMS that works, until it is told not to."""
    return FaultyKms(await LocalProvider.open(LocalKeyringSettings(), key_directory))


@pytest_asyncio.fixture
async def kms(provider: FaultyKms) -> AsyncIterator[Kms]:
    """What calls it."""
    opened = Kms(provider, TIMEOUT)
    yield opened
    await opened.close()


async def test_what_is_asked_at_one_moment_is_one_call(kms: Kms, provider: FaultyKms) -> None:
    requests = [await _stored(kms) for _ in range(5)]
    provider.calls.clear()
    answers = await asyncio.gather(*(kms.unwrap([request, request]) for request in requests))
    assert provider.calls == [("unwrap", 10)]
    assert all(isinstance(answer, Secret) for pair in answers for answer in pair)


async def test_a_call_has_a_bounded_number_of_keys(kms: Kms, provider: FaultyKms) -> None:
    request = await _stored(kms)
    provider.calls.clear()
    await kms.unwrap([request] * (MAX_BATCH + 1))
    assert provider.calls == [("unwrap", MAX_BATCH), ("unwrap", 1)]


async def test_answers_come_back_in_order(kms: Kms, provider: FaultyKms) -> None:
    good, bad = await _stored(kms), await _stored(kms)
    denied = Denied("no", Denial.DENIED)
    provider.fault_of = lambda context: denied if context == bad.context else None
    answers = await kms.unwrap([bad, good, bad])
    assert [isinstance(answer, Secret) for answer in answers] == [False, True, False]


async def test_a_moments_fault_is_tried_again_for_those_it_struck(kms: Kms, provider: FaultyKms) -> None:
    good, struck = await _stored(kms), await _stored(kms)
    provider.calls.clear()
    faults = iter([AWAY, Throttled("slow", 0.1)])
    provider.fault_of = lambda context: next(faults, None) if context == struck.context else None
    answers = await kms.unwrap([good, struck])
    assert all(isinstance(answer, Secret) for answer in answers)
    assert provider.calls == [("unwrap", 2), ("unwrap", 1), ("unwrap", 1)]


async def test_an_answer_is_not_asked_for_again(kms: Kms, provider: FaultyKms) -> None:
    request = await _stored(kms)
    provider.calls.clear()
    provider.fault = Denied("no", Denial.DISABLED)
    assert await kms.unwrap([request]) == [provider.fault]
    assert provider.calls == [("unwrap", 1)]


async def test_an_outage_is_not_waited_for(kms: Kms, provider: FaultyKms) -> None:
    request = await _stored(kms)
    provider.calls.clear()
    provider.fault = AWAY
    begun = time.monotonic()
    assert await kms.unwrap([request]) == [AWAY]
    assert time.monotonic() - begun < 2
    assert len(provider.calls) <= ATTEMPTS


async def test_a_call_that_hangs_ends_at_its_time_and_is_not_repeated(kms: Kms, provider: FaultyKms) -> None:
    request = await _stored(kms)
    provider.calls.clear()
    provider.answering.clear()
    begun = time.monotonic()
    (answer,) = await kms.unwrap([request])
    assert isinstance(answer, Unreachable)
    assert TIMEOUT <= time.monotonic() - begun < TIMEOUT + 0.3
    assert len(provider.calls) == 1


async def test_a_kms_that_does_not_answer_is_left_alone_and_found_again(
    kms: Kms, provider: FaultyKms
) -> None:
    request = await _stored(kms)
    provider.calls.clear()
    provider.fault = AWAY
    for _ in range(50):
        (answer,) = await kms.unwrap([request])
        assert isinstance(answer, Unreachable)
    assert 5 <= len(provider.calls) < 12, "most were answered without asking"
    provider.fault = None
    begun = time.monotonic()
    async with asyncio.timeout(5):
        while not isinstance((await kms.unwrap([request]))[0], Secret):  # noqa: ASYNC110 (it is asked)
            await asyncio.sleep(0.01)
    assert time.monotonic() - begun < 2.5, "a probe goes out every two seconds at least"


async def test_one_key_that_does_not_answer_does_not_close_the_kms_to_the_others(
    kms: Kms, provider: FaultyKms
) -> None:
    good, away = await _stored(kms), await _stored(kms)
    provider.fault_of = lambda context: AWAY if context == away.context else None
    for _ in range(8):
        answers = await kms.unwrap([good, away])
        assert isinstance(answers[0], Secret)
        assert isinstance(answers[1], Unreachable)


async def test_a_provider_that_loses_results_authorises_nothing(kms: Kms, provider: FaultyKms) -> None:
    request = await _stored(kms)

    async def shortened(_: object) -> list[Secret]:
        return []

    provider.unwrap = shortened  # type: ignore[method-assign, assignment] # breaks the contract on purpose
    assert isinstance((await kms.unwrap([request]))[0], Unreachable)


async def test_a_secret_is_wrapped_again_when_the_first_try_failed(kms: Kms, provider: FaultyKms) -> None:
    tenant_id = uuid4()
    await kms.provision(tenant_id)
    provider.fault, provider.calls_to_fail = AWAY, 1
    assert isinstance(await kms.wrap(_to_wrap(tenant_id)), Wrapped)


async def test_closing_answers_those_who_wait(provider: FaultyKms) -> None:
    kms = Kms(provider, 30)
    request = await _stored(kms)
    provider.answering.clear()
    waiting = asyncio.create_task(kms.unwrap([request]))
    await asyncio.sleep(0.05)
    await kms.close()
    assert isinstance((await waiting)[0], Unreachable)


async def test_every_call_is_timed(kms: Kms, provider: FaultyKms) -> None:
    def calls(outcome: str) -> float:
        labels = {"provider": "local", "operation": "unwrap", "outcome": outcome}
        return REGISTRY.get_sample_value("intelgraph_kms_seconds_count", labels) or 0.0

    request = await _stored(kms)
    before = calls("answered"), calls("unanswered")
    await kms.unwrap([request])
    provider.fault, provider.calls_to_fail = AWAY, 1
    await kms.unwrap([request])
    assert (calls("answered") - before[0], calls("unanswered") - before[1]) == (2, 1)


# -- the breaker by itself ---------------------------------------------------------------------------------


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_at_five_failures_within_thirty_seconds() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(10):  # one every 8 s: never five in 30 s
        breaker.failed()
        clock.now += 8
    assert breaker.seconds_to_wait() == 0
    clock.now += 30
    for _ in range(4):
        breaker.failed()
        breaker.succeeded()
    assert breaker.seconds_to_wait() == 0
    breaker.failed()
    assert 0.05 <= breaker.seconds_to_wait() <= 0.1


def test_a_breakers_wait_doubles_to_two_seconds() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
    for longest in (0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0):
        wait = breaker.seconds_to_wait()
        assert longest / 2 <= wait <= longest
        clock.now += wait
        assert breaker.seconds_to_wait() == 0, "one may try"
        assert breaker.seconds_to_wait() > 0, "and only one"
        breaker.failed()


def test_a_breaker_closes_at_the_first_success_and_forgets() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
    clock.now += 0.1
    assert breaker.seconds_to_wait() == 0
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()
    assert breaker.seconds_to_wait() == 0


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
    clock.now += 0.1
    assert breaker.seconds_to_wait() == 0
    clock.now += 2
    assert breaker.seconds_to_wait() == 0


def _to_wrap(tenant_id: UUID) -> WrapRequest:
    key = TenantKey.generate(tenant_id.bytes, 0)
    return WrapRequest(KeyContext(tenant_id, UUID(bytes=key.key_id)), key.secret())


async def _stored(kms: Kms) -> UnwrapRequest:
    """A wrapped key of a new tenant."""
    tenant_id = uuid4()
    assert await kms.provision(tenant_id) is None
    request = _to_wrap(tenant_id)
    wrapped = await kms.wrap(request)
    assert isinstance(wrapped, Wrapped)
    return UnwrapRequest(request.context, wrapped)
