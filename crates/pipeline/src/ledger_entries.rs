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

use crate::copy::{self, OpenField};
use crate::error::PipelineError;
use crate::opening::Opener;

/// The dataset that sealed parts of entries belong to; no tenant's dataset has the platform's key.
const DATASET: &str = "ledger";

/// What an entry says. The payload is JSON within I-JSON.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// Id and name of the tenant that it is about; the platform's own acts have none.
    pub tenant: Option<(TenantId, &'a str)>,
    /// Number and name of its kind.
    pub kind: (i16, &'a str),
    /// What it is about.
    pub subject: &'a str,
    /// Who did it, and how that is known.
    pub actor: (&'a str, &'a str),
    /// What its kind says.
    pub payload: &'a [u8],
}

/// Entries on their way into the outbox.
pub struct SealedEntries {
    /// Their ids, in order.
    pub ids: Vec<Uuid>,
    /// They, as a row of the outbox holds them ([`crate::ledger_outbox`]).
    pub packed: Vec<u8>,
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

/// Seals entries of one moment under the newest data key of `owner`, the platform.
///
/// # Errors
/// [`PipelineError::Key`]; [`PipelineError::EntryMalformed`] for a payload that is no I-JSON.
pub fn seal_entries(
    keystore: &Keystore,
    owner: TenantId,
    at_us: i64,
    entries: &[NewEntry<'_>],
    now: Tick,
) -> Result<SealedEntries, PipelineError> {
    let mut random = vec![[[0; SALT_LEN]; 3]; entries.len()];
    rand::fill(random.as_flattened_mut().as_flattened_mut())
        .map_err(|_| intelgraph_envelope::EnvelopeError::EntropyUnavailable)?;
    let texts = entries.iter().zip(&random).map(|(entry, [id, ..])| texts_of(entry, id, at_us));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let bytes: usize =
        texts.iter().map(|(_, header, payload)| 2 * SALT_LEN + header.len() + payload.len()).sum();
    let mut seal = keystore.reserve(owner, 2 * entries.len() as u64, bytes as u64, now)?;
    let index_key = keystore.index_key(owner, now)?;
    let mut rows = Vec::with_capacity(bytes + entries.len() * (160 + 2 * OVERHEAD));
    for ((entry, [_, header_salt, payload_salt]), (id, header, payload)) in
        entries.iter().zip(&random).zip(&texts)
    {
        let tenant = entry.tenant.map(|(tenant, _)| tenant);
        copy::row(&mut rows, 7);
        copy::field(&mut rows, id.as_bytes());
        match tenant {
            Some(tenant) => copy::field(&mut rows, tenant.as_bytes()),
            None => copy::null(&mut rows),
        }
        copy::field(&mut rows, &entry.kind.0.to_be_bytes());
        copy::field(&mut rows, &tag(&index_key, tenant, entry.subject).to_be_bytes());
        let commitments = OpenField::open(&mut rows);
        rows.extend_from_slice(&commit(header_salt, Domain::Header, header));
        rows.extend_from_slice(&commit(payload_salt, Domain::Payload, payload));
        commitments.close(&mut rows);
        for (purpose, salt, text) in
            [(Purpose::LedgerHeader, header_salt, header), (Purpose::LedgerPayload, payload_salt, payload)]
        {
            seal_part(&mut seal, &context(owner, id, purpose), salt, text, &mut rows)?;
        }
    }
    Ok(SealedEntries { ids: texts.into_iter().map(|(id, ..)| id).collect(), packed: rows })
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

/// Id, header and payload of an entry, both canonical (RFC 8785); `random` has enough for an id.
fn texts_of(
    entry: &NewEntry<'_>,
    random: &[u8; SALT_LEN],
    at_us: i64,
) -> Result<(Uuid, Vec<u8>, Vec<u8>), PipelineError> {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&random[..16]);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let payload = jcs(entry.payload, Limits::default())
        .map_err(|error| PipelineError::EntryMalformed { entry: id, why: error.to_string() })?;
    Ok((id, header_of(entry, &id, at_us), payload))
}

/// The header. Its names are written in the order of RFC 8785, which is that of their bytes.
fn header_of(entry: &NewEntry<'_>, id: &Uuid, at_us: i64) -> Vec<u8> {
    let mut header = Vec::with_capacity(256 + entry.subject.len());
    let put = |header: &mut Vec<u8>, before: &str, text: &str| {
        header.extend_from_slice(before.as_bytes());
        put_string(text, header);
    };
    put(&mut header, "{\"actor\":{\"method\":", entry.actor.1);
    put(&mut header, ",\"subject\":", entry.actor.0);
    header.extend_from_slice(format!("}},\"at\":{at_us},\"entry\":\"{id}\"").as_bytes());
    put(&mut header, ",\"kind\":", entry.kind.1);
    put(&mut header, ",\"subject\":", entry.subject);
    match entry.tenant {
        None => header.extend_from_slice(b",\"tenant\":null"),
        Some((tenant, name)) => {
            let id = Uuid::from_bytes(*tenant.as_bytes());
            put(&mut header, &format!(",\"tenant\":{{\"id\":\"{id}\",\"name\":"), name);
            header.push(b'}');
        }
    }
    header.extend_from_slice(b",\"v\":1}");
    header
}

/// A string as RFC 8785 §3.2.2.2 writes it.
fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            ..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_canonical_whatever_it_names() {
        for text in ["", "plain", "\u{0}\u{8}\t\n\u{c}\r\u{1f}\"\\ é \u{1F600} \u{7f}"] {
            let entry = NewEntry {
                tenant: Some((TenantId::from_bytes([7; 16]), text)),
                kind: (10, "contract.published"),
                subject: text,
                actor: (text, "jwt"),
                payload: b"{}",
            };
            for entry in [entry, NewEntry { tenant: None, ..entry }] {
                let header = header_of(&entry, &Uuid::from_bytes([3; 16]), -5);
                assert_eq!(jcs(&header, Limits::default()).unwrap(), header);
            }
        }
    }
}
