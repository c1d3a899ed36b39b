"""The core's side of the ledger as Python calls it: what goes in, what comes out, and what is refused how."""

import hashlib
import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from intelgraph._core import (
    CoreError,
    CorruptData,
    KeyUnavailable,
    LocalKeyring,
    TileWriter,
    Unlock,
    add_cosignature,
    bundle_entries,
    checkpoint_text,
    commitment,
    consistency_file,
    consistency_proof,
    consistency_tiles,
    cosign,
    inclusion_file,
    inclusion_proof,
    inclusion_tiles,
    leaf,
    leaf_hash,
    open_checkpoint,
    parse_leaf,
    signed_note,
    tree_of_frontier,
    verify_consistency,
    verify_inclusion,
    verify_signature,
    vkey,
)

OWNER = b"\xff" * 16
ORIGIN = "ledger.example/42"
WITNESS = "witness.example"
SEED = b"w" * 32

ENTRIES = [f"entry {number}".encode() for number in range(700)]


def prefixed(entries: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


@pytest.fixture(scope="module")
def log() -> tuple[TileWriter, dict[str, bytes]]:
    """A log of all entries, written in two parts."""
    writer = TileWriter.empty()
    files = dict(writer.append(ENTRIES[:300]))
    files |= dict(writer.append(ENTRIES[300:]))
    return writer, files


@pytest.fixture(scope="module")
def keyring() -> LocalKeyring:
    keyring = LocalKeyring.create(Unlock.key_file(b"k" * 32))
    keyring.create_kek(OWNER, 0)
    return keyring


def nowhere(path: str) -> bytes | None:
    """Reads a log that is not there."""
    return None


def unreadable(path: str) -> bytes | None:
    raise PermissionError(path)


def refuses(why: str, refused: Callable[[], object]) -> None:
    with pytest.raises(CoreError) as caught:
        refused()
    assert reason(caught) == why


def reason(caught: pytest.ExceptionInfo[CoreError]) -> str:
    return str(caught.value.args[1])


def checkpoint(keyring: LocalKeyring, size: int, root: bytes) -> tuple[bytes, str]:
    """A signed checkpoint and what verifies it."""
    text = checkpoint_text(ORIGIN, size, root)
    version, signature = keyring.sign(OWNER, text)
    _, public_key = keyring.verifying_key(OWNER, version)
    return signed_note(text, ORIGIN, public_key, signature), vkey(ORIGIN, public_key)


def test_entries_are_appended_in_either_form(log: tuple[TileWriter, dict[str, bytes]]) -> None:
    writer, files = log
    other = TileWriter.empty()
    in_one = dict(other.append_prefixed(prefixed(ENTRIES)))
    assert (other.size, other.root) == (700, writer.root)
    assert in_one.items() <= files.items()
    assert bundle_entries(files["tile/entries/002.p/188"]) == ENTRIES[512:]
    assert repr(writer) == "<TileWriter 700 entries>"


def test_commitments_are_appended_as_leaves() -> None:
    pairs = [(bytes([number] * 32), bytes([number ^ 255] * 32)) for number in range(5)]
    writer, other = TileWriter.empty(), TileWriter.empty()
    files = dict(writer.append_commitments(b"".join(header + payload for header, payload in pairs)))
    assert files == dict(other.append([leaf(header, payload) for header, payload in pairs]))
    assert [parse_leaf(each) for each in bundle_entries(files["tile/entries/000.p/5"])] == pairs
    with pytest.raises(ValueError, match="32 bytes each"):
        writer.append_commitments(b"x" * 65)
    with pytest.raises(CoreError) as caught:
        parse_leaf(b"{}")
    assert reason(caught) == "LEDGER_LEAF_MALFORMED"


def test_a_copy_is_where_a_failed_transaction_returns_to() -> None:
    writer = TileWriter.empty()
    writer.append(ENTRIES[:10])
    before = writer.copy()
    writer.append(ENTRIES[10:20])
    assert (before.size, writer.size) == (10, 20)
    before.append(ENTRIES[10:20])
    assert before.root == writer.root


def test_a_log_is_gone_on_with(log: tuple[TileWriter, dict[str, bytes]]) -> None:
    writer, files = log
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return files.get(path)

    resumed = TileWriter.resume(700, writer.root, read)
    assert (resumed.size, resumed.root) == (700, writer.root)
    assert (
        asked
        == TileWriter.tiles_to_resume(700)
        == ["tile/entries/002.p/188", "tile/0/002.p/188", "tile/1/000.p/2"]
    )
    # From before a partial tile was replaced by the full one.
    full = {path: content for path, content in files.items() if ".p/" not in path}
    older = TileWriter.empty()
    edge = dict(older.append(ENTRIES[:300]))
    upper = {"tile/1/000.p/1": edge["tile/1/000.p/1"]}
    assert TileWriter.resume(300, older.root, (full | upper).get).root == older.root

    with pytest.raises(CorruptData) as caught:
        TileWriter.resume(700, bytes(32), files.get)
    assert reason(caught) == "LEDGER_ROOT_MISMATCH"
    with pytest.raises(CorruptData) as caught:
        TileWriter.resume(700, writer.root, nowhere)
    assert reason(caught) == "LEDGER_TILE_MISSING"
    altered = files | {"tile/entries/002.p/188": files["tile/entries/002.p/188"].replace(b"600", b"601", 1)}
    with pytest.raises(CorruptData) as caught:
        TileWriter.resume(700, writer.root, altered.get)
    assert reason(caught) == "LEDGER_ENTRY_MISMATCH"
    with pytest.raises(PermissionError):
        TileWriter.resume(700, writer.root, unreadable)


def test_an_entry_has_a_longest_length() -> None:
    writer = TileWriter.empty()
    with pytest.raises(CoreError) as caught:
        writer.append([b"", b"x" * 65_536])
    assert (reason(caught), writer.size) == ("LEDGER_ENTRY_TOO_LONG", 0)
    with pytest.raises(CorruptData) as caught_corrupt:
        writer.append_prefixed(b"\x00\x02x")
    assert (reason(caught_corrupt), writer.size) == ("LEDGER_BUNDLE_CUT_SHORT", 0)


def test_proofs_are_made_and_verified(log: tuple[TileWriter, dict[str, bytes]]) -> None:
    writer, files = log
    assert inclusion_tiles(7, 700) == ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"]
    proof = inclusion_proof(7, 700, files.get)
    verify_inclusion(7, 700, leaf_hash(ENTRIES[7]), proof, writer.root)
    older = TileWriter.empty()
    older.append(ENTRIES[:300])
    assert set(consistency_tiles(300, 700)) <= files.keys()
    growth = consistency_proof(300, 700, files.get)
    verify_consistency(300, 700, older.root, writer.root, growth)
    assert consistency_proof(700, 700, files.get) == []

    refuses(
        "LEDGER_PROOF_MISMATCH", lambda: verify_inclusion(8, 700, leaf_hash(ENTRIES[7]), proof, writer.root)
    )
    refuses(
        "LEDGER_PROOF_LENGTH", lambda: verify_inclusion(7, 700, leaf_hash(ENTRIES[7]), proof[1:], writer.root)
    )
    refuses("LEDGER_INDEX_BEYOND_SIZE", lambda: verify_inclusion(700, 700, leaf_hash(b""), [], writer.root))
    refuses("LEDGER_PROOF_MISMATCH", lambda: verify_consistency(300, 700, writer.root, writer.root, growth))
    refuses("LEDGER_SIZES_REVERSED", lambda: verify_consistency(701, 700, writer.root, writer.root, []))
    refuses("LEDGER_CONSISTENCY_OF_EMPTY", lambda: verify_consistency(0, 700, writer.root, writer.root, []))
    refuses("LEDGER_CONSISTENCY_OF_EMPTY", lambda: consistency_tiles(0, 700))
    refuses("LEDGER_INDEX_BEYOND_SIZE", lambda: inclusion_proof(700, 700, files.get))
    with pytest.raises(CorruptData):
        inclusion_proof(7, 700, nowhere)
    with pytest.raises(ValueError, match="32 bytes"):
        verify_inclusion(7, 700, b"short", proof, writer.root)


def test_a_checkpoint_is_signed_opened_and_cosigned(
    log: tuple[TileWriter, dict[str, bytes]], keyring: LocalKeyring
) -> None:
    writer, _ = log
    note, key = checkpoint(keyring, 700, writer.root)
    assert open_checkpoint(note, [key]) == (ORIGIN, 700, writer.root, [(ORIGIN, None)])

    witness_key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    witness = vkey(WITNESS, witness_key, cosigner=True)
    line = cosign(note, WITNESS, SEED, 1_679_315_147)
    cosigned = add_cosignature(note, line, witness)
    assert cosigned == note + line.encode()
    signers = [(ORIGIN, None), (WITNESS, 1_679_315_147)]
    assert open_checkpoint(cosigned, [key, witness]) == (ORIGIN, 700, writer.root, signers)

    other, _ = checkpoint(keyring, 701, writer.root)
    refuses("NOTE_UNVERIFIED", lambda: open_checkpoint(note, []))
    refuses("CHECKPOINT_UNSIGNED", lambda: open_checkpoint(cosigned, [witness]))
    refuses("NOTE_SIGNATURE_INVALID", lambda: open_checkpoint(note.replace(b"\n700\n", b"\n701\n"), [key]))
    refuses("NOTE_MALFORMED", lambda: open_checkpoint(b"no note", [key]))
    refuses("VERIFIER_KEY_MALFORMED", lambda: open_checkpoint(note, ["no key"]))
    refuses("NOTE_SIGNATURE_INVALID", lambda: add_cosignature(other, line, witness))
    refuses("COSIGNATURE_FOREIGN", lambda: add_cosignature(note, line, key))
    refuses("CHECKPOINT_MALFORMED", lambda: checkpoint_text("two\nlines", 1, bytes(32)))
    refuses("VERIFIER_KEY_MALFORMED", lambda: vkey("a b", witness_key))
    refuses("SIGNING_KEY_UNFIT", lambda: cosign(note, WITNESS, b"short", 1))


def test_a_signature_is_verified_before_it_is_a_note(keyring: LocalKeyring) -> None:
    text = checkpoint_text(ORIGIN, 1, bytes(32))
    _, public_key = keyring.verifying_key(OWNER)
    _, signature = keyring.sign(OWNER, text)
    note = signed_note(text, ORIGIN, public_key, signature)
    second = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    by_both = signed_note(text, ORIGIN, second.public_key().public_bytes_raw(), second.sign(text), note)
    assert by_both.startswith(note)
    keys = [vkey(ORIGIN, public_key), vkey(ORIGIN, second.public_key().public_bytes_raw())]
    assert [name for name, _ in open_checkpoint(by_both, keys)[3]] == [ORIGIN, ORIGIN]
    for wrong in (bytes(64), signature[:63], b""):
        with pytest.raises(CoreError):
            signed_note(text, ORIGIN, public_key, wrong)
    with pytest.raises(CoreError) as caught:
        signed_note(checkpoint_text(ORIGIN, 2, bytes(32)), ORIGIN, public_key, signature, note)
    assert reason(caught) == "NOTE_MALFORMED"


def test_a_key_signs_under_its_newest_enabled_version() -> None:
    keyring = LocalKeyring.create(Unlock.key_file(b"k" * 32))
    with pytest.raises(KeyUnavailable) as caught:
        keyring.sign(OWNER, b"")
    assert reason(caught) == "KEK_UNKNOWN"
    keyring.create_kek(OWNER, 0)
    keyring.create_kek(OWNER, 0)
    version, signature = keyring.sign(OWNER, b"message")
    number, public_key = keyring.verifying_key(OWNER)
    assert (version, number, len(signature), len(public_key)) == (2, 2, 64, 32)
    ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, b"message")
    keyring.disable(OWNER, 2)
    assert keyring.sign(OWNER, b"message")[0] == 1
    assert keyring.verifying_key(OWNER, 2) == (2, public_key)


def test_signatures_of_others_are_verified() -> None:
    message = b"what is approved"
    edwards = ed25519.Ed25519PrivateKey.generate()
    public_key, signature = edwards.public_key().public_bytes_raw(), edwards.sign(message)
    assert verify_signature("Ed25519", public_key, message, signature)
    assert not verify_signature("Ed25519", public_key, message + b"!", signature)
    assert not verify_signature("Ed25519", public_key[:31], message, signature)

    curve = ec.generate_private_key(ec.SECP256R1())
    point = curve.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    r, s = decode_dss_signature(curve.sign(message, ec.ECDSA(hashes.SHA256())))
    fixed = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert verify_signature("ES256", point, message, fixed)
    assert not verify_signature("ES256", point, message, fixed[::-1])
    assert not verify_signature("Ed25519", point, message, fixed)
    with pytest.raises(ValueError, match="Ed25519 or ES256"):
        verify_signature("RS256", point, message, fixed)  # type: ignore[arg-type]  # what a caller may pass


def test_commitments_hide_and_bind() -> None:
    salt = b"s" * 32
    header = commitment(salt, "header", b"{}")
    assert header == commitment(salt, "header", b"{}") != commitment(salt, "payload", b"{}")
    assert header != commitment(b"t" * 32, "header", b"{}")
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(b"short", "header", b"{}")
    with pytest.raises(ValueError, match="header or a payload"):
        commitment(salt, "both", b"{}")  # type: ignore[arg-type]  # what a caller may pass


def test_a_stored_frontier_tells_size_and_root() -> None:
    assert tree_of_frontier(b"") == (0, hashlib.sha256(b"").digest())
    peaks = [hashlib.sha256(bytes([number])).digest() for number in range(2)]
    root = hashlib.sha256(b"\x01" + peaks[0] + peaks[1]).digest()
    assert tree_of_frontier(struct.pack(">Q", 3) + b"".join(peaks)) == (3, root)
    with pytest.raises(CorruptData):
        tree_of_frontier(struct.pack(">Q", 3) + peaks[0])


def test_proof_files_hold_proof_and_checkpoint(
    log: tuple[TileWriter, dict[str, bytes]], keyring: LocalKeyring
) -> None:
    writer, files = log
    note, _ = checkpoint(keyring, 700, writer.root)
    proof = inclusion_proof(7, 700, files.get)
    file = inclusion_file(7, proof, note, b"more")
    assert file.startswith(b"c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 7\n")
    assert file.endswith(b"\n\n" + note)
    file = consistency_file(300, consistency_proof(300, 700, files.get), note)
    assert file.startswith(b"old 300\n")
    assert file.endswith(b"\n\n" + note)
