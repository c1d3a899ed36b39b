"""A log as one writes it down for oneself: what each record is, and what a cut leaves of it."""

import json
from collections import Counter
from dataclasses import dataclass, field

from tests.temporal.world import Document


@dataclass(frozen=True)
class NaiveVersion:
    """A change of an entity."""

    seq: int
    valid_at: int
    content: str | None
    """The document as text; None after a delete."""
    in_chain: bool


@dataclass
class NaiveEntity:
    """The changes of one entity that are left."""

    versions: list[NaiveVersion] = field(default_factory=list)

    @property
    def chain(self) -> list[NaiveVersion]:
        return [version for version in self.versions if version.in_chain]

    @property
    def newest(self) -> NaiveVersion | None:
        """The version in force now."""
        return max(self.versions, key=lambda version: (version.valid_at, version.seq), default=None)


@dataclass
class NaiveLog:
    """Entities by dataset and key. `seq` is the last change."""

    entities: dict[tuple[str, str], NaiveEntity] = field(default_factory=dict)
    seq: int = 0

    def take(self, dataset: str, key: str, document: Document | None, at: int) -> str:
        """Takes one record: `accepted`, `unchanged` or `duplicate`."""
        content = None if document is None else json.dumps(document, sort_keys=True)
        entity = self.entities.setdefault((dataset, key), NaiveEntity())
        head = entity.chain[-1] if entity.chain else None
        if not entity.versions:
            return self._add(entity, at, content, in_chain=True) if content is not None else "unchanged"
        newest_at = head.valid_at if head is not None else max(each.valid_at for each in entity.versions)
        same_time = [each.content for each in entity.versions if each.valid_at == at]
        if at <= newest_at and content in same_time:
            return "duplicate"
        if at < newest_at:
            return self._add(entity, at, content, in_chain=False)
        if head is not None and at > newest_at and head.content == content:
            return "unchanged"
        if head is None and content is None and entity.newest is not None and entity.newest.content is None:
            return "unchanged"  # only late versions are left, and they say that it is gone
        return self._add(entity, at, content, in_chain=True)

    def cut(self, datasets: set[str], until_seq: int) -> int:
        """Removes what retention removes; how many changes."""
        removed = 0
        for (dataset, _), entity in self.entities.items():
            if dataset in datasets:
                kept = [version for version in entity.versions if version.seq > until_seq]
                removed += len(entity.versions) - len(kept)
                entity.versions = kept
        return removed

    def _add(self, entity: NaiveEntity, at: int, content: str | None, *, in_chain: bool) -> str:
        self.seq += 1
        entity.versions.append(NaiveVersion(self.seq, at, content, in_chain))
        return "accepted"


def counts(outcomes: list[str]) -> tuple[int, int, int]:
    """Accepted, unchanged, duplicate."""
    counted = Counter(outcomes)
    return counted["accepted"], counted["unchanged"], counted["duplicate"]
