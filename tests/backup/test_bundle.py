"""A bundle is what was written, to the byte, or what is not is named; and it is written whole or not at all."""

import contextlib
import hashlib
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from intelgraph._core import TileWriter, checkpoint_text, open_checkpoint, signed_note, vkey
from intelgraph.backup.bundle import Bundle, Source, write_bundle
from intelgraph.backup.manifest import Manifest, is_safe
from intelgraph.backup.verification import verified
from intelgraph.errors import AlreadyExists, DataLoss, NotFound
from intelgraph.provenance.bundles import paths_of_log

ORIGIN = "intelgraph-gateway/test"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def sources(size: int) -> list[Source]:
    """A dump, a keyring, and a log of that size."""
    edge = TileWriter.empty()
    files: dict[str, bytes] = {}
    for step in (size // 2, size - size // 2):
        files |= dict(edge.append_commitments(hashlib.sha512(bytes([step % 256])).digest() * step))
    text = checkpoint_text(ORIGIN, size, edge.root)
    note = signed_note(text, ORIGIN, KEY.public_key().public_bytes_raw(), KEY.sign(text))
    return [
        Source("database.dump", b"dump" * 300),
        Source("keys/keyring.sealed", b"sealed"),
        Source("ledger/checkpoint", note),
        *(Source(f"ledger/{path}", files[path]) for path in paths_of_log(size)),
    ]


def manifest_of(parts: list[Source], size: int) -> Manifest:
    return Manifest(
        taken_us=1,
        version="0.1.0",
        server_version=180000,
        migrations=["0001_spine"],
        settings="ab" * 32,
        origin=ORIGIN,
        log_size=size,
        log_root="00" * 32,
        checkpoint_size=size,
        verifier_keys=[vkey(ORIGIN, KEY.public_key().public_bytes_raw())],
        files=[each.entry() for each in parts],
    )


def write(target: Path, size: int = 300) -> str:
    parts = sources(size)
    return write_bundle(target, manifest_of(parts, size), parts, lambda *_: None)


def faults(path: Path) -> list[tuple[str, str]]:
    return [(each.path, each.what) for each in verified(path, lambda *_: None)[1].faults]


def test_one_content_is_one_file(tmp_path: Path) -> None:
    first, second = write(tmp_path / "first.tar"), write(tmp_path / "second.tar")
    content = (tmp_path / "first.tar").read_bytes()
    assert first == second == hashlib.sha256(content).hexdigest()
    assert content == (tmp_path / "second.tar").read_bytes()
    assert faults(tmp_path / "first.tar") == []
    with tarfile.open(tmp_path / "first.tar") as tar:
        members = tar.getmembers()
    assert members[0].name == "manifest.json"
    assert {(each.mtime, each.uid, each.gid, each.uname, each.mode) for each in members} == {
        (0, 0, 0, "", 0o600)
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.tar", "second.tar"]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_536, 66_000])
def test_the_files_of_a_log_are_those_that_are_written(tmp_path: Path, size: int) -> None:
    write(tmp_path / "b.tar", size)
    assert faults(tmp_path / "b.tar") == []
    bundle = Bundle.open(tmp_path / "b.tar")
    root = open_checkpoint(bundle.read("ledger/checkpoint") or b"", bundle.manifest.verifier_keys)[2]
    assert TileWriter.resume(size, root, lambda tile: bundle.read(f"ledger/{tile}")).size == size


def test_every_byte_counts(tmp_path: Path, is_full: bool) -> None:
    path = tmp_path / "b.tar"
    write(path, 3)
    content = path.read_bytes()
    altered = bytearray(content)
    unnoticed = []
    for at in range(0, len(content), 1 if is_full else 17):
        altered[at] ^= 1
        path.write_bytes(altered)
        altered[at] ^= 1
        try:
            if not faults(path):
                unnoticed.append(at)
        except DataLoss:
            continue
    assert unnoticed == []


def test_what_is_cut_short_or_goes_on_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    write(path)
    content = path.read_bytes()
    for length in (0, 100, 512, 3000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with contextlib.suppress(DataLoss):
            assert faults(path), length
    path.write_bytes(content + b"x")
    assert faults(path) == [("manifest.sha256", "the bundle goes on behind its end")]
    at = content.index(b"dumpdump")
    path.write_bytes(content[:at] + b"DUMP" + content[at + 4 :])
    assert faults(path) == [("database.dump", "was altered")]


def rewritten(path: Path, parts: list[Source], **changed: object) -> None:
    manifest = replace(manifest_of(parts, 300), **changed)  # type: ignore[arg-type] # any field of it
    path.unlink(missing_ok=True)
    write_bundle(path, manifest, parts, lambda *_: None)


def test_a_log_that_is_not_what_was_signed_is_named(tmp_path: Path) -> None:
    path, parts = tmp_path / "b.tar", sources(300)
    tile = next(each for each in parts if each.path == "ledger/tile/0/000")
    assert isinstance(tile.content, bytes)
    other = Source(tile.path, tile.content[:-1] + b"x")
    rewritten(path, [other if each is tile else each for each in parts])
    assert faults(path) == [("ledger/tile/0/000", "is not the tile of these entries")]

    foreign = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    rewritten(path, parts, verifier_keys=[vkey(ORIGIN, foreign)])
    ((where, what),) = faults(path)
    assert where == "ledger/checkpoint"
    assert "signed" in what

    rewritten(path, parts[:-1])
    assert faults(path)[0] == (parts[-1].path, "is missing")
    rewritten(path, [*parts, Source("keys/other", b"")])
    assert faults(path) == [("keys/other", "does not belong into a backup")]


def test_nothing_is_written_over_and_nothing_half(tmp_path: Path) -> None:
    path, parts = tmp_path / "b.tar", sources(3)
    path.write_text("mine")
    with pytest.raises(AlreadyExists):
        write(path, 3)
    assert path.read_text() == "mine"
    changing = tmp_path / "dump"
    changing.write_bytes(b"before")
    manifest = manifest_of([Source("database.dump", changing), *parts[1:]], 3)
    changing.write_bytes(b"behind")
    with pytest.raises(DataLoss) as refused:
        write_bundle(
            tmp_path / "c.tar", manifest, [Source("database.dump", changing), *parts[1:]], lambda *_: None
        )
    assert [str(each) for each in refused.value.violations] == ["at /database.dump: was altered"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.tar", "dump"]


def test_a_path_never_leads_elsewhere(tmp_path: Path) -> None:
    for path in ("/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "", "a\0b", "ä"):
        assert not is_safe(path), path
        document = json.loads(manifest_of([Source("a", b"")], 3).encoded())
        document["files"][0]["path"] = path
        with pytest.raises(ValueError):  # noqa: PT011 (all of them)
            Manifest.decoded(
                json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"
            )
    with pytest.raises(NotFound):
        Bundle.open(tmp_path / "none")
    with pytest.raises(DataLoss):
        Bundle.open(tmp_path)
