"""Whatever people do in whatever order, an approval goes by a model that is simpler than the rules."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from intelgraph.approvals.approval import Approval, ApprovalState, Caller
from intelgraph.errors import IntelGraphError
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from tests.approvals.world import OFFICER, PLAN, World, person, world_on
from tests.parts.postgres import fresh_database

T = TypeVar("T")

OFFICERS = [person(name, OFFICER) for name in ("alice", "bob", "carol", "dan")]
PEOPLE = [*OFFICERS, person("bob", OFFICER, "auditor", method="mtls"), person("eve", "operator")]
OTHER_PLAN = {"summary": "something else", "steps": ["by hand"]}


@dataclass
class Model:
    """What an approval has come to, by nothing but who said what."""

    requester: str
    quorum: int
    said_yes: set[str] = field(default_factory=set)
    ended: str | None = None

    @property
    def state(self) -> str:
        """Where it stands."""
        return self.ended or ("approved" if len(self.said_yes) >= self.quorum else "requested")

    def may_decide(self, who: Caller) -> bool:
        """Whether the word of the person counts for anything."""
        return self.ended is None and who.person != self.requester and OFFICER in who.roles


class Shared:
    """One world on one event loop, for all examples."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        self.runner = runner
        self.world = world

    def run(self, steps: Coroutine[Any, Any, T]) -> T:
        """Awaits from a test that is not asynchronous itself, as Hypothesis wants it."""
        return self.runner.run(steps)


@pytest.fixture
def shared(postgres: EmbeddedServer, tmp_path: Path) -> Iterator[Shared]:
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()

        async def make() -> World:
            database = await Database.connect(await opened.enter_async_context(fresh_database(postgres)))
            opened.push_async_callback(database.close)
            return await opened.enter_async_context(world_on(database, tmp_path / "keys"))

        yield Shared(runner, runner.run(make()))
        runner.run(opened.aclose())


class Transitions(RuleBasedStateMachine):
    """One approval, and people who do what comes to their minds."""

    shared: ClassVar[Shared]
    approval: Approval
    model: Model

    @initialize(requester=st.sampled_from(OFFICERS), quorum=st.integers(1, 3))
    def request(self, requester: Caller, quorum: int) -> None:
        self.approval = self.shared.run(self.shared.world.requested(requester, quorum=quorum))
        self.model = Model(requester.person, quorum)

    def _done(self, act: Coroutine[Any, Any, Approval]) -> bool:
        try:
            self.shared.run(act)
        except IntelGraphError:
            return False
        return True

    @rule(who=st.sampled_from(PEOPLE))
    def approve(self, who: Caller) -> None:
        counts = self.model.may_decide(who) and self.model.state == "requested"
        counts = counts and who.person not in self.model.said_yes
        assert self._done(self.shared.world.approve(self.approval, who)) == counts
        if counts:
            self.model.said_yes.add(who.person)

    @rule(who=st.sampled_from(PEOPLE))
    def deny(self, who: Caller) -> None:
        counts = self.model.may_decide(who)
        act = self.shared.world.approvals.deny(
            self.shared.world.tenant, self.approval.approval_id, who, reason="no"
        )
        assert self._done(act) == counts
        if counts:
            self.model.ended = "denied"

    @rule(who=st.sampled_from(PEOPLE))
    def withdraw(self, who: Caller) -> None:
        counts = self.model.ended is None and who.person == self.model.requester
        act = self.shared.world.approvals.withdraw(self.shared.world.tenant, self.approval.approval_id, who)
        assert self._done(act) == counts
        if counts:
            self.model.ended = "withdrawn"

    @rule(plan=st.sampled_from([PLAN, OTHER_PLAN]))
    def use(self, plan: dict[str, Any]) -> None:
        counts = self.model.state == "approved" and plan is PLAN
        assert self._done(self.shared.world.use(self.approval, plan)) == counts
        if counts:
            self.model.ended = "used"

    @invariant()
    def stands_as_the_model_says(self) -> None:
        found = self.shared.run(
            self.shared.world.approvals.get(self.shared.world.tenant, self.approval.approval_id)
        )
        assert found.state is ApprovalState(self.model.state)
        assert found.approvers == self.model.said_yes
        assert found.requested_by not in found.approvers

    def teardown(self) -> None:
        told = [
            entry.kind.removeprefix("approval.")
            for entry in self.shared.run(self.shared.world.told(self.approval))
        ]
        assert told.count("approved") == len(self.model.said_yes)
        ends = [kind for kind in told if kind not in {"requested", "approved"}]
        assert ends == ([self.model.ended] if self.model.ended is not None else [])


def test_transitions(shared: Shared) -> None:
    run_state_machine_as_test(
        type("TransitionsHere", (Transitions,), {"shared": shared}),
        settings=settings(
            max_examples=25,
            stateful_step_count=16,
            deadline=None,
            # To shrink would take minutes on a database, and sixteen steps can be read as they are.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
