//! Whether stored entries of the ledger say what was committed to, each in its own row.

use hashbrown::HashMap;
use intelgraph_envelope::{DekId, Keystore, TenantId, Tick};
use intelgraph_json::{Limits, Parser, Tape};
use uuid::Uuid;

use crate::copy::Reader;
use crate::error::PipelineError;
use crate::ledger_entries::{EntryOpener, subject_tag};

/// Something in a row that was not written so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFinding {
    /// Index of the entry.
    pub index: i64,
    /// What is wrong with it, for people.
    pub message: String,
}

/// A row of `ledger_entry`: the fields that a check reads, in order.
struct Row<'a> {
    index: i64,
    id: Option<Uuid>,
    tenant: Option<TenantId>,
    kind: Option<i16>,
    subject_tag: Option<i64>,
    commitments: &'a [u8],
    header: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
}

/// The data keys that `rows` need to be opened, each once.
///
/// # Errors
/// [`PipelineError::Unreadable`].
pub fn keys_needed(rows: &[u8]) -> Result<Vec<DekId>, PipelineError> {
    let sealed = rows_of(rows)?.into_iter().flat_map(|row| [row.header, row.payload]).flatten();
    let ids = sealed
        .filter_map(|sealed| intelgraph_envelope::Envelope::parse(sealed).ok())
        .map(|envelope| envelope.dek_id());
    Ok(ids.collect::<hashbrown::HashSet<_>>().into_iter().collect())
}

/// Opens every row that is not erased, and compares it with its commitments and its columns. `kinds` are the names of
/// the kinds by number.
///
/// # Errors
/// [`PipelineError::Unreadable`], [`PipelineError::Key`].
pub fn check_entries(
    keystore: &Keystore,
    owner: TenantId,
    rows: &[u8],
    kinds: &HashMap<i16, String>,
    now: Tick,
) -> Result<Vec<EntryFinding>, PipelineError> {
    let mut opener = EntryOpener::new(keystore, owner, now);
    let mut findings = Vec::new();
    for row in rows_of(rows)? {
        let index = row.index;
        if let Some(message) = fault_of(&row, &mut opener, keystore, owner, kinds, now)? {
            findings.push(EntryFinding { index, message });
        }
    }
    Ok(findings)
}

fn fault_of(
    row: &Row<'_>,
    opener: &mut EntryOpener<'_>,
    keystore: &Keystore,
    owner: TenantId,
    kinds: &HashMap<i16, String>,
    now: Tick,
) -> Result<Option<String>, PipelineError> {
    let (Some(header), Some(payload), Some(id)) = (row.header, row.payload, row.id) else {
        let emptied = row.header.is_none() && row.payload.is_none();
        return Ok((!emptied).then(|| "a part of it is gone, and not the whole".into()));
    };
    let opened = match opener.open(id, row.commitments, header, payload) {
        Ok(opened) => opened,
        Err(PipelineError::EntryAltered { what, .. }) => return Ok(Some(what.into())),
        Err(error) => return Err(error),
    };
    let mut tape = Tape::default();
    let Ok(root) = Parser::new(Limits::default()).parse(&mut tape, &opened.header, 0..opened.header.len())
    else {
        return Ok(Some("its header is not JSON".into()));
    };
    let header = tape.value(&opened.header, root);
    let text = |name: &str| header.get(name).and_then(|value| value.as_str());
    let kind = row.kind.and_then(|number| kinds.get(&number));
    let tenant = header.get("tenant").and_then(|tenant| tenant.get("id")).and_then(|id| id.as_str());
    let tenant =
        tenant.and_then(|id| Uuid::try_parse(&id).ok()).map(|id| TenantId::from_bytes(id.into_bytes()));
    let subject = text("subject").unwrap_or_default();
    Ok(if text("entry").as_deref() != Some(id.to_string().as_str()) {
        Some("its id is not the one in its header".into())
    } else if kind.is_none() || text("kind").as_deref() != kind.map(String::as_str) {
        Some("its kind is not the one in its header".into())
    } else if tenant != row.tenant {
        Some("its tenant is not the one in its header".into())
    } else if row.subject_tag != Some(subject_tag(keystore, owner, tenant, &subject, now)?) {
        Some("its subject tag is not that of the subject in its header".into())
    } else {
        None
    })
}

fn rows_of(bytes: &[u8]) -> Result<Vec<Row<'_>>, PipelineError> {
    let mut reader = Reader::new(bytes);
    let mut rows = Vec::new();
    loop {
        let number = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        match next_row(&mut reader) {
            Some(Some(row)) => rows.push(row),
            Some(None) => return Ok(rows),
            None => return Err(PipelineError::Unreadable { row: number }),
        }
    }
}

/// The next row; `Some(None)` at the end, `None` for what is no row.
fn next_row<'a>(reader: &mut Reader<'a>) -> Option<Option<Row<'a>>> {
    if !reader.next_row(8)? {
        return Some(None);
    }
    let index = i64::from_be_bytes(reader.fixed()?);
    let id = optional(reader.field()?)?.map(Uuid::from_bytes);
    let tenant = optional(reader.field()?)?.map(TenantId::from_bytes);
    let kind = optional(reader.field()?)?.map(i16::from_be_bytes);
    let subject_tag = optional(reader.field()?)?.map(i64::from_be_bytes);
    let commitments = reader.field()??;
    let (header, payload) = (reader.field()?, reader.field()?);
    Some(Some(Row { index, id, tenant, kind, subject_tag, commitments, header, payload }))
}

/// The bytes of a field that has as many, or is NULL.
fn optional<const N: usize>(field: Option<&[u8]>) -> Option<Option<[u8; N]>> {
    field.map_or(Some(None), |bytes| bytes.try_into().ok().map(Some))
}
