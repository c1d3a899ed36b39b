//! Entries of the ledger on their way into its outbox, and out of it: sealed under the platform's own key.
//!
//! An entry has a header (kind, tenant, actor, subject, time) and a payload, both canonical JSON (RFC 8785). Each is
//! sealed with the salt of its commitment before it, so that whoever opens it can check the commitment, and nobody
//! else can guess what was committed to. What is public of an entry is the two commitments and nothing more.

use aws_lc_rs::rand;
use intelgraph_envelope::{Context, Keystore, OVERHEAD, Purpose, SealBatch, TenantId, Tick};
use intelgraph_json::{Limits, jcs};
use intelgraph_ledger::{Domain, SALT_LEN, commit};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::copy::{self, HEADER, OpenField, TRAILER};
use crate::error::PipelineError;
use crate::opening::Opener;

/// Columns of an entry's row in the outbox, in the order in which [`seal_entries`] writes them.
pub const OUTBOX_COLUMNS: [&str; 7] =
    ["entry_id", "tenant_id", "kind", "subject_tag", "commitments", "header", "payload"];

/// The dataset that sealed parts of entries belong to; no tenant's dataset has the platform's key.
const DATASET: &str = "ledger";

/// An entry to be written. Header and payload are JSON within I-JSON.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// Its id.
    pub id: Uuid,
    /// The tenant that it is about; the platform's own acts have none.
    pub tenant: Option<TenantId>,
    /// Number of its kind.
    pub kind: i16,
    /// What it is about.
    pub subject: &'a str,
    /// Kind, tenant, actor, subject, time.
    pub header: &'a [u8],
    /// What its kind says.
    pub payload: &'a [u8],
}

/// An entry's header and payload, each with the salt of its commitment.
pub struct OpenedEntry {
    /// Canonical JSON.
    pub header: Zeroizing<Vec<u8>>,
    /// Canonical JSON.
    pub payload: Zeroizing<Vec<u8>>,
    /// Of the header's commitment.
    pub header_salt: [u8; SALT_LEN],
    /// Of the payload's commitment.
    pub payload_salt: [u8; SALT_LEN],
}

/// Seals entries under the newest data key of `owner`, the platform: a binary COPY stream of [`OUTBOX_COLUMNS`].
///
/// # Errors
/// [`PipelineError::Key`]; [`PipelineError::EntryMalformed`] for a header or payload that is no I-JSON.
pub fn seal_entries(
    keystore: &Keystore,
    owner: TenantId,
    entries: &[NewEntry<'_>],
    now: Tick,
) -> Result<Vec<u8>, PipelineError> {
    let parts = entries.iter().map(canonical_parts).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = parts.iter().flatten().map(|part| SALT_LEN + part.len()).sum();
    let mut seal = keystore.reserve(owner, 2 * entries.len() as u64, bytes as u64, now)?;
    let index_key = keystore.index_key(owner, now)?;
    let mut rows = Vec::with_capacity(bytes + entries.len() * (160 + 2 * OVERHEAD) + 21);
    rows.extend_from_slice(HEADER);
    for (entry, [header, payload]) in entries.iter().zip(&parts) {
        let (header_salt, payload_salt) = (new_salt()?, new_salt()?);
        copy::row(&mut rows, 7);
        copy::field(&mut rows, entry.id.as_bytes());
        match entry.tenant {
            Some(tenant) => copy::field(&mut rows, tenant.as_bytes()),
            None => copy::null(&mut rows),
        }
        copy::field(&mut rows, &entry.kind.to_be_bytes());
        copy::field(&mut rows, &tag(&index_key, entry.tenant, entry.subject).to_be_bytes());
        let commitments = OpenField::open(&mut rows);
        rows.extend_from_slice(&commit(&header_salt, Domain::Header, header));
        rows.extend_from_slice(&commit(&payload_salt, Domain::Payload, payload));
        commitments.close(&mut rows);
        seal_part(
            &mut seal,
            &context(owner, &entry.id, Purpose::LedgerHeader),
            &header_salt,
            header,
            &mut rows,
        )?;
        seal_part(
            &mut seal,
            &context(owner, &entry.id, Purpose::LedgerPayload),
            &payload_salt,
            payload,
            &mut rows,
        )?;
    }
    rows.extend_from_slice(&TRAILER);
    Ok(rows)
}

/// Opens entry `id`, whose sealed parts and commitments (both, one after the other) are those of its row.
///
/// # Errors
/// [`PipelineError::Key`]; [`PipelineError::EntryAltered`] where a part does not open in its place, or is not what was
/// committed to.
pub fn open_entry(
    keystore: &Keystore,
    owner: TenantId,
    id: Uuid,
    commitments: &[u8],
    header: &[u8],
    payload: &[u8],
    now: Tick,
) -> Result<OpenedEntry, PipelineError> {
    EntryOpener::new(keystore, owner, now).open(id, commitments, header, payload)
}

/// Opens entries one after the other; keeps the key of the last one, which most share.
pub(crate) struct EntryOpener<'a>(Opener<'a>);

impl<'a> EntryOpener<'a> {
    pub fn new(keystore: &'a Keystore, owner: TenantId, now: Tick) -> Self {
        Self(Opener::new(keystore, owner, now))
    }

    pub fn open(
        &mut self,
        id: Uuid,
        commitments: &[u8],
        header: &[u8],
        payload: &[u8],
    ) -> Result<OpenedEntry, PipelineError> {
        let altered = |what: &'static str| PipelineError::EntryAltered { entry: id, what };
        let (to_header, to_payload) =
            commitments.split_at_checked(32).ok_or_else(|| altered("its commitments are not two"))?;
        let (header_salt, header) =
            self.part(id, Purpose::LedgerHeader, header, "its header does not open")?;
        let (payload_salt, payload) =
            self.part(id, Purpose::LedgerPayload, payload, "its payload does not open")?;
        if commit(&header_salt, Domain::Header, &header) != *to_header {
            return Err(altered("its header is not what was committed to"));
        }
        if commit(&payload_salt, Domain::Payload, &payload) != *to_payload {
            return Err(altered("its payload is not what was committed to"));
        }
        Ok(OpenedEntry { header, payload, header_salt, payload_salt })
    }

    fn part(
        &mut self,
        id: Uuid,
        purpose: Purpose,
        sealed: &[u8],
        what: &'static str,
    ) -> Result<([u8; SALT_LEN], Zeroizing<Vec<u8>>), PipelineError> {
        let altered = || PipelineError::EntryAltered { entry: id, what };
        let opened = self.0.open_in(&context(self.0.tenant, &id, purpose), sealed)?.map_err(|_| altered())?;
        let (salt, text) = opened.split_first_chunk::<SALT_LEN>().ok_or_else(altered)?;
        Ok((*salt, Zeroizing::new(text.to_vec())))
    }
}

/// What finds a subject's entries without naming it: eight bytes of HMAC-SHA-256 under the platform's index key over
/// the tenant and the subject. Of two subjects in 2^64 that share it, the header tells which one is meant.
///
/// # Errors
/// [`PipelineError::Key`].
pub fn subject_tag(
    keystore: &Keystore,
    owner: TenantId,
    tenant: Option<TenantId>,
    subject: &str,
    now: Tick,
) -> Result<i64, PipelineError> {
    Ok(tag(&*keystore.index_key(owner, now)?, tenant, subject))
}

fn tag(index_key: &intelgraph_envelope::IndexKey, tenant: Option<TenantId>, subject: &str) -> i64 {
    let mut named = tenant.map_or([0; 16], |tenant| *tenant.as_bytes()).to_vec();
    named.extend_from_slice(subject.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = index_key.fingerprint(DATASET, &named);
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn canonical_parts(entry: &NewEntry<'_>) -> Result<[Vec<u8>; 2], PipelineError> {
    let canonical = |json: &[u8]| {
        jcs(json, Limits::default())
            .map_err(|error| PipelineError::EntryMalformed { entry: entry.id, why: error.to_string() })
    };
    Ok([canonical(entry.header)?, canonical(entry.payload)?])
}

fn seal_part(
    seal: &mut SealBatch,
    context: &Context<'_>,
    salt: &[u8; SALT_LEN],
    text: &[u8],
    rows: &mut Vec<u8>,
) -> Result<(), PipelineError> {
    let mut plaintext = Zeroizing::new(Vec::with_capacity(SALT_LEN + text.len()));
    plaintext.extend_from_slice(salt);
    plaintext.extend_from_slice(text);
    let field = OpenField::open(rows);
    seal.seal(context, &plaintext, rows)?;
    field.close(rows);
    Ok(())
}

fn context<'a>(owner: TenantId, id: &'a Uuid, purpose: Purpose) -> Context<'a> {
    Context {
        tenant: owner,
        dataset: DATASET,
        entity: id.as_bytes(),
        purpose,
        version: 0,
        op: 0,
        valid_at: 0,
    }
}

fn new_salt() -> Result<[u8; SALT_LEN], PipelineError> {
    let mut salt = [0; SALT_LEN];
    rand::fill(&mut salt).map_err(|_| intelgraph_envelope::EnvelopeError::EntropyUnavailable)?;
    Ok(salt)
}
