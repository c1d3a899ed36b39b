"""The generated code: what `make generate` writes, importable as it is, and typed for those who use it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "python/intelgraph/gateway/v1"

USER_CODE = '''
"""A service of a user, as strict about types as can be."""

import asyncio
from collections.abc import AsyncIterator

import grpc

from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc, ingest_pb2, ingest_pb2_grpc


async def newest(channel: grpc.aio.Channel, key: bytes) -> bytes:
    stub = entity_pb2_grpc.EntityServiceStub(channel)
    request = entity_pb2.GetRequest(entity=entity_pb2.EntityRef(dataset="weather", key=key))
    response = await stub.Get(request, timeout=1.0)
    return response.version.document


async def requests() -> AsyncIterator[ingest_pb2.StreamRequest]:
    yield ingest_pb2.StreamRequest(open=ingest_pb2.OpenStream(dataset="weather", stream_id="one"))
    record = ingest_pb2.Record(upsert=b"{}")
    yield ingest_pb2.StreamRequest(batch=ingest_pb2.Batch(sequence=1, records=[record]))


async def send(channel: grpc.aio.Channel) -> list[int]:
    sequences: list[int] = []
    async for response in ingest_pb2_grpc.IngestServiceStub(channel).Stream(requests()):
        if response.WhichOneof("message") == "ack":
            sequences.append(response.ack.sequence)
    return sequences


def blocking(channel: grpc.Channel) -> int:
    stub = entity_pb2_grpc.EntityServiceStub(channel)
    changes = stub.Changes(entity_pb2.ChangesRequest(after_seq=1, until_now=True))
    return sum(len(response.entries) for response in changes)


async def main() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:7443") as channel:
        print(await newest(channel, b'"EWR"'), await send(channel))


if __name__ == "__main__":
    asyncio.run(main())
'''


def run_mypy(directory: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Checks a user's module with mypy as it is configured nowhere but by --strict."""
    file = directory / "user_code.py"
    file.write_text(code)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--cache-dir",
            directory / "cache",
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=os.environ | {"MYPYPATH": str(ROOT / "python")},
    )


def test_make_generate_leaves_no_diff(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "proto/generate.py", "--into", tmp_path], check=True)
    fresh = tmp_path / GENERATED.relative_to(ROOT / "python")

    def contents(directory: Path) -> dict[str, str]:
        return {file.name: file.read_text() for file in directory.iterdir() if file.is_file()}

    assert contents(fresh) == contents(GENERATED)


def test_wire_without_a_permission_generates_nothing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    source = tmp_path / "proto/intelgraph/gateway/v1/tenant.proto"
    text = source.read_text()
    source.write_text(text.replace('option (permission) = "tenant.read";', "", 1))
    done = subprocess.run(
        [sys.executable, tmp_path / "proto/generate.py", "--into", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "intelgraph.gateway.v1.TenantService/ListTenants" in done.stderr
    assert not (tmp_path / "out").exists()


def test_stubs_import_in_a_bare_interpreter() -> None:
    modules = sorted(
        f"intelgraph.gateway.v1.{file.stem}" for file in GENERATED.glob("*.py") if file.stem != "__init__"
    )
    assert len(modules) >= 12
    program = "import sys\n" + "".join(f"import {module}\n" for module in modules)
    program += "assert not [m for m in sys.modules if m.startswith(('asyncpg', 'uvicorn', 'pydantic'))]\n"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_user_code_passes_mypy_strict(tmp_path: Path) -> None:
    done = run_mypy(tmp_path, USER_CODE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("response.version.document", "response.version.no_such_field"),
        ('entity_pb2.EntityRef(dataset="weather", key=key)', "entity_pb2.EntityRef(dataset=1)"),
        ("sequences.append(response.ack.sequence)", "sequences.append(response.ack.quarantine_id)"),
        ("await stub.Get(request, timeout=1.0)", 'await stub.Get("request")'),
    ],
)
def test_wrong_user_code_does_not_pass(tmp_path: Path, right: str, wrong: str) -> None:
    assert right in USER_CODE
    assert run_mypy(tmp_path, USER_CODE.replace(right, wrong)).returncode == 1
