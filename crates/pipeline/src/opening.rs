//! Rows of the change log as queries answer them, and the opening of what is sealed in them.
//!
//! A row is in PostgreSQL's binary COPY format: seq, recorded, valid_at, entity_id, dataset_id, version, op,
//! since_base, sealed, snapshot; for a reader also contract_id; for who checks the tree also leaf. Every value is
//! opened in the context that its own row names, so that one which was moved, or put in another's place, does
//! not open.

use std::sync::Arc;

use hashbrown::HashSet;
use intelgraph_envelope::{
    Context, DekId, Envelope, EnvelopeError, Keystore, OpeningKey, Purpose, TenantId, Tick,
};
use intelgraph_temporal::{ChainRow, ChangePlaintext, Hash, Head, Operation, rebuild};
use zeroize::Zeroizing;

use crate::copy::unix_us;
use crate::error::{Corruption, PipelineError};

/// Which fields the rows of an answer have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fields {
    /// Those that rebuild a head.
    Head,
    /// And the contract, for those who read.
    Version,
    /// And the leaf, for those who check the tree.
    Leaf,
}

/// A row of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub seq: u64,
    pub recorded_us: i64,
    pub valid_at: i64,
    pub entity: [u8; 16],
    pub dataset_id: i32,
    pub version: u32,
    pub operation: Operation,
    pub since_base: u16,
    pub sealed: &'a [u8],
    pub snapshot: Option<&'a [u8]>,
    /// 0 where the query does not answer it.
    pub contract_id: i32,
    /// The stored leaf, where the query answers it; of any length.
    pub leaf: &'a [u8],
}

impl Row<'_> {
    pub fn corrupt(&self, fault: impl Into<Corruption>) -> PipelineError {
        PipelineError::Corrupt { seq: self.seq, fault: fault.into() }
    }
}

/// Reads the rows of an answer.
pub(crate) struct Rows<'a> {
    copy: crate::copy::Reader<'a>,
    fields: Fields,
    number: u32,
}

impl<'a> Rows<'a> {
    pub fn new(bytes: &'a [u8], fields: Fields) -> Self {
        Self { copy: crate::copy::Reader::new(bytes), fields, number: 0 }
    }

    /// All of them.
    pub fn all(bytes: &'a [u8], fields: Fields) -> Result<Vec<Row<'a>>, PipelineError> {
        Self::new(bytes, fields).collect()
    }

    fn row(&mut self) -> Option<Option<Row<'a>>> {
        let count = match self.fields {
            Fields::Head => 10,
            Fields::Version => 11,
            Fields::Leaf => 12,
        };
        if !self.copy.next_row(count)? {
            return Some(None);
        }
        let seq = u64::from_be_bytes(self.copy.fixed()?);
        let recorded_us = unix_us(i64::from_be_bytes(self.copy.fixed()?));
        let valid_at = unix_us(i64::from_be_bytes(self.copy.fixed()?));
        let entity = self.copy.fixed()?;
        let dataset_id = i32::from_be_bytes(self.copy.fixed()?);
        let version = u32::from_be_bytes(self.copy.fixed()?);
        let operation = Operation::from_number(u8::try_from(u16::from_be_bytes(self.copy.fixed()?)).ok()?)?;
        let since_base = u16::from_be_bytes(self.copy.fixed()?);
        let sealed = self.copy.field()??;
        let snapshot = self.copy.field()?;
        let contract_id = if count > 10 { i32::from_be_bytes(self.copy.fixed()?) } else { 0 };
        let leaf = if count > 11 { self.copy.field()?? } else { &[] };
        self.number += 1;
        Some(Some(Row {
            seq,
            recorded_us,
            valid_at,
            entity,
            dataset_id,
            version,
            operation,
            since_base,
            sealed,
            snapshot,
            contract_id,
            leaf,
        }))
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.row() {
            Some(row) => row.map(Ok),
            None => Some(Err(PipelineError::Unreadable { row: self.number })),
        }
    }
}

/// The data keys that the sealed values of some rows name, each once. What is no envelope is left for
/// [`Opener::open`] to refuse.
pub(crate) fn keys_of<'a>(rows: impl IntoIterator<Item = &'a Row<'a>>) -> Vec<DekId> {
    let sealed = rows.into_iter().flat_map(|row| [Some(row.sealed), row.snapshot]).flatten();
    let ids = sealed.filter_map(|sealed| Envelope::parse(sealed).ok()).map(|envelope| envelope.dek_id());
    ids.collect::<HashSet<_>>().into_iter().collect()
}

/// Opens the sealed values of one tenant's rows; keeps the key of the last one, which most rows share.
pub(crate) struct Opener<'a> {
    keystore: &'a Keystore,
    pub tenant: TenantId,
    now: Tick,
    last: Option<Arc<OpeningKey>>,
}

impl<'a> Opener<'a> {
    pub fn new(keystore: &'a Keystore, tenant: TenantId, now: Tick) -> Self {
        Self { keystore, tenant, now, last: None }
    }

    /// Opens `sealed`, the value of `row` for `purpose`.
    ///
    /// # Errors
    /// [`PipelineError::Corrupt`] for what does not open in its place or names a key that does not exist;
    /// [`PipelineError::Key`].
    pub fn open(
        &mut self,
        row: &Row<'_>,
        dataset: &str,
        sealed: &[u8],
        purpose: Purpose,
    ) -> Result<Zeroizing<Vec<u8>>, PipelineError> {
        let context = Context {
            tenant: self.tenant,
            dataset,
            entity: &row.entity,
            purpose,
            version: u64::from(row.version),
            op: row.operation.number(),
            valid_at: row.valid_at,
        };
        self.open_in(&context, sealed)?.map_err(|fault| row.corrupt(fault))
    }

    /// Opens a value in its context. The inner error says what is wrong with the value, the outer one that the
    /// key cannot be had now.
    pub fn open_in(
        &mut self,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<Result<Zeroizing<Vec<u8>>, EnvelopeError>, PipelineError> {
        let envelope = match Envelope::parse(sealed) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Err(error)),
        };
        let id = envelope.dek_id();
        let key = match self.last.take_if(|key| key.id() == id) {
            Some(key) => key,
            None => match self.keystore.opening_key(self.tenant, id, self.now) {
                Err(EnvelopeError::DataKeyNotFound) => return Ok(Err(EnvelopeError::DataKeyNotFound)),
                key => key?,
            },
        };
        let mut plaintext = Zeroizing::new(Vec::with_capacity(envelope.plaintext_len()));
        let opened = key.open(context, &envelope, &mut plaintext);
        self.last = Some(key);
        match opened {
            Ok(_) => Ok(Ok(plaintext)),
            Err(EnvelopeError::LeaseExpired) => Err(EnvelopeError::LeaseExpired.into()),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The seed of the tenant's content hashes.
    pub fn seed(&self) -> Result<u64, PipelineError> {
        Ok(self.keystore.index_key(self.tenant, self.now)?.content_hash_seed())
    }
}

/// The document after some rows of one entity's chain, from a base on and without a gap.
pub(crate) struct Rebuilt {
    /// `None` after a delete.
    pub head: Option<Head>,
    /// Bytes of the changes after the base.
    pub diff_bytes: u64,
    /// Whether the last row stores a record that breaks its contract.
    pub warned: bool,
}

/// Rebuilds the document that the last of `rows` led to; the first is its base.
///
/// # Errors
/// [`PipelineError::Corrupt`] naming the row that does not follow, open or apply; [`PipelineError::Key`].
pub(crate) fn rebuild_chain(
    rows: &[Row<'_>],
    dataset: &str,
    opener: &mut Opener<'_>,
    seed: u64,
) -> Result<Rebuilt, PipelineError> {
    let mut opened = Vec::with_capacity(rows.len());
    for (since_base, row) in rows.iter().enumerate() {
        let expected = usize::from(row.since_base) == since_base
            && row.version as usize == rows[0].version as usize + since_base;
        if !row.operation.in_chain() || !expected {
            return Err(row.corrupt(Corruption::Chain));
        }
        let change = opener.open(row, dataset, row.sealed, Purpose::Diff)?;
        let snapshot =
            row.snapshot.map(|sealed| opener.open(row, dataset, sealed, Purpose::Snapshot)).transpose()?;
        opened.push((row.operation, change, snapshot));
    }
    let diff_bytes = opened.iter().skip(1).map(|(_, change, _)| change.len() as u64).sum();
    let links: Vec<ChainRow<'_>> = opened
        .iter()
        .map(|(operation, change, snapshot)| ChainRow {
            operation: *operation,
            change,
            snapshot: snapshot.as_ref().map(|snapshot| &snapshot[..]),
        })
        .collect();
    let newest = rows.last().map_or(0, |row| row.seq);
    let head = rebuild(&links, seed)
        .map_err(|_| PipelineError::Corrupt { seq: newest, fault: Corruption::Chain })?;
    let newest = opened.last().and_then(|(_, change, _)| ChangePlaintext::parse(change).ok());
    let warned = newest.is_some_and(|change| change.report.is_some());
    Ok(Rebuilt { head, diff_bytes, warned })
}

/// The stored leaf of a row, if it has a leaf's length.
pub(crate) fn leaf_of(row: &Row<'_>) -> Option<Hash> {
    row.leaf.try_into().ok()
}
