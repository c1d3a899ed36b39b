"""Reading and replacing the tenant's rules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import policies


class Policies:
    """Reads and replaces the rules of the caller's tenant. See `intelgraph.client.policies.Policies`."""

    def __init__(self, portal: BlockingPortal, inner: policies.Policies) -> None:
        self._portal = portal
        self._inner = inner

    def get(self, version: int = 0, *, timeout: float | None = None) -> policies.Policy:
        """A version, by default the one in force. Raises NotFound."""
        return self._portal.call(partial(self._inner.get, version, timeout=timeout))

    def put(
        self,
        modules: Sequence[policies.PolicyModule],
        *,
        dry_run: bool = False,
        replaces: int | None = None,
        timeout: float | None = None,
    ) -> policies.PutPolicy:
        """Puts rules in force once they compile and their own tests hold; none removes those there are."""
        return self._portal.call(
            partial(self._inner.put, modules, dry_run=dry_run, replaces=replaces, timeout=timeout)
        )

    def revisions(self, *, timeout: float | None = None) -> Iterator[policies.PolicyRevision]:
        """All versions, newest first."""
        return iterate(self._portal, self._inner.revisions(timeout=timeout))

    def explain(
        self,
        permission: str,
        roles: Sequence[str],
        *,
        subject: str = "",
        attributes: Mapping[str, str] | None = None,
        machine: bool = False,
        dataset: str = "",
        timeout: float | None = None,
    ) -> policies.PolicyExplanation:
        """What would be decided on a caller of the same tenant, and by what."""
        return self._portal.call(
            partial(
                self._inner.explain,
                permission,
                roles,
                subject=subject,
                attributes=attributes,
                machine=machine,
                dataset=dataset,
                timeout=timeout,
            )
        )
