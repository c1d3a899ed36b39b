"""Live traffic goes first: what is usual is learnt while nothing else runs, and a rise above it is waited out."""

from collections import deque

from intelgraph.operations.pace import LONGEST_PAUSE, LONGEST_YIELD, SHORTEST_PAUSE, Decision, Pace, p95


def test_p95_is_the_nearest_rank() -> None:
    assert p95(range(1, 101)) == 95
    assert p95([3.0]) == 3.0
    assert p95([1.0, 2.0]) == 2.0


def test_without_traffic_there_is_nothing_to_wait_for() -> None:
    decision = Decision()
    assert decision.take(None, None) == 0
    assert decision.take(0.010, None) == 0


def test_a_rise_is_waited_out_longer_each_time_up_to_a_bound_and_a_fall_ends_it() -> None:
    decision = Decision()
    assert decision.take(0.010, 0.019) == 0, "within the slack"
    pauses = [decision.take(0.010, 0.021) for _ in range(8)]
    assert pauses[:3] == [SHORTEST_PAUSE, 2 * SHORTEST_PAUSE, 4 * SHORTEST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert decision.take(0.010, 0.012) == 0


def test_what_is_usual_is_learnt_before_anything_runs() -> None:
    assert Decision().take(None, 0.010) == SHORTEST_PAUSE


class World:
    """A clock, and commits that take as long as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.commits: deque[tuple[float, float]] = deque(maxlen=1024)
        self.takes = 0.010
        self.yields = 0
        self.pace = Pace(self.commits, clock=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Time passes, with a commit every 20 ms."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.020
            self.commits.append((self.now, self.takes))

    async def on_yield(self) -> None:
        self.yields += 1


async def test_an_operation_yields_while_p95_of_ingest_is_risen_and_goes_on_when_it_fell() -> None:
    world = World()
    await world.sleep(3)
    assert not await world.pace.give_way(world.on_yield), "as fast as ever"
    world.takes = 0.030
    async with world.pace.working():
        await world.sleep(2.5)
    world.takes = 0.010
    began = world.now
    assert await world.pace.give_way(world.on_yield)
    assert (world.yields, world.now - began < LONGEST_YIELD) == (1, True)
    assert not await world.pace.give_way(world.on_yield)
    baseline, _ = world.pace.look()
    assert baseline == 0.010, "what was slow beside a step is not what is usual"


async def test_an_operation_does_not_stand_still_under_a_load_that_stays() -> None:
    world = World()
    await world.sleep(3)
    world.pace.look()
    world.takes = 0.200
    async with world.pace.working():
        await world.sleep(2.5)
        began = world.now
        assert await world.pace.give_way(world.on_yield)
    assert LONGEST_YIELD <= world.now - began <= LONGEST_YIELD + LONGEST_PAUSE + 0.1


async def test_without_live_traffic_nothing_is_waited_for() -> None:
    world = World()
    world.commits.extend((world.now - 1 + n / 100, 5.0) for n in range(3))
    assert not await world.pace.give_way(world.on_yield)
