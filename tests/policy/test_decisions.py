"""Slow rules of one tenant are its own trouble: they are closed for a while, and nobody else waits."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from prometheus_client import REGISTRY

from intelgraph._core import PolicyDecision, PolicyQuestion
from intelgraph.policy import decisions as decisions_module
from intelgraph.policy.decisions import MOST_SLOW, Decisions
from intelgraph.policy.expendable import MOST_STUCK, MOST_STUCK_EACH, ExpendableThreads, TooManyStuck
from intelgraph.policy.platform import platform_bundle

SLOW = """package tenant.{tenant}
numbers := [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]
deny contains "never" if {{
    startswith(input.identity.subject, "slow")
    some a in numbers
    some b in numbers
    some c in numbers
    some d in numbers
    some e in numbers
    some f in numbers
    a + b + c + d + e + f == 1000
}}
test_it if true
"""
QUICK = 'package tenant.{tenant}\ndeny contains "bob" if input.identity.subject == "bob"\ntest_it if true\n'


def deciding(**rules: str) -> Decisions:
    decisions = Decisions(platform_bundle(), ExpendableThreads())
    for tenant, text in rules.items():
        files = [("own.rego", text.format(tenant=tenant))]
        decisions.install(tenant, platform_bundle().with_tenant_rules(tenant, files))
    return decisions


def asked(tenant: str, subject: str) -> PolicyQuestion:
    return PolicyQuestion(
        "entity.read",
        tenant=tenant,
        subject=subject,
        roles=["analyst"],
        attributes={},
        machine=False,
        platform=False,
    )


async def all_decided(decisions: Decisions, tenant: str, subjects: Sequence[str]) -> list[PolicyDecision]:
    return await asyncio.gather(*(decisions.decide(tenant, asked(tenant, subject)) for subject in subjects))


def closed(why: str) -> float:
    return REGISTRY.get_sample_value("intelgraph_policy_closed_total", {"why": why}) or 0.0


async def test_slow_rules_are_closed_for_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decisions_module, "CLOSED_SECONDS", 1.0)
    decisions, before = deciding(acme=SLOW), closed("slow")
    assert (await decisions.decide("acme", asked("acme", "ada"))).allow
    answers = await all_decided(decisions, "acme", [f"slow-{at}" for at in range(16)])
    assert not any(answer.allow for answer in answers)
    assert [answer.reason for answer in answers].count("FAILED") == MOST_SLOW, "no more were evaluated"
    assert closed("slow") == before + 1
    assert "the rules of tenant acme take too long again and again, and deny" in caplog.text
    assert (await decisions.decide("acme", asked("acme", "eve"))).reason == "TENANT_RULE"
    await asyncio.sleep(1.0)
    assert (await decisions.decide("acme", asked("acme", "eve"))).allow


def policy_threads() -> set[threading.Thread]:
    """Those that evaluate now; one that a test before this left may go on."""
    return {each for each in threading.enumerate() if each.name == "policy"}


async def test_another_tenant_does_not_wait_for_slow_rules() -> None:
    decisions, before = deciding(acme=SLOW, other=QUICK), policy_threads()
    slow = asyncio.create_task(all_decided(decisions, "acme", [f"slow-{at}" for at in range(16)]))
    await asyncio.sleep(0.01)
    assert len(policy_threads() - before) <= 1, "of each tenant one at a time"
    answers = await all_decided(decisions, "other", ["ada", "bob"])
    assert [answer.allow for answer in answers] == [True, False]
    assert not slow.done()
    await slow


async def test_other_rules_are_not_closed_for_those_before() -> None:
    decisions = deciding(acme=SLOW)
    await all_decided(decisions, "acme", [f"slow-{at}" for at in range(MOST_SLOW)])
    files = [("own.rego", QUICK.format(tenant="acme"))]
    decisions.install("acme", platform_bundle().with_tenant_rules("acme", files))
    assert (await decisions.decide("acme", asked("acme", "slow-0"))).allow


async def test_who_goes_away_leaves_the_turn_to_the_next() -> None:
    decisions = deciding(acme=SLOW)
    leaving = asyncio.create_task(decisions.decide("acme", asked("acme", "slow-0")))
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert (await decisions.decide("acme", asked("acme", "ada"))).allow


async def test_threads_that_go_on_take_the_share_of_their_own_tenant_and_give_it_back() -> None:
    threads, ending, before = ExpendableThreads(), threading.Event(), policy_threads()
    try:
        for revision in range(MOST_STUCK_EACH):
            with pytest.raises(TimeoutError):
                await threads.run("acme", str(revision), ending.wait, 0.01)
            with pytest.raises(TooManyStuck):
                await threads.run("acme", str(revision), ending.wait, 0.01)
        with pytest.raises(TooManyStuck):
            await threads.run("acme", "another", lambda: 1, 1.0)
        assert await threads.run("other", "0", lambda: 1, 1.0) == 1
        for at in range(MOST_STUCK - MOST_STUCK_EACH):
            with pytest.raises(TimeoutError):
                await threads.run(f"tenant-{at}", "0", ending.wait, 0.01)
        with pytest.raises(TooManyStuck):
            await threads.run("other", "0", lambda: 1, 1.0)
    finally:
        ending.set()
    async with asyncio.timeout(5):
        while policy_threads() - before:  # noqa: ASYNC110 (a thread that ends tells nobody)
            await asyncio.sleep(0.01)
    assert await threads.run("acme", "0", lambda: 1, 1.0) == 1
