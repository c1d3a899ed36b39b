"""Logs: one JSON object per line, and nothing in it that a foreign library quoted."""

import json
import subprocess
import sys
import textwrap
from typing import Any

PROGRAM = """
import asyncio, gc, logging
import structlog
from intelgraph.gateway import logs

logs.configure("info")
log = logging.getLogger("part")
log.info("plain %s", "text", extra={"key_id": "k1", "payload": b"hunter2", "many": {"a": 1}})
log.debug("too detailed")
structlog.get_logger("part").warning("structured", frame=memoryview(b"hunter2"))
try:
    try:
        float("hunter2")
    except ValueError as error:
        raise LookupError("hunter2") from error
except LookupError:
    log.exception("failed")

async def fail():
    raise ValueError("hunter2")

async def forget():
    logs.log_loop_exceptions(asyncio.get_running_loop())
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

asyncio.run(forget())
"""


def lines() -> list[dict[str, Any]]:
    """What the program logs."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, check=True
    )
    assert "hunter2" not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_an_object_without_foreign_texts() -> None:
    plain, structured, failed, forgotten = lines()
    assert plain["event"] == "plain text"
    assert (plain["level"], plain["logger"], plain["key_id"]) == ("info", "part", "k1")
    assert plain["payload"] == "7 bytes"
    assert plain["timestamp"].endswith("Z")
    assert structured["frame"] == "7 bytes"
    assert [cause.split(" at ")[0] for cause in failed["causes"]] == ["LookupError", "ValueError"]
    assert failed["causes"][0].endswith("<string>:15")
    assert forgotten["logger"] == "asyncio"
    assert forgotten["causes"][0].startswith("ValueError at")
