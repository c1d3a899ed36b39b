"""A log that would fork is recognised wherever what was signed is found, and what proves nothing stops nothing."""

import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from intelgraph._core import checkpoint_text, signed_note
from intelgraph.errors import FailedPrecondition
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.origins import claimed_origin, generation_of, next_origin
from tests.provenance.log_world import LogWorld

Notes = Callable[[LogWorld], Awaitable[bytes]]


async def refusal(log_world: LogWorld) -> int:
    """The index from which on the sequencer says that the log would fork; entries are refused then."""
    async with log_world.sequencing():
        index = (await log_world.head()).fork_index
        assert index is not None
        with pytest.raises(FailedPrecondition) as refused:
            await log_world.append(1)
        assert refused.value.reason == "LEDGER_FORKED"
    return index


async def test_a_database_behind_the_directory_is_refused(log_world: LogWorld) -> None:
    await log_world.sequenced(300)
    before = log_world.directory.checkpoint()
    await log_world.take_back(290, in_outbox=3)
    assert await refusal(log_world) == 290
    assert log_world.directory.checkpoint() == before
    assert len(await log_world.entries()) == 290
    assert await log_world.outbox() == 3


async def test_a_database_behind_the_copy_alone_is_refused(log_world: LogWorld) -> None:
    await log_world.sequenced(20)
    saved = log_world.directory.root.with_name("saved")
    shutil.copytree(log_world.directory.root, saved)
    await log_world.sequenced(20)
    # The backup had the directory too.
    shutil.rmtree(log_world.directory.root)
    saved.rename(log_world.directory.root)
    await log_world.take_back(20)
    assert await refusal(log_world) == 20


async def test_a_lost_directory_accuses_no_entry(log_world: LogWorld) -> None:
    await log_world.sequenced(40)
    shutil.rmtree(log_world.directory.root)
    await log_world.take_back(25)
    assert await refusal(log_world) == 25


@pytest.mark.parametrize("further", [10, 400])
async def test_where_two_histories_part_is_named(log_world: LogWorld, further: int) -> None:
    await log_world.sequenced(270)
    await log_world.sequenced(30)
    note, tiles = log_world.directory.checkpoint(), log_world.directory.root.with_name("theirs")
    shutil.copytree(log_world.directory.root, tiles)
    shutil.rmtree(log_world.directory.root)
    (log_world.copy.root / "checkpoint").unlink()
    await log_world.take_back(270)
    # Another restored it as well, and went on: that is the one whose directory comes back.
    await log_world.sequenced(further, dataset="others")
    shutil.rmtree(log_world.directory.root)
    tiles.rename(log_world.directory.root)
    (log_world.copy.root / "checkpoint").write_bytes(note or b"")
    assert await refusal(log_world) == 270


async def test_where_the_tiles_are_lost_what_no_checkpoint_vouches_for_is_named(log_world: LogWorld) -> None:
    await log_world.sequenced(10)
    await log_world.sequenced(10)
    note = log_world.copy.checkpoint()
    await log_world.take_back(10)
    shutil.rmtree(log_world.directory.root)
    shutil.rmtree(log_world.copy.root)
    await log_world.sequenced(30, dataset="others")
    shutil.rmtree(log_world.directory.root)
    log_world.copy.publish(note or b"")
    # The database's own checkpoint of 40 agrees with it, and that of 20 in the copy does not.
    assert await refusal(log_world) == 0


async def test_a_forked_log_goes_on_by_itself_when_the_true_database_is_back(log_world: LogWorld) -> None:
    await log_world.sequenced(50)
    rows = await log_world.entries()
    root = (await log_world.head()).root
    await log_world.take_back(40)
    async with log_world.sequencing():
        assert (await log_world.head()).fork_index == 40
        for row in rows[40:]:
            await log_world.superuser(
                "INSERT INTO ledger_entry (index, entry_id, kind, subject_tag, sequenced, commitments, header,"
                " payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                *(row[name] for name in ("index", "entry_id", "kind", "subject_tag", "sequenced")),
                *(row[name] for name in ("commitments", "header", "payload")),
            )
        await log_world.superuser("UPDATE ledger_log SET size = 50, root = $1", root)
        await log_world.until(50)
        while (await log_world.head()).fork_index is not None:
            pass
        await log_world.append(5)
        await log_world.until(55)


async def truncated(log_world: LogWorld) -> bytes:
    return (log_world.directory.checkpoint() or b"")[:-40]


async def forged(log_world: LogWorld) -> bytes:
    """The true signature under a larger size."""
    note = (log_world.directory.checkpoint() or b"").split(b"\n")
    note[1] = b"4000"
    return b"\n".join(note)


async def foreign(log_world: LogWorld) -> bytes:
    """A good signature of somebody else's key, under this log's name."""
    key, origin = Ed25519PrivateKey.generate(), (await log_world.head()).origin
    text = checkpoint_text(origin, 4000, bytes(32))
    return signed_note(text, origin, key.public_key().public_bytes_raw(), key.sign(text))


async def nothing(_: LogWorld) -> bytes:
    return b""


@pytest.mark.parametrize("made", [truncated, forged, foreign, nothing])
@pytest.mark.parametrize("place", ["log", "copy", "both"])
async def test_what_is_no_checkpoint_of_ours_is_written_over(
    log_world: LogWorld, made: Notes, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    await log_world.sequenced(30)
    note = await made(log_world)
    for directory in (log_world.directory, log_world.copy):
        if place in {directory.root.name, "both"}:
            (directory.root / "checkpoint").write_bytes(note)
    with caplog.at_level(logging.ERROR):
        async with log_world.sequencing():
            await log_world.append(5)
            await log_world.until(35)
    assert "checkpoint not ours" in caplog.text
    await log_world.verify(35)


@pytest.mark.parametrize("place", ["log", "copy"])
async def test_an_older_checkpoint_is_replaced(log_world: LogWorld, place: str) -> None:
    await log_world.sequenced(30)
    directory = log_world.directory if place == "log" else log_world.copy
    older = directory.checkpoint()
    await log_world.sequenced(30)
    (directory.root / "checkpoint").write_bytes(older or b"")
    async with log_world.sequencing():
        await log_world.until(60)
        # While it works, too: as one does that was held up with it in hand.
        (directory.root / "checkpoint").write_bytes(older or b"")
        await log_world.until(60)
        await log_world.append(1)
        await log_world.until(61)
    await log_world.verify(61)


async def test_damaged_tiles_accuse_no_entry(log_world: LogWorld) -> None:
    await log_world.sequenced(300)
    await log_world.sequenced(300)
    tile = log_world.directory.root / "tile/0/001"
    tile.write_bytes(bytes(tile.stat().st_size))
    async with log_world.database.write() as connection:
        note = await connection.fetchval("SELECT note FROM ledger_checkpoint WHERE size = 300")
    (log_world.copy.root / "checkpoint").write_bytes(note)
    async with log_world.sequencing():
        await log_world.append(5)
        await log_world.until(605)
    await log_world.verify(605)


@pytest.mark.parametrize("place", ["log", "copy"])
async def test_a_place_that_cannot_be_read_stops_the_sequencer_and_no_act(
    log_world: LogWorld, place: str
) -> None:
    await log_world.sequenced(10)
    directory = log_world.directory if place == "log" else log_world.copy
    kept = (directory.root / "checkpoint").read_bytes()
    (directory.root / "checkpoint").unlink()
    # A directory in a file's place cannot be read by any account.
    (directory.root / "checkpoint").mkdir()
    async with log_world.sequencing():
        await log_world.append(7)
        head = await log_world.head()
        assert (head.size, head.fork_index, await log_world.outbox()) == (10, None, 7)
        (directory.root / "checkpoint").rmdir()
        (directory.root / "checkpoint").write_bytes(kept)
        await log_world.until(17)
    await log_world.verify(17)


async def test_the_directory_of_another_log_is_not_written_to(log_world: LogWorld) -> None:
    await log_world.append(10)
    key, origin = Ed25519PrivateKey.generate(), "intelgraph-gateway/another"
    text = checkpoint_text(origin, 4000, bytes(32))
    note = signed_note(text, origin, key.public_key().public_bytes_raw(), key.sign(text))
    log_world.directory.publish(note)
    async with log_world.sequencing():
        assert (await log_world.outbox(), (await log_world.head()).size) == (10, 0)
    assert log_world.directory.checkpoint() == note
    assert [each.name for each in log_world.directory.root.iterdir()] == ["checkpoint"]


def test_the_names_of_a_line_of_logs() -> None:
    first = "intelgraph-gateway/" + "ab" * 16
    assert (next_origin(first), next_origin(f"{first}/9")) == (f"{first}/2", f"{first}/10")
    assert [generation_of(each) for each in (first, f"{first}/2", f"{first}/10")] == [1, 2, 10]
    for other in ("/1", "/0", "/02", "/-2", "/x", "/2/3", "/²"):
        assert generation_of(first + other) == 0, other
    assert claimed_origin(b"a/b\n1\nAAA=\n\n\xe2\x80\x94 a/b x\n") == "a/b"
    for broken in (b"", b"a/b\n1\n", b"a/b\n1\nAAA=\n\n\xe2\x80\x94 a/b x", b"\xff\n\n\xe2\x80\x94 a\n"):
        assert claimed_origin(broken) is None


def test_what_was_set_aside_stays(tmp_path: Path) -> None:
    directory = LogDirectory(tmp_path)
    assert directory.set_aside("a@1") is None
    for number, name in enumerate(("a@1", "a@1.2", "a@1.3")):
        directory.write([("tile/0/000.p/1", bytes(32)), ("checkpoint", b"%d" % number)])
        assert directory.set_aside("a@1") == tmp_path / "forks" / name
        assert (tmp_path / "forks" / name / "checkpoint").read_bytes() == b"%d" % number
    # Ended between its two steps, it is done again.
    directory.write([("checkpoint", b"last")])
    directory.write([("forks/a@1.4/tile/0/000.p/1", bytes(32))])
    assert directory.set_aside("a@1") == tmp_path / "forks/a@1.4"
    assert sorted(each.name for each in (tmp_path / "forks/a@1.4").iterdir()) == ["checkpoint", "tile"]
