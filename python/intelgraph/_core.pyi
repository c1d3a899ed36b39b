"""The whole Rust boundary. Bytes in, bytes out; calls that do more than look something up release the GIL.

What the core refuses is a CoreError: `args` are the message and the reason, UPPER_SNAKE.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Literal, Self, final

__all__ = [
    "Bound",
    "Catalogue",
    "Contract",
    "ContractError",
    "CoreError",
    "CorruptData",
    "DataKeyRow",
    "Engine",
    "EntityKeyInvalid",
    "FetchPlan",
    "Group",
    "IndexKeyRow",
    "InvalidFrame",
    "InvalidRequest",
    "KekVersion",
    "KeyUnavailable",
    "Keystore",
    "LocalKeyring",
    "LogCheck",
    "LogReader",
    "MessagesToOpen",
    "MessagesToSeal",
    "NotActive",
    "OutboxReplay",
    "PendingDek",
    "PendingIndexKey",
    "PolicyBundle",
    "PolicyDecider",
    "PolicyDecision",
    "PolicyError",
    "PolicyQuestion",
    "Prepared",
    "SealReservation",
    "Secret",
    "StaleGroup",
    "Stream",
    "TenantKey",
    "TileWriter",
    "Unlock",
    "add_cosignature",
    "anchors",
    "bundle_commitments",
    "bundle_entries",
    "canonical_json",
    "check_ledger_entries",
    "checkpoint_text",
    "commitment",
    "consistency_file",
    "consistency_proof",
    "consistency_tiles",
    "cosign",
    "decode_frame",
    "entity_id",
    "inclusion_file",
    "inclusion_proof",
    "inclusion_tiles",
    "keys_of_chains",
    "keys_of_ledger_entries",
    "keys_of_rows",
    "keys_of_values",
    "leaf",
    "leaf_hash",
    "ledger_subject_tag",
    "merge_ranges",
    "open_checkpoint",
    "open_ledger_entry",
    "open_quarantine",
    "parse_leaf",
    "removed_ranges",
    "seal_ledger_entries",
    "sequence_ledger_entries",
    "signed_note",
    "sync_log_directory",
    "tree_of_frontier",
    "verify_consistency",
    "verify_inclusion",
    "verify_signature",
    "vkey",
    "write_log_files",
]

class CoreError(Exception):
    """What the core refuses. `args` are the message and the reason."""

class KeyUnavailable(CoreError):
    """A key is not loaded, its lease is over, or its budget is used up: authorise, load or refresh, try
    again.
    """

# -- keys: crates/py/src/keystore.rs and keyring.rs

@final
class Secret:
    """32 secret bytes. There is no way to read, copy or pickle them."""

@final
class Unlock:
    """What unlocks a keyring: there is no way to read it."""

    @staticmethod
    def passphrase(passphrase: bytes) -> Unlock:
        """Any bytes but none."""
    @staticmethod
    def key_file(content: bytes) -> Unlock:
        """32 random bytes."""

@final
class KekVersion:
    """One version of a tenant's key in a keyring, without the key."""

    @property
    def number(self) -> int:
        """From 1."""
    @property
    def state(self) -> Literal["enabled", "disabled", "destroyed"]: ...
    @property
    def created_us(self) -> int:
        """Microseconds since the Unix epoch."""

@final
class LocalKeyring:
    """A keyring file's content, unlocked. Errors are CoreError with a reason that begins with KEYRING, and
    for a tenant's key KeyUnavailable KEK_UNKNOWN, KEK_DISABLED or KEK_DESTROYED.
    """

    @staticmethod
    def create(unlock: Unlock) -> LocalKeyring:
        """An empty one that `unlock` will open. A passphrase costs one Argon2id run (64 MiB)."""
    @staticmethod
    def open(sealed: bytes, unlock: Unlock) -> LocalKeyring:
        """Opens a keyring file's bytes."""
    def seal(self) -> bytes:
        """The bytes of the keyring file, different each time."""
    def create_kek(self, tenant_id: bytes, created_us: int) -> int:
        """Makes a new version of the tenant's key; gives its number."""
    def versions(self, tenant_id: bytes) -> list[KekVersion]:
        """Oldest first; empty if the tenant has no key."""
    def enable(self, tenant_id: bytes, version: int) -> None: ...
    def disable(self, tenant_id: bytes, version: int) -> None: ...
    def destroy(self, tenant_id: bytes, version: int) -> None: ...
    def wrap(self, tenant_id: bytes, key_id: bytes, secret: Secret) -> bytes:
        """Wraps under the tenant's newest version; `key_id` is the context."""
    def unwrap(self, tenant_id: bytes, key_id: bytes, wrapped: bytes) -> Secret:
        """Unwraps what `wrap` gave in the same context. CoreError WRAPPED_KEY_MALFORMED or
        WRAPPED_KEY_NOT_AUTHENTIC for anything else.
        """
    def verifying_key(self, owner_id: bytes, version: int | None = None) -> tuple[int, bytes]:
        """The public Ed25519 key, 32 bytes, of a version of the owner's key, and its number; without a version, of the
        one that `sign` takes. That of a disabled version is given too.
        """
    def sign(self, owner_id: bytes, message: bytes) -> tuple[int, bytes]:
        """Signs with Ed25519 under the newest enabled version of the owner's key: its number and 64 bytes."""

@final
class TenantKey:
    """A tenant key on its way to or from the KMS. Used up by `Keystore.add_tenant_key`."""

    @staticmethod
    def generate(tenant_id: bytes, created_us: int) -> TenantKey: ...
    @staticmethod
    def load(tenant_id: bytes, key_id: bytes, created_us: int, secret: Secret) -> TenantKey:
        """The key that the KMS unwrapped; uses the secret up. CoreError KEY_COMMITMENT_MISMATCH if it is not
        the key that `key_id` commits to.
        """
    @staticmethod
    def load_travelled(tenant_id: bytes, key_id: bytes, secret: Secret) -> TenantKey:
        """The same for a key that came in an envelope: it unwraps, and wraps nothing new."""
    @property
    def key_id(self) -> bytes:
        """16 bytes, a UUIDv8."""
    def secret(self) -> Secret:
        """A copy of its bytes, for the KMS to wrap."""

@final
class DataKeyRow:
    """A data key as it is stored; nothing in it is secret."""

    def __new__(cls, tenant_id: bytes, dek_id: bytes, suite: int, wrapped: bytes) -> DataKeyRow:
        """CoreError for parts of another form."""
    @property
    def dek_id(self) -> bytes:
        """32 bytes, the key's commitment."""
    @property
    def suite(self) -> int: ...
    @property
    def tenant_key_id(self) -> bytes:
        """16 bytes: the tenant key that wrapped it, as `wrapped` says."""
    @property
    def wrapped(self) -> bytes: ...

@final
class IndexKeyRow:
    """A tenant's index key as it is stored; nothing in it is secret."""

    def __new__(cls, tenant_id: bytes, index_key_id: bytes, wrapped: bytes) -> IndexKeyRow:
        """CoreError for parts of another form."""
    @property
    def index_key_id(self) -> bytes:
        """32 bytes, the key's commitment."""
    @property
    def tenant_key_id(self) -> bytes:
        """16 bytes: the tenant key that wrapped it, as `wrapped` says."""
    @property
    def wrapped(self) -> bytes: ...

@final
class PendingDek:
    """A data key that cannot seal yet: commit its row, then activate it."""

    @property
    def row(self) -> DataKeyRow: ...

@final
class PendingIndexKey:
    """An index key that is not in use yet: commit its row, then activate it."""

    @property
    def row(self) -> IndexKeyRow: ...

@final
class Keystore:
    """Keys of all tenants of a process, each tenant's under its lease. Without a live lease every method that
    needs one raises KeyUnavailable LEASE_EXPIRED. Tenants are 16 bytes; several ids are one after the other.
    """

    def __new__(
        cls,
        *,
        dek_messages: int = 5_000_000,
        dek_seconds: float = 900.0,
        tenant_key_seconds: float = 2_592_000.0,
    ) -> Keystore:
        """What a data key seals and for how long, and the age at which a tenant key is replaced."""
    @staticmethod
    def tick() -> int:
        """Now on the clock of the leases, in microseconds: one that goes on while the host is suspended."""
    def renew(self, tenant_id: bytes, authorised_at: int, ttl_us: int) -> int:
        """The KMS authorised the tenant, asked at that tick; the lease ends `ttl_us` after it. Gives its
        number. KeyUnavailable LEASE_AUTHORISATION_STALE if the tenant was denied since.
        """
    def revoke(self, tenant_id: bytes) -> None:
        """The KMS denied the tenant: drops and wipes everything of it."""
    def lease(self, tenant_id: bytes) -> int | None:
        """The number of the tenant's live lease."""
    def expire(self) -> list[bytes]:
        """Drops and wipes what belongs to leases that have run out; names the tenants of those it found."""
    def add_tenant_key(self, key: TenantKey) -> None: ...
    def missing_tenant_keys(self, tenant_id: bytes, key_ids: bytes) -> bytes:
        """Which of these (16 bytes each) are not loaded."""
    def tenant_key_due(self, tenant_id: bytes, unix_us: int) -> bool:
        """Whether the newest tenant key is too old at that time."""
    def seal_slot(self, tenant_id: bytes, messages: int) -> Literal["ready", "due", "spent", "unleased"]:
        """What a batch of so many messages finds: `due` is ready, and to be replaced soon; `spent` is no key,
        or none with that much left.
        """
    def generate_dek(self, tenant_id: bytes) -> PendingDek: ...
    def activate(self, pending: PendingDek) -> None:
        """Makes a data key whose row is committed the one that seals; what it seals opens at once."""
    def missing_deks(self, tenant_id: bytes, dek_ids: bytes) -> bytes:
        """Which of these (32 bytes each) must be loaded first; those found absent lately are left out."""
    def load_deks(self, rows: Sequence[DataKeyRow]) -> list[tuple[bytes, str]]:
        """Loads data keys; gives the id and the reason of each that does not load."""
    def note_absent_deks(self, tenant_id: bytes, dek_ids: bytes) -> None:
        """Remembers for 30 s that these (32 bytes each) do not exist."""
    def absent_deks(self, tenant_id: bytes, dek_ids: bytes) -> bytes:
        """Which of these (32 bytes each) are remembered not to exist."""
    def generate_index_key(self, tenant_id: bytes) -> PendingIndexKey: ...
    def activate_index_key(self, pending: PendingIndexKey) -> None: ...
    def load_index_key(self, row: IndexKeyRow) -> None: ...

def canonical_json(document: bytes) -> bytes:
    """The form of RFC 8785 of a JSON document: at most 1 MiB, 64 levels, and within I-JSON (RFC 7493), so that no
    number is changed.

    Raises CoreError with a reason of the JSON parser.
    """

def decode_frame(frame: bytes) -> tuple[int, int, bytes]:
    """Tells what a `StreamRequest` carries: the field number of its message, the sequence of a batch (0 for the
    others), and the message's bytes (empty for a batch, which stays where it is).

    Raises InvalidFrame.
    """

@final
class Contract:
    """A compiled data contract; immutable, shared between threads."""

    @staticmethod
    def compile(document: bytes) -> Contract:
        """Compiles a contract document. Raises ContractError."""
    @property
    def dataset(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def tenant(self) -> str:
        """Name of the tenant that the document names."""
    @property
    def digest(self) -> bytes:
        """SHA-256 of `document`."""
    @property
    def document(self) -> bytes:
        """The document in canonical form (RFC 8785)."""
    def validate(self, records: list[bytes], now_us: int) -> tuple[int, int, bytes]:
        """Checks JSON documents received at `now_us`: how many satisfy the contract, how many do not, and the report
        on those as JSON (`ig.report.v1`).
        """

@final
class Stream:
    """An open stream, as far as its records are concerned."""

    def __new__(
        cls, tenant_id: bytes, *, stream_no: int, dataset_id: int, contract_id: int, contract: Contract
    ) -> Stream:
        """Numbers are those within the tenant, whose identifier is 16 bytes."""

@final
class Prepared:
    """A batch whose records were checked."""

    @property
    def sequence(self) -> int: ...
    @property
    def records(self) -> int:
        """Number of records as received."""
    @property
    def size(self) -> int:
        """Bytes as received."""
    @property
    def dataset_id(self) -> int: ...

@final
class FetchPlan:
    """One query for what a batch needs to know; see `storage.change_log.fetch_heads`."""

    @property
    def entities(self) -> bytes: ...
    @property
    def late_entities(self) -> bytes: ...
    @property
    def late_valid_at(self) -> bytes: ...
    def keys_needed(self, rows: bytes) -> bytes:
        """Data keys (32 bytes each) that opening the answer takes and that are not loaded: those to look for, and those
        that were found absent lately.

        Raises CorruptData, KeyUnavailable.
        """
    def supply(self, rows: bytes) -> None:
        """Gives the batch what the answer says. Raises CorruptData, KeyUnavailable."""

@final
class Group:
    """Batches that were diffed together and commit together."""

    @property
    def fingerprints(self) -> bytes:
        """Of the records that are to be quarantined, 32 bytes each."""
    def bind(self, seq: int, recorded_us: int, now_us: int, frontier: bytes, quarantined: bytes) -> Bound:
        """Gives the changes their `seq` and times: the arguments are the locked clock row, the database's clock, and
        those fingerprints that wait in quarantine (each with its entry, 48 bytes together). Once only.

        Raises StaleGroup, CorruptData, KeyUnavailable, and CoreError CLOCK_BEHIND.
        """

@final
class Bound:
    """What one transaction writes, and the replies for when it is committed."""

    @property
    def seq(self) -> int: ...
    @property
    def recorded_us(self) -> int: ...
    @property
    def frontier(self) -> bytes: ...
    @property
    def tables(self) -> list[tuple[str, list[str], list[bytes]]]:
        """Binary COPY streams: table, columns, chunks of at most 512 KiB."""
    @property
    def replies(self) -> list[bytes]:
        """An encoded `StreamResponse` for each batch, in order."""
    @property
    def outcomes(self) -> tuple[int, int, int, int]:
        """Records of all batches together: accepted, unchanged, duplicate, quarantined, as the replies say."""
    @property
    def warned(self) -> int:
        """Of the accepted records, those that break the contract."""
    @property
    def quarantining(self) -> list[int]:
        """Records that are put into quarantine, for each batch, in order: those that do not wait there already."""

@final
class Engine:
    """All tenants' heads, and the work on their batches. Every method may be called from any thread."""

    def __new__(
        cls,
        keystore: Keystore,
        *,
        cache_bytes: int,
        max_record_bytes: int,
        max_depth: int,
        max_batch_records: int,
    ) -> Engine: ...
    def activate(self, tenant_id: bytes, watermark: int, share_percent: int) -> None:
        """Begins to serve a tenant whose last change is `watermark`; nothing if it is served already."""
    def set_cache_share(self, tenant_id: bytes, share_percent: int) -> None:
        """Changes the share of the heads cache that the tenant may have; evicts what is beyond. Raises NotActive."""
    def deactivate(self, tenant_id: bytes) -> None:
        """Ends serving a tenant, and forgets what it has in memory."""
    def prepare(self, stream: Stream, frame: bytes, now_us: int, warn: bool = False) -> Prepared:
        """Decodes, parses and checks a batch that was received at `now_us`. With `warn`, a record that breaks the
        contract goes on with its report, if its key and its event time can be formed.

        Raises InvalidFrame, KeyUnavailable, NotActive.
        """
    def plan_fetch(self, batch: Prepared) -> FetchPlan | None:
        """The query for what the batch needs to know; None if it needs nothing. Raises KeyUnavailable, NotActive."""
    def diff(self, tenant_id: bytes, batches: list[Prepared]) -> Group | list[int]:
        """Diffs batches, in order, on the heads that the groups before leave; or says, by index, which of them need to
        know more first.

        Raises KeyUnavailable, NotActive, CorruptData; then all that is not committed of the tenant is dropped.
        """
    def is_stale(self, group: Group) -> bool:
        """Whether the group leans on what was dropped since, or was bound."""
    def commit(self, group: Group, bound: Bound) -> None:
        """The group is committed: its heads are the committed ones. Raises NotActive."""
    def abort(self, tenant_id: bytes) -> None:
        """Drops what of the tenant is diffed and not committed."""
    def catch_up(self, tenant_id: bytes, moved: bytes, seq: int) -> None:
        """Other gateways committed changes up to `seq`: dataset number (i32) and entity (16 bytes) of each. Raises
        NotActive.
        """
    def retained(self, tenant_id: bytes, entities: bytes) -> None:
        """Retention took versions of these entities, or put the base of their chain elsewhere; layout as for
        `catch_up`. Raises NotActive.
        """
    def all_retained(self, tenant_id: bytes) -> None:
        """As `retained`, where it is not known of which entities. Raises NotActive."""
    def learn(self, tenant_id: bytes, entities: bytes, seq: int) -> None:
        """Entities that the log has, as far as `seq`; layout as for `catch_up`. Raises NotActive."""
    def learn_from(self, tenant_id: bytes) -> int | None:
        """After which change `learn` goes on; None when everything is known. Raises NotActive."""
    def watermark(self, tenant_id: bytes) -> int:
        """The last change that the heads reflect. Raises NotActive."""
    def cached(self, tenant_id: bytes) -> tuple[int, int]:
        """Heads in the tenant's cache, and the bytes that they keep. Raises NotActive."""
    def cached_of_all(self) -> tuple[int, int]:
        """Heads in all tenants' caches and their bytes, as the last groups left them. Waits for nobody."""
    def lookups(self) -> tuple[int, int]:
        """Records whose entity's head was in memory or known not to be, and those whose head had to be fetched: of all
        tenants, since the engine was made. Waits for nobody.
        """
    def forget_unleased(self) -> None:
        """Forgets the documents of tenants whose lease is over."""

class InvalidFrame(CoreError):
    """The bytes are not a frame, or the batch is too large."""

class NotActive(CoreError):
    """The tenant was not activated, or was dropped."""

class CorruptData(CoreError):
    """What is stored was altered, or is not ours. The third of `args` is the change's `seq`, where it is one."""

class StaleGroup(CoreError):
    """What was diffed leans on something that changed: diff again."""

class ContractError(CoreError):
    """A contract document was refused. The third of `args` lists its faults as (pointer, rule, fix)."""

# -- permissions: crates/py/src/policy.rs

class PolicyError(CoreError):
    """A policy was refused. The third of `args` lists its faults as (file, line, rule, problem, fix); line 0 means the
    file as a whole.
    """

@final
class PolicyBundle:
    """Rego modules that compile and hold their own tests; immutable, shared between threads."""

    @staticmethod
    def load(files: Sequence[tuple[str, str]]) -> PolicyBundle:
        """The platform's bundle, from names and texts of its files. Raises PolicyError."""
    def with_tenant_rules(self, tenant: str, files: Sequence[tuple[str, str]]) -> PolicyBundle:
        """The same with a tenant's rules beside it, whose own tests hold. May take seconds. Raises PolicyError."""
    def closed(self, tenant: str, why: str) -> PolicyBundle:
        """The same for a tenant whose rules cannot be used: all is denied to it that rules could deny, by this text."""
    @property
    def revision(self) -> str:
        """SHA-256 of the exact files, hexadecimal."""
    @property
    def tests(self) -> list[str]:
        """Paths of the tests that hold."""
    def value_of(self, rule: str) -> bytes | None:
        """What a rule, such as `data.intelgraph.roles.names`, says without any input, as JSON."""
    def places_of(self, denial: str) -> list[tuple[str, int]]:
        """File and line of the rules that deny with this text."""
    def explain(self, question: PolicyQuestion) -> bytes:
        """`{"granted_by": [roles], "denials": [texts]}`. Raises CoreError, which says where a rule failed."""

@final
class PolicyQuestion:
    """Who wants to do what, to what. What the request does not name is None."""

    def __new__(
        cls,
        permission: str,
        *,
        tenant: str,
        subject: str,
        roles: Collection[str],
        attributes: Mapping[str, str],
        machine: bool,
        platform: bool,
        resource_tenant: str | None = None,
        dataset: str | None = None,
    ) -> PolicyQuestion: ...

@final
class PolicyDecision:
    """The answer to a question, of one revision."""

    @property
    def allow(self) -> bool: ...
    @property
    def reason(self) -> str:
        """Empty where it is allowed, else PERMISSION_DENIED, PLATFORM_TENANT_ONLY, TENANT_MISMATCH, TENANT_RULE,
        UNDEFINED or FAILED.
        """
    @property
    def revision(self) -> str: ...
    @property
    def cached(self) -> bool:
        """Whether it was remembered."""
    @property
    def fault(self) -> str | None:
        """Where a rule failed and how, without any value of the question. Begins with `too slow` where time ran out."""

@final
class PolicyDecider:
    """The decisions of one process."""

    def __new__(cls, bundle: PolicyBundle) -> PolicyDecider:
        """Decides by the platform's bundle, for tenants that have no other."""
    def install(self, tenant: str, bundle: PolicyBundle | None) -> None:
        """Decides by `bundle` for a tenant from now on; None takes the platform's."""
    def bundle_of(self, tenant: str) -> tuple[PolicyBundle, bool]:
        """The bundle that decides for a tenant, and whether rules of its own are in it."""
    def recall(self, question: PolicyQuestion) -> PolicyDecision | None:
        """The decision, if it is remembered: some microseconds."""
    def decide(self, question: PolicyQuestion) -> PolicyDecision:
        """The decision. Never fails: what fails is denied."""

# -- reading: crates/py/src/read.rs. Rows are answers of storage.change_log: eleven fields each, in COPY format.

@final
class Catalogue:
    """The names that numbers in rows stand for, of one tenant."""

    def __new__(cls, datasets: Mapping[int, str], contracts: Mapping[int, bytes]) -> Catalogue:
        """Names of datasets and digests of contracts, by number."""
    def covers(self, rows: bytes) -> bool:
        """Whether it has a name for every number in `rows`. Raises CorruptData."""

@final
class LogReader:
    """Reads rows of one tenant's log, whose data keys must be loaded. Every method raises KeyUnavailable, and
    CorruptData for a value that does not open in its place or a version that does not follow from others.
    """

    def __new__(cls, keystore: Keystore, tenant_id: bytes, catalogue: Catalogue) -> LogReader: ...
    def version(self, rows: bytes) -> bytes:
        """`GetResponse.version`, encoded: the version that the last row is, rebuilt from its base, the first."""
    def report(self, rows: bytes) -> bytes | None:
        """The report on the record that the last row stores, JSON (`ig.report.v1`); None if it broke nothing."""
    def difference(self, from_rows: bytes, to_rows: bytes, contract: Contract) -> bytes:
        """`DiffResponse` but for `as_of_seq`, encoded; no rows are no version. The contract names the arrays that
        are compared by key.
        """
    def history(
        self, rows: bytes, chain: bytes, with_documents: bool
    ) -> tuple[bytes, tuple[int, int] | None]:
        """`HistoryResponse.entries`, encoded, newest first, and after which (valid time, `seq`) a page ended that was
        full. `chain` leads from a base to the oldest chain row of `rows`.
        """
    def changes(self, rows: bytes, after_seq: int | None) -> list[tuple[bytes, int]]:
        """`ChangesResponse.entries`, encoded, in parts, each with its last `seq`. With `after_seq`, every change after
        it has to be there.
        """

def keys_of_rows(rows: bytes) -> bytes:
    """The data keys that opening `rows` takes, 32 bytes each. Raises CorruptData."""

def keys_of_values(values: Sequence[bytes]) -> bytes:
    """The data keys that opening these sealed values takes, 32 bytes each."""

def entity_id(keystore: Keystore, tenant_id: bytes, contract: Contract, key: bytes) -> bytes:
    """The identifier, 16 bytes, of the entity that a key stands for, JSON as `DeleteEntity.key`.

    Raises EntityKeyInvalid, KeyUnavailable.
    """

def open_quarantine(
    keystore: Keystore,
    tenant_id: bytes,
    dataset: str,
    quarantine_id: bytes,
    report: bytes,
    records: Sequence[tuple[bytes, bytes]],
) -> tuple[bytes, list[bytes]]:
    """Opens an entry's report, and its records, each given with its fingerprint. Raises CorruptData, KeyUnavailable."""

@final
class LogCheck:
    """A check of one tenant's log, page by page. Rows are answers of storage.log_tree: twelve fields each."""

    def __new__(cls, keystore: Keystore, tenant_id: bytes, anchors: Sequence[tuple[int, bytes]]) -> LogCheck:
        """`anchors` are what the ledger says that the log was: sizes, and the root at each."""
    @staticmethod
    def keys_needed(rows: bytes) -> bytes:
        """The data keys that checking `rows` takes, 32 bytes each. Raises CorruptData."""
    def take(self, rows: bytes, removed: bytes, catalogue: Catalogue) -> None:
        """Takes the next rows, and the removed ranges before and between them (three fields each); after an error the
        same can be taken again. Raises CorruptData, KeyUnavailable.
        """
    def finish(
        self, seq: int, frontier: bytes, last_seq: int
    ) -> tuple[int, bytes | None, list[tuple[str, int, int, str]], int, int, list[tuple[int, int]]]:
        """The verdict, given the clock row and the last change that has a row: changes looked at; root of their tree,
        None where one is missing; findings, each a reason, its first and last change and what it is; findings left out;
        changes that retention removed; first and last change of each range of those, at most a thousand.
        """

# -- retention: crates/py/src/retention.rs. Rows and ranges are answers of storage.retention.

def keys_of_chains(rows: bytes) -> bytes:
    """The data keys that `anchors` takes for `rows`, 32 bytes each. Raises CorruptData."""

def anchors(keystore: Keystore, tenant_id: bytes, dataset: str, rows: bytes) -> bytes:
    """A COPY stream (tenant_id, seq, snapshot): for each chain in `rows`, of ten fields, a sealed snapshot of what its
    last row led to. A chain is one entity's rows from a base on. Raises CorruptData, KeyUnavailable.
    """

def removed_ranges(tenant_id: bytes, leaves: bytes) -> bytes:
    """A COPY stream (tenant_id, last_seq, first_seq, nodes) of the ranges that removed rows make up, each row given as
    `seq` and leaf (40 bytes together), in any order. Raises CorruptData.
    """

def merge_ranges(tenant_id: bytes, ranges: bytes) -> tuple[bytes, int, int, int]:
    """A COPY stream as of `removed_ranges`, of ranges (three fields each, in order) with those made one that follow
    each other; how many there were and how many there are; the last change of the last one. Raises CorruptData.
    """

# -- services' messages: crates/py/src/envelope.rs

@final
class MessagesToSeal:
    """The messages of an `EncryptRequest`."""

    @staticmethod
    def decode(request: bytes) -> MessagesToSeal:
        """Raises InvalidRequest."""
    @property
    def tenant(self) -> str:
        """The tenant that the request names; empty if none."""
    @property
    def count(self) -> int: ...
    @property
    def keys_travel(self) -> bool:
        """Whether each envelope is to carry its wrapped keys."""
    def reserve(self, keystore: Keystore, tenant_id: bytes) -> SealReservation:
        """Reserves what sealing them takes. Raises KeyUnavailable."""
    def seal(self, reservation: SealReservation, keys: tuple[bytes, bytes] | None = None) -> bytes:
        """An `EncryptResponse`. `keys` are the reservation's data key and the tenant key that wrapped it, both
        wrapped, to be carried. Raises KeyUnavailable.
        """

@final
class SealReservation:
    """The right to seal one batch, once."""

    @property
    def dek_id(self) -> bytes:
        """The data key that seals."""

@final
class MessagesToOpen:
    """The envelopes of a `DecryptRequest`."""

    @staticmethod
    def decode(request: bytes) -> MessagesToOpen:
        """Raises InvalidRequest."""
    @property
    def tenant(self) -> str:
        """The tenant that the request names; empty if none."""
    def keys_needed(self) -> bytes:
        """The data keys that the envelopes name, 32 bytes each."""
    def travelling_keys(self, keystore: Keystore, tenant_id: bytes) -> list[tuple[bytes, bytes]]:
        """The tenant keys (id, wrapped) that envelopes carry whose data keys were looked for and not found. Raises
        KeyUnavailable.
        """
    def open(self, keystore: Keystore, tenant_id: bytes) -> bytes:
        """A `DecryptResponse`, with an error in the place of each that does not open. Raises KeyUnavailable."""

class InvalidRequest(CoreError):
    """The bytes are not the request's message, or it is too large."""

class EntityKeyInvalid(CoreError):
    """What is to name an entity does not, under its contract: `args` are the fix, the rule, and the pointer to the
    part of the key.
    """

# -- the ledger: crates/py/src/ledger.rs. Hashes are 32 bytes, sizes count entries, a path is one of C2SP tlog-tiles,
# relative to the log's directory. `read` gives the bytes at a path, None where there are none; where a partial tile is
# asked for and not there, the full one is asked for next. What is stored and does not fit is CorruptData, with a reason
# that begins with LEDGER; everything else that is refused is CoreError.

@final
class TileWriter:
    """The right edge of a log: what it takes to write the tiles of further entries. Keep a `copy` to return to when
    what was written does not commit.
    """

    @staticmethod
    def empty() -> TileWriter: ...
    @staticmethod
    def tiles_to_resume(size: int) -> list[str]:
        """The paths that `resume` reads: one bundle and one tile a level at most."""
    @staticmethod
    def resume(size: int, root: bytes, read: Callable[[str], bytes | None]) -> TileWriter:
        """Goes on at the end of a log, whose tiles are verified against its root. Raises CorruptData."""
    def append(self, entries: Sequence[bytes]) -> list[tuple[str, bytes]]:
        """Adds entries of at most 65,535 bytes; gives paths and bytes of the files to write: what became full, then
        the partial tiles that grew. A file never changes afterwards. CoreError LEDGER_ENTRY_TOO_LONG, and then nothing
        was added.
        """
    def append_prefixed(self, entries: bytes) -> list[tuple[str, bytes]]:
        """The same for entries in one buffer, each after its length in two bytes, big-endian."""
    def append_commitments(self, commitments: bytes) -> list[tuple[str, bytes]]:
        """The same for the leaves of these commitments: 32 bytes of the header's, 32 of the payload's, and so on."""
    @property
    def size(self) -> int: ...
    @property
    def root(self) -> bytes: ...
    def copy(self) -> TileWriter: ...

def inclusion_tiles(index: int, size: int) -> list[str]:
    """The paths that `inclusion_proof` reads. CoreError LEDGER_INDEX_BEYOND_SIZE."""

def inclusion_proof(index: int, size: int, read: Callable[[str], bytes | None]) -> list[bytes]:
    """The proof that entry `index` is in the tree of that size, RFC 9162 §2.1.3. Raises CorruptData."""

def consistency_tiles(from_size: int, to_size: int) -> list[str]:
    """The paths that `consistency_proof` reads. CoreError LEDGER_SIZES_REVERSED, LEDGER_CONSISTENCY_OF_EMPTY."""

def consistency_proof(from_size: int, to_size: int, read: Callable[[str], bytes | None]) -> list[bytes]:
    """The proof that the larger tree begins with the smaller one, RFC 9162 §2.1.4; empty for equal sizes. Raises
    CorruptData.
    """

def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """CoreError LEDGER_INDEX_BEYOND_SIZE, LEDGER_PROOF_LENGTH or LEDGER_PROOF_MISMATCH unless the proof holds."""

def verify_consistency(
    from_size: int, to_size: int, from_root: bytes, to_root: bytes, proof: Sequence[bytes]
) -> None:
    """CoreError LEDGER_SIZES_REVERSED, LEDGER_CONSISTENCY_OF_EMPTY, LEDGER_PROOF_LENGTH or LEDGER_PROOF_MISMATCH
    unless the proof holds.
    """

def inclusion_file(
    index: int, proof: Sequence[bytes], checkpoint: bytes, extra: bytes | None = None
) -> bytes:
    """A proof with its signed checkpoint as a file, C2SP tlog-proof."""

def consistency_file(old_size: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """A proof with the newer signed checkpoint as a file: the body of add-checkpoint in C2SP tlog-witness."""

def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry), RFC 6962 §2.1."""

def tree_of_frontier(frontier: bytes) -> tuple[int, bytes]:
    """Size and root of the tree whose frontier a clock row stores so; no bytes are the empty tree. Raises
    CorruptData.
    """

def bundle_entries(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Raises CorruptData."""

def bundle_commitments(bundle: bytes) -> bytes:
    """The commitments in the leaves of a bundle, 64 bytes each. Raises CorruptData; CoreError LEDGER_LEAF_MALFORMED."""

def commitment(salt: bytes, domain: Literal["header", "payload"], canonical: bytes) -> bytes:
    """HMAC-SHA-256 under a salt of 32 random bytes, over domain and bytes."""

def leaf(header: bytes, payload: bytes) -> bytes:
    """The entry in the log of these two commitments, canonical JSON."""

def parse_leaf(leaf: bytes) -> tuple[bytes, bytes]:
    """The commitments to header and payload. CoreError LEDGER_LEAF_MALFORMED for any other form."""

def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """What the log's key signs, C2SP tlog-checkpoint. CoreError CHECKPOINT_MALFORMED."""

def signed_note(
    text: bytes, name: str, public_key: bytes, signature: bytes, existing: bytes | None = None
) -> bytes:
    """The note of a text and its Ed25519 signature, which is verified first; `existing` is a note of the same text, to
    which the signature is added. CoreError NOTE_MALFORMED, NOTE_SIGNATURE_INVALID, VERIFIER_KEY_MALFORMED.
    """

def open_checkpoint(
    note: bytes, vkeys: Sequence[str]
) -> tuple[str, int, bytes, list[tuple[str, int | None]]]:
    """Origin, size and root of a checkpoint that its log has signed, with a key named like the origin; and whose known
    keys have signed it, with the time in seconds since the epoch for witnesses. CoreError NOTE_MALFORMED,
    NOTE_UNVERIFIED, NOTE_SIGNATURE_INVALID, CHECKPOINT_MALFORMED, CHECKPOINT_UNSIGNED, VERIFIER_KEY_MALFORMED,
    VERIFIER_KEY_AMBIGUOUS.
    """

def add_cosignature(note: bytes, line: str, vkey: str) -> bytes:
    """The checkpoint with a witness's signature line added, which is verified. CoreError NOTE_MALFORMED,
    NOTE_SIGNATURE_INVALID, COSIGNATURE_FOREIGN, CHECKPOINT_MALFORMED, VERIFIER_KEY_MALFORMED.
    """

def cosign(note: bytes, name: str, seed: bytes, timestamp: int) -> str:
    """A witness's signature line of a checkpoint as of a time in seconds since the epoch, C2SP tlog-cosignature."""

def vkey(name: str, public_key: bytes, *, cosigner: bool = False) -> str:
    """The verifier key, C2SP signed-note, of a log or, with `cosigner`, a witness. CoreError VERIFIER_KEY_MALFORMED."""

def verify_signature(
    algorithm: Literal["Ed25519", "ES256"], public_key: bytes, message: bytes, signature: bytes
) -> bool:
    """Whether the signature is that of the key: 32 bytes for Ed25519, a SEC 1 point of P-256 for ES256, whose signature
    is r ‖ s.
    """

# -- the ledger's files: crates/py/src/log_files.rs

def write_log_files(root: PathLike[str], files: Sequence[tuple[str, bytes]]) -> None:
    """Writes files, each by its path below `root`; returns when all of them, and their names, are on disk. A reader
    finds the former file or the whole new one.

    Raises OSError.
    """

def sync_log_directory(root: PathLike[str], directory: PathLike[str]) -> None:
    """Puts the names in a directory on disk, and those of the directories above it up to `root`. Raises OSError."""

# -- the ledger: crates/py/src/ledger_entries.rs. The owner is the platform, 16 bytes, as a tenant is.

def seal_ledger_entries(
    keystore: Keystore,
    owner_id: bytes,
    at_us: int,
    entries: Sequence[tuple[tuple[bytes, str] | None, tuple[int, str], str, tuple[str, str], bytes]],
) -> tuple[list[bytes], bytes]:
    """Seals entries of one moment, each a tenant (id, name) or None, its kind (number, name), its subject, its actor
    (subject, method) and its payload, JSON: their ids, and the entries packed, as a row of the outbox holds them.

    Raises KeyUnavailable, and CoreError ENTRY_MALFORMED.
    """

def sequence_ledger_entries(packed: bytes, first_index: int, sequenced_us: int) -> tuple[bytes, bytes]:
    """Gives packed entries the indexes from `first_index` on: commitments, 64 bytes each, and a binary COPY stream for
    `ledger_entry` (index, sequenced, entry_id, tenant_id, kind, subject_tag, commitments, header, payload).

    Raises CorruptData for what no act packed.
    """

@final
class OutboxReplay:
    """What the outbox of a restored database still holds of entries whose commitments come back from the log's
    tiles.
    """

    def __new__(cls, outbox: Sequence[tuple[int, bytes]]) -> Self:
        """Takes the outbox's rows, id and packed entries each. Raises CorruptData."""

    def rows(self, commitments: bytes, first_index: int, sequenced_us: int) -> bytes:
        """A binary COPY stream for `ledger_entry`, as above, of entries with these commitments, 64 bytes each: whole
        where the outbox has the entry, else its commitments and nothing else.
        """

    @property
    def found(self) -> int:
        """How many entries the outbox had."""

    def emptied(self) -> list[int] | None:
        """Ids of the rows that were replayed; None where one was in part, which no log of this outbox explains."""

def open_ledger_entry(
    keystore: Keystore, owner_id: bytes, entry_id: bytes, commitments: bytes, header: bytes, payload: bytes
) -> tuple[bytes, bytes, bytes, bytes]:
    """Opens an entry, and checks it against its two commitments: header, its salt, payload, its salt. Both are
    canonical JSON.

    Raises KeyUnavailable, CorruptData.
    """

def ledger_subject_tag(keystore: Keystore, owner_id: bytes, tenant_id: bytes | None, subject: str) -> int:
    """What finds a subject's entries without naming it. Raises KeyUnavailable."""

def keys_of_ledger_entries(rows: bytes) -> bytes:
    """The data keys that rows of entries need, 32 bytes each. Raises CorruptData."""

def check_ledger_entries(
    keystore: Keystore, owner_id: bytes, rows: bytes, kinds: Mapping[int, str]
) -> list[tuple[int, str]]:
    """What is wrong with rows of entries, each by its index: those that do not open to what was committed to, or whose
    columns are not what their header says. Rows are of eight fields in COPY format: index, entry_id, tenant_id, kind,
    subject_tag, commitments, header, payload. `kinds` are the names of the kinds by number.

    Raises KeyUnavailable, and CorruptData for what are no rows.
    """
