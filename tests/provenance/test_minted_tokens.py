"""Every token that was given out is an entry once, wherever a gateway was killed and however a line was damaged."""

import asyncio
import contextlib
import json
import os
import threading
from pathlib import Path
from uuid import UUID, uuid4

import jwt
import pytest

from intelgraph._core import open_ledger_entry
from intelgraph.errors import FailedPrecondition
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import account
from intelgraph.provenance.minted_file import MintedLine, lines_of, record, take_over
from intelgraph.provenance.minted_tokens import MintedTokens
from intelgraph.tenants.registry import TenantRegistry
from tests.parts.disk import small_disk
from tests.parts.outbox import waiting
from tests.provenance.log_world import LogWorld


def line(minted_s: int = 4_000_000_000) -> MintedLine:
    minted = minted_s * 1_000_000
    return MintedLine(uuid4(), "local", "cli", ("analyst",), minted, minted + 3_600_000_000, "root")


def left(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("minted*")]


async def tokens(log_world: LogWorld) -> list[UUID]:
    """Of all entries that wait for their index."""
    rows = await log_world.superuser("SELECT token_id FROM minted_token")
    async with log_world.database.write() as connection:
        minted = [entry for entry in await waiting(connection) if entry.kind == 16]
    assert len(minted) == len(rows), "a row without its entry, or an entry without its row"
    return [row["token_id"] for row in rows]


async def test_a_token_is_an_entry(log_world: LogWorld, tmp_path: Path) -> None:
    async with TenantRegistry(log_world.database, log_world.parts.ledger) as tenants:
        await tenants.ensure("local")
    issuer = LocalIssuer.ensure(tmp_path)
    minted = [
        issuer.mint(tenant, ["operator", "analyst"], subject="ada", audience="intelgraph")
        for tenant in ("local", "unknown")
    ]
    ids = [UUID(jwt.decode(each, options={"verify_signature": False})["jti"]) for each in minted]
    taking = MintedTokens(log_world.database, log_world.parts.ledger, tmp_path / "identity")
    assert (await taking.take(), await taking.take()) == (2, 0)
    assert set(await tokens(log_world)) == set(ids)
    async with log_world.sequencing():
        pass
    entries = [row for row in await log_world.entries() if row["kind"] == 16]
    assert [row["tenant_id"] is None for row in entries] == [False, True]
    header, payload = await opened(log_world, len(await log_world.entries()) - 2)
    assert header["actor"] == {"method": "cli", "subject": account()}
    assert header["subject"] == f"token:{ids[0]}"
    assert payload["token_id"] == str(ids[0])
    assert (payload["holder"], payload["roles"]) == ("ada", ["analyst", "operator"])
    assert left(tmp_path / "identity") == []


async def opened(log_world: LogWorld, index: int) -> tuple[dict[str, object], dict[str, object]]:
    row = (await log_world.entries())[index]
    parts = open_ledger_entry(
        log_world.parts.keystore,
        PLATFORM.tenant_id.bytes,
        row["entry_id"].bytes,
        row["commitments"],
        row["header"],
        row["payload"],
    )
    return json.loads(parts[0]), json.loads(parts[2])


def test_without_its_line_no_token_is_given(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        issuer = LocalIssuer.ensure(disk)
        filling = disk / "filling"
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass
        with pytest.raises(FailedPrecondition) as refused:
            issuer.mint("local", [], subject="a" * 10_000, audience="intelgraph")
        assert refused.value.reason == "TOKEN_NOT_WRITTEN_DOWN"


@pytest.mark.parametrize("step", ["moved", "read", "entered", "removed"])
async def test_killed_behind_every_step_nothing_is_lost_or_twice(
    log_world: LogWorld, tmp_path: Path, step: str
) -> None:
    class KilledError(Exception):
        pass

    def die(reached: str) -> None:
        if reached == step:
            raise KilledError

    minted = [line() for _ in range(3)]
    for each in minted:
        record(tmp_path, each)
    taking = MintedTokens(log_world.database, log_world.parts.ledger, tmp_path)
    with pytest.raises(KilledError):
        await taking.take(die)
    record(tmp_path, minted[0])  # once more, as who minted does that found the file gone
    await taking.take()
    assert sorted(await tokens(log_world)) == sorted(each.token_id for each in minted)
    assert left(tmp_path) == []


async def test_many_who_mint_and_several_gateways(log_world: LogWorld, tmp_path: Path) -> None:
    minted = [line() for _ in range(200)]

    def mint(part: list[MintedLine]) -> None:
        for each in part:
            record(tmp_path, each)

    threads = [threading.Thread(target=mint, args=(minted[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    taking = [MintedTokens(log_world.database, log_world.parts.ledger, tmp_path) for _ in range(2)]
    while any(thread.is_alive() for thread in threads):
        await asyncio.gather(*(each.take() for each in taking))
    await taking[0].take()
    assert sorted(await tokens(log_world)) == sorted(each.token_id for each in minted)


def test_a_line_that_was_written_to_a_file_that_was_moved_away_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, moved = line(), False
    sync = os.fsync

    def moved_meanwhile(descriptor: int) -> None:
        nonlocal moved
        if not moved:
            moved = True
            (taken,) = take_over(tmp_path)
            taken.unlink()
        sync(descriptor)

    monkeypatch.setattr("os.fsync", moved_meanwhile)
    record(tmp_path, first)
    (taken,) = take_over(tmp_path)
    assert lines_of(taken) == ([first], [])


async def test_what_is_no_line_is_kept_aside(
    log_world: LogWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = line()
    broken = [
        b'{"token_id": "',
        b"[]",
        b"{}",
        good.encoded().strip().replace(b'"local"', b"7"),
        b"[" * 100_000,
    ]
    (tmp_path / "minted.jsonl").write_bytes(b"\n".join([*broken[:4], broken[4], good.encoded()[:40]]))
    record(tmp_path, good)
    taking = MintedTokens(log_world.database, log_world.parts.ledger, tmp_path)
    assert await taking.take() == 1
    assert await tokens(log_world) == [good.token_id]
    kept = (tmp_path / "minted.malformed").read_bytes().splitlines()
    assert kept == [*broken, good.encoded()[1:40]]
    assert "not understood" in caplog.text


async def test_rows_of_tokens_that_ended_are_forgotten(log_world: LogWorld, tmp_path: Path) -> None:
    record(tmp_path, line(minted_s=1_700_000_000))
    taking = MintedTokens(log_world.database, log_world.parts.ledger, tmp_path)
    assert await taking.take() == 1
    assert await log_world.superuser("SELECT * FROM minted_token") == []
