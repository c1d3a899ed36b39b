"""Files and standard input as sources of records."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from intelgraph import errors
from intelgraph.cli.record_source import STANDARD_INPUT, Format, open_source, require_readable


def records(path: Path, format_: Format | None = None) -> list[bytes]:
    with open_source(path, format_, {}, ()) as source:
        return list(source.records)


def test_ndjson_is_passed_on_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'{"a": 1}\r\n\n  [broken\n{"b":2}')
    assert records(file) == [b'{"a": 1}', b"[broken", b'{"b":2}']


def test_csv_is_known_by_its_suffix_and_may_begin_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.CSV"
    file.write_bytes(b"\xef\xbb\xbfa\n1\n")
    assert records(file) == [b'{"a":"1"}']


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"{}\n" * 10)
    with open_source(file, None, {}, ()) as source:
        assert source.size == 30
        assert len(list(source.records)) == 10
        assert source.position() == 30


def test_standard_input_is_ndjson_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"{}\n")))
    assert records(STANDARD_INPUT) == [b"{}"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\n1\n")))
    assert records(STANDARD_INPUT, Format.CSV) == [b'{"a":"1"}']


def test_a_file_that_does_not_say_how_it_is_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.touch()
    with pytest.raises(errors.InvalidArgument, match="FORMAT_UNKNOWN"):
        records(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgument, match="FILE_UNREADABLE") as refused:
        records(tmp_path / "absent.csv")
    assert "absent.csv" in refused.value.message


def test_ndjson_may_begin_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'\xef\xbb\xbf{"a":1}\n{"b":2}\n')
    assert records(file) == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize(
    ("name", "text"), [("a.ndjson", b'\n{"a":"long, too long"}\n{}\n'), ("a.csv", b"a\nlong too long\n1\n")]
)
def test_a_record_that_no_batch_holds_is_named_by_its_line(tmp_path: Path, name: str, text: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(text)
    with open_source(file, None, {}, ()) as source:
        assert len(list(source.records_within(10))) == 1
        ((count, lines),) = source.unreadable.problems.values()
    assert (count, lines) == (1, (2,))


def test_files_are_looked_at_before_the_first_is_read(tmp_path: Path) -> None:
    good = tmp_path / "a.csv"
    good.touch()
    (tmp_path / "d.csv").mkdir()
    require_readable([good, STANDARD_INPUT], None)
    for wrong, reason in (
        ("absent.csv", "FILE_UNREADABLE"),
        ("d.csv", "FILE_UNREADABLE"),
        ("a.t", "FORMAT_UN"),
    ):
        with pytest.raises(errors.InvalidArgument, match=reason):
            require_readable([good, tmp_path / wrong], None)
