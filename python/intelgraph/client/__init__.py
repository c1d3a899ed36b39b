"""The client of IntelGraph Gateway, for connectors and services.

    async with AsyncClient("gateway:7443", token=fetch_token, tls=Tls(ca=Path("ca.pem"))) as client:
        async with client.stream("weather", "weather-ewr", producer="noaa") as stream:
            await stream.send(observations)

`Client` is the same without an event loop. Nothing of the gateway is imported.
"""

from intelgraph.client.aio import AsyncClient
from intelgraph.client.approval import Approval, ApprovalNews, ApprovalState, ApproverKey, Decision
from intelgraph.client.approval_watch import ApprovalWatch
from intelgraph.client.approvals import Signer
from intelgraph.client.blocking import Client, Stream
from intelgraph.client.change_feed import ChangeFeed
from intelgraph.client.channel import DEFAULT_ADDRESS, Tls
from intelgraph.client.contracts import (
    Contract,
    Prospect,
    Published,
    RetentionEffect,
    Validation,
    Violation,
    ViolationReport,
)
from intelgraph.client.failures import DeadlineExceeded, Unimplemented, UnknownError
from intelgraph.client.flags import Flag, FlagReason, FlagSet, FlagValue
from intelgraph.client.frames import Delete, Record
from intelgraph.client.ledger import LedgerCheckpoint, LedgerEntry, LedgerEntryState, LedgerProof
from intelgraph.client.operations import LongOperation, OperationState
from intelgraph.client.outcomes import Outcome, Outcomes, OutcomeStatus, Totals
from intelgraph.client.policies import (
    Policy,
    PolicyDenial,
    PolicyExplanation,
    PolicyModule,
    PolicyRevision,
    PutPolicy,
)
from intelgraph.client.quarantine import (
    QuarantineDetail,
    QuarantinedRecord,
    QuarantineEntry,
    QuarantineState,
    StoredChange,
)
from intelgraph.client.retry import RetryPolicy
from intelgraph.client.stream import RecordStream
from intelgraph.client.tenants import Tenant, TenantLimits, TenantState
from intelgraph.client.times import from_us, to_us
from intelgraph.client.tokens import AccessToken, TokenProvider
from intelgraph.client.versions import AsOf, EntityDiff, EntityVersion, HistoryEntry, Operation
from intelgraph.errors import FieldViolation, IntelGraphError

__all__ = [
    "DEFAULT_ADDRESS",
    "AccessToken",
    "Approval",
    "ApprovalNews",
    "ApprovalState",
    "ApprovalWatch",
    "ApproverKey",
    "AsOf",
    "AsyncClient",
    "ChangeFeed",
    "Client",
    "Contract",
    "DeadlineExceeded",
    "Decision",
    "Delete",
    "EntityDiff",
    "EntityVersion",
    "FieldViolation",
    "Flag",
    "FlagReason",
    "FlagSet",
    "FlagValue",
    "HistoryEntry",
    "IntelGraphError",
    "LedgerCheckpoint",
    "LedgerEntry",
    "LedgerEntryState",
    "LedgerProof",
    "LongOperation",
    "Operation",
    "OperationState",
    "Outcome",
    "OutcomeStatus",
    "Outcomes",
    "Policy",
    "PolicyDenial",
    "PolicyExplanation",
    "PolicyModule",
    "PolicyRevision",
    "Prospect",
    "Published",
    "PutPolicy",
    "QuarantineDetail",
    "QuarantineEntry",
    "QuarantineState",
    "QuarantinedRecord",
    "Record",
    "RecordStream",
    "RetentionEffect",
    "RetryPolicy",
    "Signer",
    "StoredChange",
    "Stream",
    "Tenant",
    "TenantLimits",
    "TenantState",
    "Tls",
    "TokenProvider",
    "Totals",
    "Unimplemented",
    "UnknownError",
    "Validation",
    "Violation",
    "ViolationReport",
    "from_us",
    "to_us",
]
