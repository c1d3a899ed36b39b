"""The services beside ingest, for programs without an event loop: the methods of the async classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import (
        approval,
        approvals,
        contracts,
        entities,
        envelopes,
        flags,
        ledger,
        operations,
        policies,
        quarantine,
        tenants,
    )
    from intelgraph.client.approval_watch import ApprovalWatch as AsyncApprovalWatch
    from intelgraph.client.change_feed import ChangeFeed as AsyncChangeFeed
    from intelgraph.client.times import Moment
    from intelgraph.client.versions import AsOf, EntityDiff, EntityVersion, HistoryEntry
    from intelgraph.errors import IntelGraphError

_Item = TypeVar("_Item")


class Entities:
    """Reads entities. See `intelgraph.client.entities.Entities`."""

    def __init__(self, portal: BlockingPortal, inner: entities.Entities) -> None:
        self._portal = portal
        self._inner = inner

    def get(
        self,
        dataset: str,
        key: entities.EntityKey,
        as_of: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> EntityVersion:
        """The version in force at a moment, by default now."""
        return self._portal.call(partial(self._inner.get, dataset, key, as_of, timeout=timeout))

    def report(
        self,
        dataset: str,
        key: entities.EntityKey,
        as_of: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> contracts.ViolationReport | None:
        """What the version in force at a moment breaks; None where it satisfies its contract."""
        return self._portal.call(partial(self._inner.report, dataset, key, as_of, timeout=timeout))

    def diff(
        self,
        dataset: str,
        key: entities.EntityKey,
        before: AsOf,
        after: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> EntityDiff:
        """What changed between two moments; the later is by default now."""
        return self._portal.call(partial(self._inner.diff, dataset, key, before, after, timeout=timeout))

    def history(
        self,
        dataset: str,
        key: entities.EntityKey,
        *,
        with_documents: bool = False,
        page_size: int = 50,
        timeout: float | None = None,
    ) -> Iterator[HistoryEntry]:
        """The versions, newest first by (valid time, seq)."""
        entries = self._inner.history(
            dataset, key, with_documents=with_documents, page_size=page_size, timeout=timeout
        )
        return _iterate(self._portal, entries)

    def changes(
        self, after_seq: int = 0, *, datasets: Sequence[str] = (), until_now: bool = False
    ) -> ChangeFeed:
        """Every change of the tenant with a greater `seq`, once and in order."""
        feed = self._portal.call(
            partial(self._inner.changes, after_seq, datasets=datasets, until_now=until_now)
        )
        return ChangeFeed(self._portal, feed)


class ChangeFeed(Iterator["HistoryEntry"]):
    """Changes in order. See `intelgraph.client.change_feed.ChangeFeed`."""

    def __init__(self, portal: BlockingPortal, inner: AsyncChangeFeed) -> None:
        self._portal = portal
        self._inner = inner
        self._ready: list[HistoryEntry] = []
        self._passed = inner.resume_after_seq

    @property
    def resume_after_seq(self) -> int:
        """Everything up to this `seq` was handed out or is of other datasets."""
        return self._passed

    def __next__(self) -> HistoryEntry:
        if not self._ready:
            self._ready = self._portal.call(self._inner.batch)[::-1]
            if not self._ready:
                self._passed = self._inner.resume_after_seq
                raise StopIteration
        entry = self._ready.pop()
        self._passed = entry.version.seq if self._ready else self._inner.resume_after_seq
        return entry

    def close(self) -> None:
        """Ends the feed's connection."""
        self._portal.call(self._inner.close)


class Contracts:
    """Publishes and reads contracts. See `intelgraph.client.contracts.Contracts`."""

    def __init__(self, portal: BlockingPortal, inner: contracts.Contracts) -> None:
        self._portal = portal
        self._inner = inner

    def put(
        self, document: bytes, *, approval: UUID | None = None, timeout: float | None = None
    ) -> contracts.Published:
        """Publishes a contract document (JSON). The same document again changes nothing."""
        return self._portal.call(partial(self._inner.put, document, approval=approval, timeout=timeout))

    def check(self, document: bytes, *, timeout: float | None = None) -> contracts.Prospect:
        """What would come of publishing a document, which is not published."""
        return self._portal.call(partial(self._inner.check, document, timeout=timeout))

    def get(self, dataset: str, version: str = "", *, timeout: float | None = None) -> contracts.Contract:
        """A version of a contract with its document, by default the newest."""
        return self._portal.call(partial(self._inner.get, dataset, version, timeout=timeout))

    def list(self, dataset: str = "", *, timeout: float | None = None) -> Iterator[contracts.Contract]:
        """Contracts without their documents, by dataset, newest version first."""
        return _iterate(self._portal, self._inner.list(dataset, timeout=timeout))

    def validate(
        self, records: Iterable[bytes], dataset: str, version: str = "", *, timeout: float | None = None
    ) -> contracts.Validation:
        """Checks JSON records against a published contract; stores nothing."""
        return self._portal.call(partial(self._inner.validate, records, dataset, version, timeout=timeout))

    def validate_against(
        self, records: Iterable[bytes], document: bytes, *, timeout: float | None = None
    ) -> contracts.Validation:
        """Checks JSON records against a contract document; stores nothing."""
        return self._portal.call(partial(self._inner.validate_against, records, document, timeout=timeout))


class Quarantine:
    """Reads the quarantine. See `intelgraph.client.quarantine.Quarantine`."""

    def __init__(self, portal: BlockingPortal, inner: quarantine.Quarantine) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, dataset: str = "", *, stored: bool = False, timeout: float | None = None
    ) -> Iterator[quarantine.QuarantineEntry]:
        """Entries whose records wait, or were `stored` all the same, newest first, of one dataset or of all."""
        return _iterate(self._portal, self._inner.list(dataset, stored=stored, timeout=timeout))

    def total_records(self, dataset: str = "", *, stored: bool = False, timeout: float | None = None) -> int:
        """Number of records that wait, or were `stored` all the same, of one dataset or of all."""
        return self._portal.call(partial(self._inner.total_records, dataset, stored=stored, timeout=timeout))

    def get(
        self, quarantine_id: UUID, *, with_records: bool = False, timeout: float | None = None
    ) -> quarantine.QuarantineDetail:
        """An entry with its report and, where asked for, its decrypted records."""
        return self._portal.call(
            partial(self._inner.get, quarantine_id, with_records=with_records, timeout=timeout)
        )


class Envelopes:
    """Seals and opens messages. See `intelgraph.client.envelopes.Envelopes`."""

    def __init__(self, portal: BlockingPortal, inner: envelopes.Envelopes) -> None:
        self._portal = portal
        self._inner = inner

    def encrypt(
        self,
        plaintexts: Sequence[bytes],
        context: bytes,
        *,
        inline_wrapped_key: bool = False,
        timeout: float | None = None,
    ) -> list[bytes]:
        """Envelopes in the order of the messages."""
        return self._portal.call(
            partial(
                self._inner.encrypt,
                plaintexts,
                context,
                inline_wrapped_key=inline_wrapped_key,
                timeout=timeout,
            )
        )

    def decrypt(
        self, envelopes: Sequence[bytes], context: bytes, *, timeout: float | None = None
    ) -> list[bytes | IntelGraphError]:
        """For each envelope, in their order, its message or why it does not open."""
        return self._portal.call(partial(self._inner.decrypt, envelopes, context, timeout=timeout))


class Flags:
    """Reads and sets flags. See `intelgraph.client.flags.Flags`."""

    def __init__(self, portal: BlockingPortal, inner: flags.Flags) -> None:
        self._portal = portal
        self._inner = inner

    def list(self, flag: str = "", *, timeout: float | None = None) -> Sequence[flags.FlagValue]:
        """What holds for the caller's tenant, of one flag or of all."""
        return self._portal.call(partial(self._inner.list, flag, timeout=timeout))

    def all_tenants(self, flag: str = "", *, timeout: float | None = None) -> Iterator[flags.FlagValue]:
        """What holds for every tenant, by name."""
        return _iterate(self._portal, self._inner.all_tenants(flag, timeout=timeout))

    def describe(self, flag: str = "", *, timeout: float | None = None) -> Sequence[flags.Flag]:
        """The flags themselves, one or all."""
        return self._portal.call(partial(self._inner.describe, flag, timeout=timeout))

    def set(
        self,
        flag: str,
        value: str,
        *,
        share: int | None = None,
        until: Moment | None = None,
        approval: UUID | None = None,
        timeout: float | None = None,
    ) -> flags.FlagSet:
        """Sets a flag for the caller's tenant, or with `share`, in percent, for so many of all tenants."""
        return self._portal.call(
            partial(
                self._inner.set, flag, value, share=share, until=until, approval=approval, timeout=timeout
            )
        )


class Tenants:
    """Manages tenants. See `intelgraph.client.tenants.Tenants`."""

    def __init__(self, portal: BlockingPortal, inner: tenants.Tenants) -> None:
        self._portal = portal
        self._inner = inner

    def create(
        self, name: str, limits: tenants.TenantLimits | None = None, *, timeout: float | None = None
    ) -> tenants.Tenant:
        """Creates a tenant; limits that are not given take the defaults."""
        return self._portal.call(partial(self._inner.create, name, limits, timeout=timeout))

    def list(self, *, timeout: float | None = None) -> Iterator[tenants.Tenant]:
        """Tenants by name."""
        return _iterate(self._portal, self._inner.list(timeout=timeout))

    def set_limits(
        self, name: str, limits: tenants.TenantLimits, *, timeout: float | None = None
    ) -> tenants.Tenant:
        """Changes the limits that are given."""
        return self._portal.call(partial(self._inner.set_limits, name, limits, timeout=timeout))

    def suspend(self, name: str, *, timeout: float | None = None) -> tenants.Tenant:
        """Denies a tenant everything until `resume`."""
        return self._portal.call(partial(self._inner.suspend, name, timeout=timeout))

    def resume(self, name: str, *, timeout: float | None = None) -> tenants.Tenant:
        """Lets a suspended tenant go on."""
        return self._portal.call(partial(self._inner.resume, name, timeout=timeout))

    def offboard(self, name: str, *, timeout: float | None = None) -> tenants.Tenant:
        """Denies a tenant for good; its name is never given again."""
        return self._portal.call(partial(self._inner.offboard, name, timeout=timeout))


class Approvals:
    """Asks for approvals and decides on them. See `intelgraph.client.approvals.Approvals`."""

    def __init__(self, portal: BlockingPortal, inner: approvals.Approvals) -> None:
        self._portal = portal
        self._inner = inner

    def request(
        self,
        kind: str,
        document: bytes,
        *,
        reason: str,
        ticket: str = "",
        role: str = "",
        quorum: int = 0,
        expires_in_s: int = 0,
        platform: bool = False,
        supersedes: UUID | None = None,
        timeout: float | None = None,
    ) -> approval.Approval:
        """Asks for the consent to an act that `document`, a JSON object, says exactly."""
        return self._portal.call(
            partial(
                self._inner.request,
                kind,
                document,
                reason=reason,
                ticket=ticket,
                role=role,
                quorum=quorum,
                expires_in_s=expires_in_s,
                platform=platform,
                supersedes=supersedes,
                timeout=timeout,
            )
        )

    def get(self, approval_id: UUID, *, timeout: float | None = None) -> approval.Approval:
        """An approval with its document and all that was said."""
        return self._portal.call(partial(self._inner.get, approval_id, timeout=timeout))

    def list(
        self, states: Sequence[approval.ApprovalState] = (), kind: str = "", *, timeout: float | None = None
    ) -> Iterator[approval.Approval]:
        """Approvals without their documents, newest first; of all states and kinds where none is named."""
        return _iterate(self._portal, self._inner.list(states, kind, timeout=timeout))

    def approve(
        self,
        seen: approval.Approval,
        *,
        reason: str = "",
        signer: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.Approval:
        """Approves what the caller has got and seen. Who has registered a key gives its `signer`."""
        return self._portal.call(
            partial(self._inner.approve, seen, reason=reason, signer=signer, timeout=timeout)
        )

    def deny(
        self,
        seen: approval.Approval,
        *,
        reason: str,
        signer: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.Approval:
        """Ends a request for good."""
        return self._portal.call(
            partial(self._inner.deny, seen, reason=reason, signer=signer, timeout=timeout)
        )

    def withdraw(self, approval_id: UUID, *, timeout: float | None = None) -> approval.Approval:
        """Takes a request of the caller's back."""
        return self._portal.call(partial(self._inner.withdraw, approval_id, timeout=timeout))

    def watch(self, kind: str = "") -> ApprovalWatch:
        """What waits for the caller to decide: what is there first, then what comes."""
        return ApprovalWatch(self._portal, self._inner.watch(kind))

    def register_key(
        self,
        public_key: bytes,
        signer: approvals.Signer,
        *,
        endorser: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.ApproverKey:
        """Registers a key of the caller's, who has to sign from then on."""
        return self._portal.call(
            partial(self._inner.register_key, public_key, signer, endorser=endorser, timeout=timeout)
        )

    def list_keys(
        self, approver: str = "", *, timeout: float | None = None
    ) -> Iterator[approval.ApproverKey]:
        """The keys of one approver or of all, those that were revoked too."""
        return _iterate(self._portal, self._inner.list_keys(approver, timeout=timeout))

    def revoke_key(
        self,
        key_id: bytes,
        *,
        reason: str,
        endorser: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.ApproverKey:
        """Revokes a key: the caller's own with `endorser`, or one that another lost."""
        return self._portal.call(
            partial(self._inner.revoke_key, key_id, reason=reason, endorser=endorser, timeout=timeout)
        )


class ApprovalWatch(Iterator["approval.ApprovalNews"]):
    """What waits, without an end. See `intelgraph.client.approval_watch.ApprovalWatch`."""

    def __init__(self, portal: BlockingPortal, inner: AsyncApprovalWatch) -> None:
        self._portal = portal
        self._inner = inner

    def __next__(self) -> approval.ApprovalNews:
        return self._portal.call(self._inner.__anext__)

    def close(self) -> None:
        """Ends the connection."""
        self._portal.call(self._inner.close)


class Ledger:
    """Reads the ledger. See `intelgraph.client.ledger.Ledger`."""

    def __init__(self, portal: BlockingPortal, inner: ledger.Ledger) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self,
        *,
        kinds: Sequence[str] = (),
        subject: str = "",
        about_tenant: str = "",
        from_us: int | None = None,
        to_us: int | None = None,
        page_size: int = 100,
        timeout: float | None = None,
    ) -> Iterator[ledger.LedgerEntry]:
        """Entries, newest first."""
        return _iterate(
            self._portal,
            self._inner.list(
                kinds=kinds,
                subject=subject,
                about_tenant=about_tenant,
                from_us=from_us,
                to_us=to_us,
                page_size=page_size,
                timeout=timeout,
            ),
        )

    def get(self, index: int, *, timeout: float | None = None) -> ledger.LedgerEntry:
        """One entry."""
        return self._portal.call(partial(self._inner.get, index, timeout=timeout))

    def tail(
        self, *, from_index: int | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[ledger.LedgerEntry]:
        """Entries as they come."""
        return _iterate(self._portal, self._inner.tail(from_index=from_index, kinds=kinds))

    def checkpoint(self, *, timeout: float | None = None) -> ledger.LedgerCheckpoint:
        """The last signed checkpoint."""
        return self._portal.call(partial(self._inner.checkpoint, timeout=timeout))

    def prove_inclusion(
        self, index: int, size: int | None = None, *, timeout: float | None = None
    ) -> ledger.LedgerProof:
        """The proof that an entry is in the log."""
        return self._portal.call(partial(self._inner.prove_inclusion, index, size, timeout=timeout))

    def prove_consistency(
        self, from_size: int, to_size: int | None = None, *, timeout: float | None = None
    ) -> ledger.LedgerProof:
        """The proof that the log only grew."""
        return self._portal.call(partial(self._inner.prove_consistency, from_size, to_size, timeout=timeout))

    def cosign(self, size: int, line: str, *, timeout: float | None = None) -> bytes:
        """Hands a witness's signature of a checkpoint in; gives the checkpoint with all signatures."""
        return self._portal.call(partial(self._inner.cosign, size, line, timeout=timeout))

    def erase(self, index: int, reason: str, *, timeout: float | None = None) -> ledger.LedgerEntry:
        """Erases header and payload of an entry."""
        return self._portal.call(partial(self._inner.erase, index, reason, timeout=timeout))


class Operations:
    """Shows, follows and cancels operations. See `intelgraph.client.operations.Operations`."""

    def __init__(self, portal: BlockingPortal, inner: operations.Operations) -> None:
        self._portal = portal
        self._inner = inner

    def get(self, operation_id: UUID, *, timeout: float | None = None) -> operations.LongOperation:
        """An operation."""
        return self._portal.call(partial(self._inner.get, operation_id, timeout=timeout))

    def list(
        self,
        *,
        kind: str = "",
        states: Sequence[operations.OperationState] = (),
        timeout: float | None = None,
    ) -> Iterator[operations.LongOperation]:
        """Operations, newest first, of one kind or all, in some states or all."""
        return _iterate(self._portal, self._inner.list(kind=kind, states=states, timeout=timeout))

    def cancel(self, operation_id: UUID, *, timeout: float | None = None) -> operations.LongOperation:
        """Cancels an operation: it ends before its next step."""
        return self._portal.call(partial(self._inner.cancel, operation_id, timeout=timeout))

    def watch(self, operation_id: UUID) -> Iterator[operations.LongOperation]:
        """The operation now, and whenever it has changed, to its end."""
        watched = self._inner.watch(operation_id)
        try:
            yield from _iterate(self._portal, watched)
        finally:
            self._portal.call(watched.aclose)


class Retention:
    """Removes what its contracts no longer keep. See `intelgraph.client.operations.Retention`."""

    def __init__(self, portal: BlockingPortal, inner: operations.Retention) -> None:
        self._portal = portal
        self._inner = inner

    def run(
        self,
        datasets: Sequence[str] = (),
        *,
        dry_run: bool = False,
        deadline_seconds: int = 0,
        timeout: float | None = None,
    ) -> operations.LongOperation:
        """Starts a run over these datasets or all, or only has it say what would go."""
        return self._portal.call(
            partial(
                self._inner.run,
                datasets,
                dry_run=dry_run,
                deadline_seconds=deadline_seconds,
                timeout=timeout,
            )
        )


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
        return _iterate(self._portal, self._inner.revisions(timeout=timeout))

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


def _iterate(portal: BlockingPortal, items: AsyncIterator[_Item]) -> Iterator[_Item]:
    while True:
        try:
            yield portal.call(items.__anext__)
        except StopAsyncIteration:
            return
