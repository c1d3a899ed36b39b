"""`PolicyService`: a tenant's own rules, and why something is denied."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from intelgraph._core import CoreError, PolicyBundle, PolicyQuestion
from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.v1 import policy_pb2, policy_pb2_grpc
from intelgraph.policy.expendable import TooManyStuck
from intelgraph.policy.rules import Module, check_new_rules

if TYPE_CHECKING:
    import grpc

    from intelgraph.policy.decisions import Decisions
    from intelgraph.policy.expendable import ExpendableThreads
    from intelgraph.policy.store import RulesStore, RulesVersion
    from intelgraph.policy.watch import RulesWatch

    Context = grpc.aio.ServicerContext[Any, Any]

CHECKS_AT_ONCE: Final = 2
"""Rules of different tenants that are checked at once when they are put."""


@dataclass(frozen=True, slots=True)
class PolicyParts:
    """What the service serves with. `threads` are its own, so that no rules that are tried stop those in force."""

    platform: PolicyBundle
    store: "RulesStore"
    decisions: "Decisions"
    watch: "RulesWatch"
    threads: "ExpendableThreads"


class PolicyService(policy_pb2_grpc.PolicyServiceServicer):
    """The rules of the caller's tenant."""

    def __init__(self, parts: PolicyParts) -> None:
        self._parts = parts
        # What is put may burn a core while it is checked: of each tenant one, and so many of all.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def GetPolicy(  # noqa: N802 (gRPC's name)
        self, request: policy_pb2.GetPolicyRequest, context: "Context"
    ) -> policy_pb2.GetPolicyResponse:
        version = await self._parts.store.get(current_identity.get().tenant, request.version)
        return policy_pb2.GetPolicyResponse(
            revision=_message(version),
            modules=[policy_pb2.PolicyModule(name=each.name, text=each.text) for each in version.modules],
        )

    async def PutPolicy(  # noqa: N802 (gRPC's name)
        self, request: policy_pb2.PutPolicyRequest, context: "Context"
    ) -> policy_pb2.PutPolicyResponse:
        identity, parts = current_identity.get(), self._parts
        modules = [Module(each.name, each.text) for each in request.modules]
        bundle = parts.platform
        if modules:
            async with self._turns[identity.tenant.name], self._checks:
                bundle = await check_new_rules(parts.platform, identity.tenant.name, modules, parts.threads)
        tests = bundle.tests if modules else []
        if request.dry_run:
            return policy_pb2.PutPolicyResponse(tests=tests)
        version, created = await parts.store.put(
            identity.tenant,
            modules,
            by=identity.actor,
            replaces=request.replaces if request.HasField("replaces") else None,
        )
        parts.watch.install(identity.tenant.name, version.version, modules, bundle)
        return policy_pb2.PutPolicyResponse(revision=_message(version), created=created, tests=tests)

    async def ListPolicyRevisions(  # noqa: N802 (gRPC's name)
        self, request: policy_pb2.ListPolicyRevisionsRequest, context: "Context"
    ) -> policy_pb2.ListPolicyRevisionsResponse:
        tenant = current_identity.get().tenant
        scope = PageScope(tenant.tenant_id, ("ListPolicyRevisions",))
        size = page_size(request.page_size, default=100, most=1000)
        position = scope.position(request.page_token, int)
        versions = await self._parts.store.page(tenant, int(position[0]) if position else None, size + 1)
        page = versions[:size]
        return policy_pb2.ListPolicyRevisionsResponse(
            revisions=[_message(version) for version in page],
            next_page_token=scope.token((page[-1].version,)) if len(versions) > size else "",
        )

    async def ExplainDecision(  # noqa: N802 (gRPC's name)
        self, request: policy_pb2.ExplainDecisionRequest, context: "Context"
    ) -> policy_pb2.ExplainDecisionResponse:
        identity = current_identity.get()
        tenant = identity.tenant.name
        question = PolicyQuestion(
            request.permission,
            tenant=tenant,
            subject=request.subject,
            roles=list(request.roles),
            attributes=dict(request.attributes),
            machine=request.machine,
            platform=identity.platform,
            dataset=request.decided_dataset or None,
        )
        decision = await self._parts.decisions.decide(tenant, question)
        bundle = self._parts.decisions.bundle_of(tenant)
        answer = policy_pb2.ExplainDecisionResponse(
            allow=decision.allow,
            reason=decision.reason,
            fault=decision.fault or "",
            revision=decision.revision,
        )
        try:
            explained = orjson.loads(
                await self._parts.threads.run(
                    tenant, bundle.revision, lambda: bundle.explain(question), seconds=1.0
                )
            )
        except (CoreError, TimeoutError, TooManyStuck) as error:
            answer.fault = answer.fault or str(error) or "too slow"
            return answer
        answer.granted_by.extend(explained["granted_by"])
        answer.denials.extend(_denials(bundle, explained["denials"]))
        return answer


def _denials(bundle: PolicyBundle, texts: Sequence[str]) -> list[policy_pb2.PolicyDenial]:
    return [
        policy_pb2.PolicyDenial(text=text, places=[f"{file}:{line}" for file, line in bundle.places_of(text)])
        for text in texts
    ]


def _message(version: "RulesVersion") -> policy_pb2.PolicyRevision:
    return policy_pb2.PolicyRevision(
        version=version.version,
        revision=version.revision,
        in_force=version.in_force,
        files=[module.name for module in version.modules],
        created_by=version.created_by,
        created_us=version.created_us,
    )
