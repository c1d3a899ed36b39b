"""Puts together what backups and recovering the ledger take: the gateway's parts, and none of its services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelgraph.approvals.approvals import Approvals
from intelgraph.backup.restoring import Restorer
from intelgraph.backup.taking import BackupTaker
from intelgraph.errors import IntelGraphError
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.keys.unlocking import with_passphrase_asked
from intelgraph.provenance.actor import Actor, account
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.key_entries import KeyEntries
from intelgraph.provenance.kinds.ledger import BackupRestored
from intelgraph.provenance.ledger import Ledger
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.recovery import Recovery
from intelgraph.storage.attach import attached
from intelgraph.storage.database import Database
from intelgraph.storage.dumping import Administrator
from intelgraph.tenants.registry import TenantRegistry

if TYPE_CHECKING:
    from intelgraph.gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class LedgerAtHand:
    """A gateway's ledger, for a tool on its host."""

    database: Database
    ledger: Ledger
    signer: CheckpointSigner
    directory: LogDirectory
    recovery: Recovery


def operator() -> Actor:
    """Who calls a verb on the gateway's host."""
    return Actor(account(), "cli")


@asynccontextmanager
async def ledger_at_hand(settings: "Settings") -> AsyncIterator[LedgerAtHand]:
    """The ledger for as long as the block runs. The gateway may run beside it.

    Raises FailedPrecondition where database or keyring cannot be used as the settings say, and Unavailable.
    """
    keys_of = with_passphrase_asked(settings.keys, settings.data_dir / "keys")
    with attached(settings.storage, settings.data_dir) as storage:
        database = await Database.connect(storage)
        try:
            provider = await open_provider(keys_of, settings.data_dir / "keys", database)
            keystore = keystore_of(keys_of)
            keys = KeyService(keystore, provider, database, keys_of)
            try:
                ledger = Ledger(keystore, keys)
                keys.record_with(KeyEntries(ledger, database))
                signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
                directory = LogDirectory(settings.ledger.directory_in(settings.data_dir))
                copies = [LogDirectory(each) for each in settings.ledger.checkpoint_copies]
                recovery = Recovery(database, directory, copies, signer, ledger)
                yield LedgerAtHand(database, ledger, signer, directory, recovery)
            finally:
                await keys.close()
        finally:
            await database.close()


async def platform_approvals(settings: "Settings", hand: LedgerAtHand) -> Approvals:
    """The approvals that acts of the platform use up."""
    platform = await TenantRegistry(hand.database, hand.ledger).get(settings.platform_tenant)
    return Approvals(hand.database, hand.ledger, platform)


@asynccontextmanager
async def backup_taker(settings: "Settings") -> AsyncIterator[BackupTaker]:
    """What takes backups of the gateway of these settings, for as long as the block runs. Raises as `ledger_at_hand`,
    and FailedPrecondition BACKUP_ROLE_MISSING.
    """
    administrator = Administrator.of(settings.storage, settings.data_dir)
    # The gateway itself is not told who takes backups.
    gateways = settings.storage.model_copy(update={"backup_dsn": None})
    digest = settings.model_copy(update={"storage": gateways}).digest()
    async with ledger_at_hand(settings) as hand:
        yield BackupTaker(
            administrator,
            hand.database,
            hand.directory,
            hand.signer,
            hand.ledger,
            (settings.keys.local, settings.data_dir / "keys"),
            digest,
        )


async def enter_restored(settings: "Settings", facts: BackupRestored) -> str | None:
    """Enters in the ledger what was restored, and has the approvals that it brought back hold no more; why not, where
    that cannot be: a key that was not in the backup, say.
    """
    try:
        async with ledger_at_hand(settings) as hand:
            await hand.ledger.ready()
            approvals = await platform_approvals(settings, hand)
            async with hand.database.write() as connection:
                subject = f"backup:{facts.digest}"
                await hand.ledger.append(connection, facts, subject=subject, by=operator(), tenant=None)
                await approvals.void_open(connection, operator())
    except IntelGraphError as error:
        return error.reason
    return None


def restorer(settings: "Settings") -> Restorer:
    """What restores backups into the data directory and database of these settings."""
    return Restorer(settings.data_dir, settings.storage, settings.keys.local, settings.ledger)
