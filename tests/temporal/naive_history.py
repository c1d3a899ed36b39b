"""What the log must say of one entity, by the rule and nothing else; and RFC 6902 by the book."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """A stored change of the entity."""

    seq: int
    at_us: int
    operation: int
    document: Document | None

    @property
    def in_chain(self) -> bool:
        return self.operation <= 3

    @property
    def order(self) -> tuple[int, int]:
        return self.at_us, self.seq


@dataclass
class NaiveHistory:
    """Takes records, each with its valid time, and answers by looking at all of them."""

    versions: list[Version] = field(default_factory=list)

    def take(self, at_us: int, document: Document | None, seq: int) -> bool:
        """Whether the record is stored as change `seq`; no document is a delete."""
        chain = [version for version in self.versions if version.in_chain]
        head = chain[-1] if chain else None
        exists = head is not None and head.document is not None
        if head is not None and at_us <= head.at_us:
            if any(version.at_us == at_us and version.document == document for version in self.versions):
                return False
            if at_us < head.at_us:
                self.versions.append(Version(seq, at_us, 4 if document is not None else 5, document))
                return True
        if document is None and not exists:
            return False
        operation = 3 if document is None else 2 if exists else 1
        self.versions.append(Version(seq, at_us, operation, document))
        return True

    def as_of(self, valid_us: int | None, seq: int | None) -> Version | None:
        """The rule: of what was recorded by change `seq` and true by `valid_us`, the greatest (valid_at, seq)."""
        within = [
            version
            for version in self.versions
            if (valid_us is None or version.at_us <= valid_us) and (seq is None or version.seq <= seq)
        ]
        return max(within, key=lambda version: version.order, default=None)

    def newest_first(self) -> list[Version]:
        """The history."""
        return sorted(self.versions, key=lambda version: version.order, reverse=True)


def patched(document: Any, patch: Sequence[dict[str, Any]]) -> Any:
    """The document that an RFC 6902 patch leads to. Raises AssertionError where a `test` fails."""
    document = copy.deepcopy(document)
    for step in patch:
        path = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        if not path:
            if step["op"] == "test":
                assert document == step["value"]
            else:
                document = step.get("value")
            continue
        holder = document
        for part in path[:-1]:
            holder = holder[int(part)] if isinstance(holder, list) else holder[part]
        key: Any = int(path[-1]) if isinstance(holder, list) else path[-1]
        match step["op"]:
            case "test":
                assert holder[key] == step["value"]
            case "add" if isinstance(holder, list):
                assert key <= len(holder)
                holder.insert(key, step["value"])
            case "remove":
                del holder[key]
            case "replace":
                assert key in holder or isinstance(holder, list)
                holder[key] = step["value"]
            case _:
                holder[key] = step["value"]
    return document


def as_patch(changes: bytes, *, reverse: bool = False) -> list[dict[str, Any]]:
    """A reversible list, or the way back, as RFC 6902."""
    steps: list[dict[str, Any]] = []
    for kind, path, *values in reversed(json.loads(changes)) if reverse else json.loads(changes):
        old, new = {"r": values, "a": [None, *values], "d": [*values, None]}[kind]
        undone = {"r": "r", "a": "d", "d": "a"}[kind] if reverse else kind
        old, new = (new, old) if reverse else (old, new)
        if undone != "a":
            steps.append({"op": "test", "path": path, "value": old})
        steps.append({"op": {"r": "replace", "a": "add", "d": "remove"}[undone], "path": path, "value": new})
    return steps
