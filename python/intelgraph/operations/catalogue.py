"""The kinds of operations that a process can run. What is not in it cannot be started."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from intelgraph.operations.kind import Kind

AnyKind: TypeAlias = Kind[Any, Any]


class Catalogue:
    """Kinds by their names. `gateway.assembly` makes the one of a gateway, with every kind there is."""

    def __init__(self, kinds: Iterable[AnyKind]) -> None:
        listed = list(kinds)
        self._kinds = {kind.NAME: kind for kind in listed}
        if len(self._kinds) < len(listed):
            raise ValueError("two kinds of operations have one name")

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._kinds)

    def named(self, name: str) -> AnyKind | None:
        """The kind of that name. None for one of a newer version of the gateway."""
        return self._kinds.get(name)
