"""The document for auditors lists the kinds of entries, and the findings, that there are."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from intelgraph.provenance import fsck
from intelgraph.provenance.facts import Facts
from intelgraph.provenance.kinds import KINDS

LEDGER = (Path(__file__).resolve().parents[2] / "docs/ledger.md").read_text()


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=lambda kind: kind.KIND)
def test_every_kind_is_documented_with_its_fields(kind: type[Facts]) -> None:
    (row,) = [line for line in LEDGER.splitlines() if line.startswith(f"| `{kind.KIND}` |")]
    assert re.findall(r"`([a-z_]+)`", row.split("|")[2]) == [each.name for each in fields(kind)]
    assert kind.__doc__
    assert kind.__doc__.splitlines()[0] in row


def test_no_kind_is_documented_that_there_is_not() -> None:
    kinds = LEDGER.split("## Kinds")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", kinds, re.MULTILINE)) == {
        kind.KIND for kind in KINDS.values()
    }


def test_every_finding_is_documented() -> None:
    source = "".join(path.read_text() for path in Path(*fsck.__path__).rglob("*.py"))
    reasons = set(re.findall(r'find\(\s*"([A-Z_]+)"', source))
    assert len(reasons) > 10
    assert not {reason for reason in reasons if f"`{reason}`" not in LEDGER}
