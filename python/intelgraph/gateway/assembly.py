"""Builds what a serving process serves with, and closes it again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from intelgraph import tracing
from intelgraph._core import Engine, Keystore
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.keys import ApproverKeys
from intelgraph.approvals.waiting import Waiting
from intelgraph.contracts.publishing import ContractPublisher
from intelgraph.contracts.quarantine import Quarantine
from intelgraph.contracts.quarantine_opening import QuarantineOpener
from intelgraph.contracts.registry import ContractRegistry
from intelgraph.flags.registry import FlagRegistry
from intelgraph.flags.table import Flag
from intelgraph.gateway.approval_service import ApprovalService
from intelgraph.gateway.authenticator import Authenticator
from intelgraph.gateway.contract_service import ContractService
from intelgraph.gateway.entity_service import EntityService
from intelgraph.gateway.envelope_service import EnvelopeService
from intelgraph.gateway.flag_service import FlagService
from intelgraph.gateway.ingest_service import IngestService
from intelgraph.gateway.ledger_service import LedgerParts, LedgerService
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.gateway.operating import operating
from intelgraph.gateway.permissions import Permissions
from intelgraph.gateway.policy_service import PolicyParts, PolicyService
from intelgraph.gateway.quarantine_service import QuarantineService
from intelgraph.gateway.server import Parts, Service
from intelgraph.gateway.settings import ConfigurationError, Settings, WrongSetting
from intelgraph.gateway.share_reach import ShareReach
from intelgraph.gateway.tenant_service import TenantService
from intelgraph.gateway.token_keys import KeyFile, KeyUrl, TokenKeys
from intelgraph.gateway.tokens import TokenVerifier
from intelgraph.gateway.v1 import (
    approval_pb2_grpc,
    contract_pb2_grpc,
    flag_pb2_grpc,
    ledger_pb2_grpc,
    policy_pb2_grpc,
    quarantine_pb2_grpc,
    tenant_pb2_grpc,
)
from intelgraph.http.log_files import log_route
from intelgraph.ingest.intake import Intake
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.keys.unsealing import Unsealer
from intelgraph.policy.decisions import Decisions
from intelgraph.policy.expendable import ExpendableThreads
from intelgraph.policy.platform import platform_bundle
from intelgraph.policy.store import RulesStore
from intelgraph.policy.watch import RulesWatch
from intelgraph.provenance.anchors import Anchors
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.key_entries import KeyEntries
from intelgraph.provenance.ledger import Ledger
from intelgraph.provenance.life import recorded_life
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.minted_tokens import MintedTokens
from intelgraph.provenance.proofs import Prover
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.provenance.witnesses import Witnesses
from intelgraph.storage.database import Database
from intelgraph.temporal.catalogues import Catalogues
from intelgraph.temporal.commit_watch import CommitWatch
from intelgraph.temporal.entities import EntityReader
from intelgraph.temporal.feed import ChangeFeed
from intelgraph.temporal.switch import TemporalSwitch
from intelgraph.tenants.registry import Tenant, TenantRegistry

_NO_TENANT: Final = UUID(int=0)


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Parts]:
    """The parts, for as long as the block runs; `settings.storage` names a PostgreSQL that runs.

    Raises ConfigurationError, and IntelGraphError for a part that cannot be used.
    """
    with _traced(settings):
        database = await Database.connect(settings.storage)
        try:
            async with (
                _core(settings, database) as core,
                _sequencing(settings, database, core) as directory,
                recorded_life(core.ledger, database, settings.digest()),
                TenantRegistry(database, core.ledger) as tenants,
                _approvals(database, core.ledger, await tenants.ensure(settings.platform_tenant)) as (
                    approvals,
                    waiting,
                ),
                FlagRegistry(database, core.ledger, approvals) as flags,
                operating(
                    settings.operations, database, tenants, core.keystore, core.keys, core.ledger
                ) as operation_services,
                _deciding(database, core) as policy,
            ):
                authenticator = Authenticator(
                    tenants,
                    token_verifier(settings),
                    settings.tls.trust_domain,
                    settings.platform_tenant,
                )
                yield Parts(
                    authenticator=authenticator,
                    permissions=Permissions(policy.decisions, policy.watch),
                    services=[
                        *_services(tenants, flags, settings.platform_tenant),
                        *_data_services(settings, database, core, authenticator, flags, approvals),
                        _approval_service(
                            database, core.ledger, approvals, waiting, ShareReach(flags, tenants)
                        ),
                        _ledger_service(settings, database, core, directory, approvals, tenants),
                        *operation_services,
                        _policy_service(policy),
                    ],
                    checks={"postgres": partial(_use, database)},
                    routes=[log_route(directory.read, LogDirectory.is_path)],
                )
        finally:
            await database.close()


@asynccontextmanager
async def _sequencing(settings: Settings, database: Database, core: "_Core") -> AsyncIterator[LogDirectory]:
    """The log directory, with this process ready to sequence, and to anchor, for as long as the block runs."""
    directory = LogDirectory(settings.ledger.directory_in(settings.data_dir))
    copies = [LogDirectory(each) for each in settings.ledger.checkpoint_copies]
    sequencer = Sequencer(database, directory, copies, core.signer)
    await sequencer.start()
    minted = MintedTokens(database, core.ledger, settings.data_dir / "identity")
    tasks = [
        asyncio.create_task(Anchors(database, core.ledger).run(), name="anchors"),
        asyncio.create_task(minted.run(), name="minted tokens"),
    ]
    try:
        yield directory
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sequencer.stop()


@asynccontextmanager
async def _deciding(database: Database, core: "_Core") -> AsyncIterator[PolicyParts]:
    """Decisions by the rules in force, for as long as the block runs."""
    platform, threads = platform_bundle(), ExpendableThreads()
    decisions = Decisions(platform, threads)
    async with RulesWatch(database, decisions, platform, threads) as watch:
        store = RulesStore(database, core.ledger)
        yield PolicyParts(platform, store, decisions, watch, threads=ExpendableThreads())


def _policy_service(parts: PolicyParts) -> Service:
    service = PolicyService(parts)
    return Service(
        "intelgraph.gateway.v1.PolicyService",
        lambda server: policy_pb2_grpc.add_PolicyServiceServicer_to_server(service, server),
    )


def _ledger_service(
    settings: Settings,
    database: Database,
    core: "_Core",
    directory: LogDirectory,
    approvals: Approvals,
    tenants: TenantRegistry,
) -> Service:
    service = LedgerService(
        LedgerParts(
            database,
            core.ledger,
            EntryReader(database, Unsealer(core.keys), core.keystore),
            Prover(database, directory, core.signer),
            Witnesses(database, settings.ledger.witnesses),
            approvals,
            tenants,
        )
    )
    return Service(
        "intelgraph.gateway.v1.LedgerService",
        lambda server: ledger_pb2_grpc.add_LedgerServiceServicer_to_server(service, server),
    )


def token_verifier(settings: Settings) -> TokenVerifier | None:
    """Checks tokens of the issuer in `auth.jwks`, or of the local one; None with certificates only."""
    keys: TokenKeys
    if settings.auth.jwks is not None:
        remote = urlsplit(settings.auth.jwks).scheme in {"http", "https"}
        keys = KeyUrl(settings.auth.jwks) if remote else KeyFile(Path(settings.auth.jwks))
    elif settings.local_identity:
        _ensure_local_issuer(settings.data_dir)
        keys = KeyFile(LocalIssuer.public_keys(settings.data_dir))
    else:
        return None
    return TokenVerifier(keys, settings.auth.audience, settings.auth.issuer, settings.auth.leeway_s)


def _ensure_local_issuer(data_dir: Path) -> None:
    try:
        LocalIssuer.ensure(data_dir)
    except OSError as error:
        raise ConfigurationError(
            (
                WrongSetting(
                    "data_dir",
                    f"{error.filename or data_dir} cannot be used ({error.strerror}): let the gateway's account"
                    " read and write it",
                ),
            )
        ) from error


def _services(tenants: TenantRegistry, flags: FlagRegistry, platform_tenant: str) -> list[Service]:
    tenant_service = TenantService(tenants, platform_tenant)
    flag_service = FlagService(flags, tenants)
    return [
        Service(
            "intelgraph.gateway.v1.TenantService",
            lambda server: tenant_pb2_grpc.add_TenantServiceServicer_to_server(tenant_service, server),
        ),
        Service(
            "intelgraph.gateway.v1.FlagService",
            lambda server: flag_pb2_grpc.add_FlagServiceServicer_to_server(flag_service, server),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Core:
    """The Rust side of the process and the keys it works with."""

    engine: Engine
    keystore: Keystore
    keys: KeyService
    ledger: Ledger
    signer: CheckpointSigner


@asynccontextmanager
async def _core(settings: Settings, database: Database) -> AsyncIterator[_Core]:
    keystore = keystore_of(settings.keys)
    engine = Engine(
        keystore,
        cache_bytes=settings.ingest.heads_cache_bytes,
        max_record_bytes=settings.ingest.max_record_bytes,
        max_depth=settings.ingest.max_depth,
        max_batch_records=settings.ingest.max_batch_records,
    )
    provider = await open_provider(settings.keys, settings.data_dir / "keys", database)
    keys = KeyService(keystore, provider, database, settings.keys, on_revoked=engine.forget_unleased)
    ledger = Ledger(keystore, keys)
    keys.record_with(KeyEntries(ledger, database))
    signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
    try:
        yield _Core(engine, keystore, keys, ledger, signer)
    finally:
        await keys.close()


@asynccontextmanager
async def _approvals(
    database: Database, ledger: Ledger, platform: Tenant
) -> AsyncIterator[tuple[Approvals, Waiting]]:
    approvals = Approvals(database, ledger, platform)
    async with Waiting(database, approvals) as waiting:
        yield approvals, waiting


def _approval_service(
    database: Database, ledger: Ledger, approvals: Approvals, waiting: Waiting, reach: ShareReach
) -> Service:
    service = ApprovalService(approvals, ApproverKeys(database, ledger, approvals), waiting, reach)
    return Service(
        "intelgraph.gateway.v1.ApprovalService",
        lambda server: approval_pb2_grpc.add_ApprovalServiceServicer_to_server(service, server),
    )


def _data_services(
    settings: Settings,
    database: Database,
    core: _Core,
    authenticator: Authenticator,
    flags: FlagRegistry,
    approvals: Approvals,
) -> list[Service]:
    contracts = ContractRegistry(database)
    unsealer, catalogues, watch = Unsealer(core.keys), Catalogues(contracts), CommitWatch(database)
    intake = Intake(
        core.engine,
        database,
        core.keys,
        contracts,
        settings.ingest,
        authenticator.served,
        watch.committed,
        core.ledger,
        partial(flags.weakened, Flag.CONTRACTS),
    )
    switch = TemporalSwitch(partial(flags.weakened, Flag.TEMPORAL))
    entities = EntityReader(database, contracts, unsealer, catalogues, core.keystore, switch)
    feed = ChangeFeed(database, unsealer, catalogues, core.keystore, watch, authenticator.served, switch)
    contract_service = ContractService(contracts, ContractPublisher(database, core.ledger, approvals))
    quarantine_service = QuarantineService(
        Quarantine(database, QuarantineOpener(core.keystore, unsealer), core.ledger)
    )
    return [
        IngestService(intake, authenticator).service(),
        EntityService(entities, feed).service(),
        EnvelopeService(core.keystore, core.keys).service(),
        Service(
            "intelgraph.gateway.v1.ContractService",
            lambda server: contract_pb2_grpc.add_ContractServiceServicer_to_server(contract_service, server),
        ),
        Service(
            "intelgraph.gateway.v1.QuarantineService",
            lambda server: quarantine_pb2_grpc.add_QuarantineServiceServicer_to_server(
                quarantine_service, server
            ),
        ),
    ]


async def _use(database: Database) -> None:
    """Raises if PostgreSQL does not answer both roles."""
    async with database.write() as connection:
        await connection.execute("SELECT 1")
    async with database.read(_NO_TENANT) as connection:
        await connection.execute("SELECT 1")


@contextmanager
def _traced(settings: Settings) -> Iterator[None]:
    endpoint = settings.tracing.otlp_endpoint
    if endpoint is None:
        yield
        return
    try:
        provider = tracing.enable(endpoint)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            (
                WrongSetting(
                    "tracing.otlp_endpoint",
                    f"{error.name} is not installed: install intelgraph-gateway[otel], or unset it",
                ),
            )
        ) from error
    try:
        yield
    finally:
        provider.shutdown()
