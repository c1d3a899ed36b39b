"""Every kind of ledger entry there is, with its schema. `docs/ledger.md` lists them for auditors.

An entry of a kind that is not in one of the modules here cannot be written: `Ledger.append` takes these types and no
others. A field is never removed and never changes its meaning; one that is added has a default.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from intelgraph.provenance.facts import Facts
from intelgraph.provenance.kinds import approvals, flags, ledger, operations, policy, spine

_MODULES: Final = (spine, ledger, approvals, operations, flags, policy)


def _kinds() -> Iterator[type[Facts]]:
    for module in _MODULES:
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, Facts) and each is not Facts:
                yield each


def _by_number() -> Mapping[int, type[Facts]]:
    kinds = list(_kinds())
    numbered = {each.NUMBER: each for each in kinds}
    if len(numbered) < len(kinds) or len({each.KIND for each in kinds}) < len(kinds):
        raise AssertionError("two kinds of ledger entries have one number or one name")
    return numbered


KINDS: Final[Mapping[int, type[Facts]]] = _by_number()
"""The kinds by their numbers."""

KIND_NAMES: Final[Mapping[str, int]] = {kind.KIND: number for number, kind in KINDS.items()}
"""The numbers of the kinds by their names."""
