"""A tenant's own rules, and why something is denied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelgraph.client.times import from_us
from intelgraph.gateway.v1 import policy_pb2, policy_pb2_grpc

if TYPE_CHECKING:
    from datetime import datetime

    import grpc

    from intelgraph.client.calls import Caller


@dataclass(frozen=True, slots=True)
class PolicyModule:
    """A file of Rego v1; one whose name ends with `_test.rego` holds tests only."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class PolicyRevision:
    """A version of a tenant's rules."""

    version: int
    revision: bytes
    """SHA-256 of the modules."""
    in_force: bool
    files: tuple[str, ...]
    """None where the rules were removed."""
    created_by: str
    created_us: int
    """Microseconds since the Unix epoch."""

    @property
    def created(self) -> datetime:
        """When it was put."""
        return from_us(self.created_us)


@dataclass(frozen=True, slots=True)
class Policy:
    """A version with its modules."""

    revision: PolicyRevision
    modules: tuple[PolicyModule, ...]


@dataclass(frozen=True, slots=True)
class PutPolicy:
    """What came of putting rules in force."""

    revision: PolicyRevision | None
    """None after a dry run."""
    created: bool
    """False where the very same modules were in force already, and after a dry run."""
    tests: tuple[str, ...]
    """Paths of the tests that were run; all of them hold."""


@dataclass(frozen=True, slots=True)
class PolicyDenial:
    """A rule that denies."""

    text: str
    places: tuple[str, ...]
    """file:line of the rules with this text."""


@dataclass(frozen=True, slots=True)
class PolicyExplanation:
    """What is decided, and by what."""

    allow: bool
    reason: str
    """Empty where it is allowed, else PERMISSION_DENIED, PLATFORM_TENANT_ONLY, TENANT_RULE or FAILED."""
    granted_by: tuple[str, ...]
    """Roles that grant the permission."""
    denials: tuple[PolicyDenial, ...]
    fault: str
    """Where a rule failed, and how."""
    revision: str
    """SHA-256 of all files that decided, hexadecimal."""


class Policies:
    """Reads and replaces the rules of the caller's tenant."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel)
        self._caller = caller

    async def get(self, version: int = 0, *, timeout: float | None = None) -> Policy:
        """A version, by default the one in force. Raises NotFound."""
        request = policy_pb2.GetPolicyRequest(version=version)
        response = await self._caller.call(self._stub.GetPolicy, request, timeout)
        modules = tuple(PolicyModule(each.name, each.text) for each in response.modules)
        return Policy(_revision(response.revision), modules)

    async def put(
        self,
        modules: Sequence[PolicyModule],
        *,
        dry_run: bool = False,
        replaces: int | None = None,
        timeout: float | None = None,
    ) -> PutPolicy:
        """Puts rules in force once they compile and their own tests hold; none removes those there are.

        Raises InvalidArgument with a violation for each fault, and FailedPrecondition where another version than
        `replaces` is in force (0 is none).
        """
        request = policy_pb2.PutPolicyRequest(
            modules=[policy_pb2.PolicyModule(name=each.name, text=each.text) for each in modules],
            dry_run=dry_run,
            replaces=replaces,
        )
        response = await self._caller.call(self._stub.PutPolicy, request, timeout)
        revision = _revision(response.revision) if response.HasField("revision") else None
        return PutPolicy(revision, response.created, tuple(response.tests))

    async def revisions(self, *, timeout: float | None = None) -> AsyncIterator[PolicyRevision]:
        """All versions, newest first."""
        token = ""
        while True:
            request = policy_pb2.ListPolicyRevisionsRequest(page_token=token)
            page = await self._caller.call(self._stub.ListPolicyRevisions, request, timeout)
            for revision in page.revisions:
                yield _revision(revision)
            token = page.next_page_token
            if not token:
                return

    async def explain(
        self,
        permission: str,
        roles: Sequence[str],
        *,
        subject: str = "",
        attributes: Mapping[str, str] | None = None,
        machine: bool = False,
        dataset: str = "",
        timeout: float | None = None,
    ) -> PolicyExplanation:
        """What would be decided on a caller of the same tenant, who need not exist, and by what."""
        request = policy_pb2.ExplainDecisionRequest(
            permission=permission,
            subject=subject,
            roles=roles,
            attributes=attributes or {},
            machine=machine,
            decided_dataset=dataset,
        )
        response = await self._caller.call(self._stub.ExplainDecision, request, timeout)
        return PolicyExplanation(
            allow=response.allow,
            reason=response.reason,
            granted_by=tuple(response.granted_by),
            denials=tuple(PolicyDenial(each.text, tuple(each.places)) for each in response.denials),
            fault=response.fault,
            revision=response.revision,
        )


def _revision(revision: policy_pb2.PolicyRevision) -> PolicyRevision:
    return PolicyRevision(
        version=revision.version,
        revision=revision.revision,
        in_force=revision.in_force,
        files=tuple(revision.files),
        created_by=revision.created_by,
        created_us=revision.created_us,
    )
