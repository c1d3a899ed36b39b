"""Keys that approvers sign with: registered by their owner, and in force until somebody revokes them.

Whoever has registered a key signs from then on, also after it was revoked: without a key in force nothing can
be approved, until another is registered. So the stolen token of such a person alone approves nothing, and gets
nowhere with a key of the thief's own either: where the owner has a key in force, it has to sign for each key that
is added, and for each that is revoked. Another approver may revoke a key that was lost, without a signature; once
none is in force the next takes an approval of two others, or the one who revoked could let a thief in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

import asyncpg

from intelgraph.approval_statement import key_statement
from intelgraph.approvals.approval import Caller, Owner, Signature, to_us
from intelgraph.approvals.request import require_line
from intelgraph.approvals.signing import PublicKey
from intelgraph.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from intelgraph.person import person_of
from intelgraph.provenance.kinds.approvals import ApproverKeyRegistered, ApproverKeyRevoked

if TYPE_CHECKING:
    from intelgraph.approvals.approvals import Approvals
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant

REGISTRATION: Final = "approver_key.register"
"""The kind of the approval that a key takes whose owner has none in force any more."""

SKEW: Final = timedelta(minutes=5)
"""How far the clock of who signs may be from the database's."""


@dataclass(frozen=True, slots=True)
class GivenSignature:
    """A signature as it came: over the statement of that time, in microseconds since the Unix epoch."""

    key_id: bytes
    at_us: int
    value: bytes


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """A registered key."""

    key_id: bytes
    approver: str
    algorithm: str
    public_key: bytes
    """SubjectPublicKeyInfo in DER."""
    registered_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    revoke_reason: str | None

    @property
    def person(self) -> str:
        """Whose it is."""
        return person_of(self.approver)

    @property
    def in_force(self) -> bool:
        """Whether it signs."""
        return self.revoked_at is None


class ApproverKeys:
    """The approvers' keys of all tenants."""

    def __init__(self, database: "Database", ledger: "Ledger", approvals: "Approvals") -> None:
        self._database = database
        self._ledger = ledger
        self._approvals = approvals

    async def register(
        self,
        tenant: "Tenant",
        caller: Caller,
        public_key: bytes,
        proof: GivenSignature,
        endorsement: GivenSignature | None,
        approval_id: UUID | None = None,
    ) -> ApproverKey:
        """Registers a key of the caller's own; `public_key` is in PEM or DER.

        `proof` is the statement signed by that key, and `endorsement` the same, at the same time, by a key of the
        caller's that is in force: needed where there is one. Where there was one and is none, it takes an approval;
        one that is given is used in any case.
        Raises InvalidArgument APPROVER_KEY_INVALID, APPROVAL_SIGNATURE_INVALID or APPROVAL_SIGNATURE_TIME,
        AlreadyExists APPROVER_KEY_REGISTERED, FailedPrecondition APPROVER_KEY_NOT_ENDORSED, and as
        `Approvals.consume`.
        """
        key = PublicKey.read(public_key)
        await self._ledger.ready(2)
        async with self._database.write() as connection:
            held = await _locked(connection, tenant, caller.person, exclusive=True)
            statement = await _statement(connection, tenant, "register", caller.name, key.key_id, proof)
            key.verify(statement, proof.value)
            endorser = _endorsed(held, statement, endorsement)
            if endorser is None and any(each.in_force for each in held):
                raise _not_endorsed("added")
            try:
                row = await connection.fetchrow(
                    _REGISTER,
                    tenant.tenant_id,
                    key.key_id,
                    caller.name,
                    key.algorithm,
                    key.der,
                    statement,
                    proof.value,
                )
            except asyncpg.UniqueViolationError:
                raise AlreadyExists(
                    "APPROVER_KEY_REGISTERED",
                    "the key is or was registered, and is never registered again",
                    fix="generate another: intelgraph approvals key generate",
                ) from None
            if approval_id is not None or (held and endorser is None):
                await self._approvals.consume(
                    connection,
                    approval_id=approval_id,
                    kind=REGISTRATION,
                    tenant=tenant,
                    document={"approver": caller.name, "key_id": key.key_id.hex()},
                    by=caller.actor,
                )
            await self._ledger.append(
                connection,
                ApproverKeyRegistered(
                    approver=caller.name,
                    key_id=key.key_id.hex(),
                    algorithm=key.algorithm,
                    public_key=key.der.hex(),
                    endorsed_by=endorser.key_id.hex() if endorser is not None else None,
                    approval_id=str(approval_id) if approval_id is not None else None,
                ),
                subject=_subject(key.key_id),
                by=caller.actor,
                tenant=tenant,
            )
        return _key(row)

    async def origin(self, tenant: "Tenant") -> str:
        """That of the ledger, which names the gateway in what owners of keys sign."""
        async with self._database.read(tenant.tenant_id) as connection:
            origin: str = await connection.fetchval("SELECT origin FROM ledger_log")
        return origin

    async def page(self, tenant: "Tenant", approver: str, after: bytes, limit: int) -> Sequence[ApproverKey]:
        """At most `limit` keys that follow `after`, by their id, of one approver or, for no name, of all."""
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(_PAGE, tenant.tenant_id, approver, after, limit)
        return [_key(row) for row in rows]

    async def revoke(
        self,
        tenant: "Tenant",
        caller: Caller,
        key_id: bytes,
        reason: str,
        endorsement: GivenSignature | None,
    ) -> ApproverKey:
        """Revokes a key: the caller's own with a signature of a key of the caller's, or another's that was lost.

        Raises NotFound APPROVER_KEY_NOT_FOUND, FailedPrecondition APPROVER_KEY_REVOKED or
        APPROVER_KEY_NOT_ENDORSED, and InvalidArgument APPROVAL_REQUEST_INVALID or as `register`.
        """
        require_line("reason", reason, optional=False)
        await self._ledger.ready()
        async with self._database.write() as connection:
            owner = await connection.fetchval(_OWNER, tenant.tenant_id, key_id)
            if owner is None:
                raise _not_found()
            held = await _locked(connection, tenant, person_of(owner), exclusive=True)
            endorser = None
            if person_of(owner) == caller.person:
                if endorsement is None:
                    raise _not_endorsed("revoked")
                statement = await _statement(connection, tenant, "revoke", owner, key_id, endorsement)
                endorser = _endorsed(held, statement, endorsement)
            row = await connection.fetchrow(_REVOKE, tenant.tenant_id, key_id, caller.name, reason)
            if row is None:
                raise FailedPrecondition(
                    "APPROVER_KEY_REVOKED", "the key was revoked before", fix="there is nothing to do"
                )
            await self._ledger.append(
                connection,
                ApproverKeyRevoked(
                    approver=owner,
                    key_id=key_id.hex(),
                    reason=reason,
                    endorsed_by=endorser.key_id.hex() if endorser is not None else None,
                ),
                subject=_subject(key_id),
                by=caller.actor,
                tenant=tenant,
            )
        return _key(row)


async def checked_signature(
    connection: "Connection",
    tenant: Owner,
    caller: Caller,
    statement: bytes,
    given: GivenSignature | None,
    at: datetime,
    *,
    must: bool,
) -> Signature | None:
    """The signature of a decision, verified; None where there is none and none is needed.

    Until the transaction ends no key of the person is registered or revoked. `must` says that whoever has a key
    has to sign. Raises FailedPrecondition APPROVAL_SIGNATURE_MISSING, NotFound APPROVER_KEY_NOT_FOUND, and
    InvalidArgument APPROVAL_SIGNATURE_INVALID or APPROVAL_SIGNATURE_TIME.
    """
    held = await _locked(connection, tenant, caller.person, exclusive=False)
    if given is None:
        if must and held:
            raise FailedPrecondition(
                "APPROVAL_SIGNATURE_MISSING",
                f"{caller.name} has registered a key, and has to sign with it",
                fix="sign with --sign-with FILE; where that one is lost or was revoked, register another, which"
                " takes an approval",
            )
        return None
    _require_now(given, at)
    key = _in_force(held, given)
    PublicKey(key.algorithm, key.public_key).verify(statement, given.value)
    return Signature(key.algorithm, key.key_id, key.public_key, given.value)


async def _statement(
    connection: "Connection",
    tenant: "Tenant",
    action: Literal["register", "revoke"],
    approver: str,
    key_id: bytes,
    given: GivenSignature,
) -> bytes:
    row = await connection.fetchrow("SELECT origin, clock_timestamp() AS now FROM ledger_log")
    if row is None:
        raise AssertionError("the migration writes the one row of the ledger")
    _require_now(given, row["now"])
    return key_statement(
        origin=row["origin"],
        tenant=tenant.name,
        action=action,
        approver=approver,
        key_id=key_id,
        at_us=given.at_us,
    )


async def _locked(
    connection: "Connection", tenant: "Tenant | Owner", person: str, *, exclusive: bool
) -> Sequence[ApproverKey]:
    """All keys of a person. A row that is not there yet cannot be locked: the lock is on the person."""
    lock = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await connection.execute(f"SELECT {lock}(hashtextextended($1, 0))", f"{tenant.tenant_id}/{person}")
    return [key for key in await keys_of_all(connection, tenant.tenant_id) if key.person == person]


async def keys_of_all(connection: "Connection", tenant_id: UUID) -> Sequence[ApproverKey]:
    """Every key of the tenant's people, oldest first: a few for each. SQL cannot tell who is the same person."""
    return [_key(row) for row in await connection.fetch(_OF_ALL, tenant_id)]


def _endorsed(
    held: Sequence[ApproverKey], statement: bytes, given: GivenSignature | None
) -> ApproverKey | None:
    if given is None:
        return None
    key = _in_force(held, given)
    PublicKey(key.algorithm, key.public_key).verify(statement, given.value)
    return key


def _in_force(held: Sequence[ApproverKey], given: GivenSignature) -> ApproverKey:
    for key in held:
        if key.key_id == given.key_id and key.in_force:
            return key
    raise _not_found()


def _require_now(given: GivenSignature, at: datetime) -> None:
    if abs(given.at_us - to_us(at)) > SKEW // timedelta(microseconds=1):
        raise InvalidArgument(
            "APPROVAL_SIGNATURE_TIME",
            "the statement was signed more than five minutes ago, or in the future",
            fix="sign again; check the clock of the host that signs",
        )


def _not_endorsed(what: str) -> FailedPrecondition:
    return FailedPrecondition(
        "APPROVER_KEY_NOT_ENDORSED",
        f"a key is {what} with a signature of a key of the same person that is in force",
        fix="sign with --sign-with FILE; where all keys are lost, have another approver revoke them",
    )


def _not_found() -> NotFound:
    return NotFound(
        "APPROVER_KEY_NOT_FOUND",
        "there is no such key in force of that approver",
        fix="`intelgraph approvals key list` shows the keys",
    )


def _subject(key_id: bytes) -> str:
    return f"approver-key:{key_id.hex()}"


def _key(row: asyncpg.Record | None) -> ApproverKey:
    if row is None:
        raise AssertionError("a statement with RETURNING gives back the row it wrote")
    return ApproverKey(**row)


_COLUMNS: Final = """
key_id, approver, algorithm, public_key, registered_at, revoked_at, revoked_by, revoke_reason
"""

_OF_ALL: Final = f"""
SELECT {_COLUMNS} FROM approver_key WHERE tenant_id = $1 ORDER BY registered_at
"""  # noqa: S608 (composed of constants of this module)

_OWNER: Final = "SELECT approver FROM approver_key WHERE tenant_id = $1 AND key_id = $2"

_REGISTER: Final = f"""
INSERT INTO approver_key (tenant_id, key_id, approver, algorithm, public_key, statement, proof)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING {_COLUMNS}
"""  # noqa: S608 (composed of constants of this module)

_REVOKE: Final = f"""
UPDATE approver_key SET revoked_at = clock_timestamp(), revoked_by = $3, revoke_reason = $4
WHERE tenant_id = $1 AND key_id = $2 AND revoked_at IS NULL
RETURNING {_COLUMNS}
"""  # noqa: S608 (composed of constants of this module)

_PAGE: Final = f"""
SELECT {_COLUMNS} FROM approver_key
WHERE tenant_id = $1 AND key_id > $3 AND ($2 = '' OR approver = $2) ORDER BY key_id LIMIT $4
"""  # noqa: S608 (composed of constants of this module)
