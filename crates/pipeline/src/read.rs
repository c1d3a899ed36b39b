//! What a reader asks for: from rows of the change log to encoded messages of `entity.proto`.
//!
//! Each answer is the part of its response that comes from rows, as protobuf; the few fields that do not
//! (`as_of_seq`, `next_page_token`, `resume_after_seq`) are encoded by the caller, and the two follow each
//! other: protobuf messages concatenate.
//!
//! A row that does not open in its place, a version that does not follow from the one before and a change that is
//! missing between two others are refused by name ([`PipelineError::Corrupt`]). That the *newest* rows are
//! missing only the tree over the log shows ([`crate::LogCheck`]).

use std::collections::VecDeque;

use hashbrown::HashMap;
use intelgraph_contract::{Contract, Violation};
use intelgraph_envelope::{DekId, EntityId, Keystore, Purpose, TenantId, Tick};
use intelgraph_json::{Limits, Parser, Tape};
use intelgraph_temporal::{
    ChangePlaintext, DiffError, Differ, Head, Outcome, absence, apply, to_json_patch, to_list,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Corruption, PipelineError};
use crate::message::{self, Field, Value};
use crate::opening::{Fields, Opener, Row, Rows, keys_of, rebuild_chain};
use crate::stream::keyed_arrays;

/// A page of a history and a message of the feed end at the entry that takes them beyond this, in bytes: what
/// gRPC's clients take is 4 MiB unless they ask for more, and an entry of usual size fits twice over.
pub const PAGE_BYTES: usize = 2 << 20;

/// An encoded message with plaintext in it; wiped when dropped.
pub type Encoded = Zeroizing<Vec<u8>>;

/// The names that numbers in rows stand for, of one tenant. Both kinds are only ever added to.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Names of datasets by their number.
    pub datasets: HashMap<i32, Box<str>>,
    /// Digests of contracts by their number.
    pub contracts: HashMap<i32, [u8; 32]>,
}

impl Catalogue {
    /// Whether it has a name for every number in `rows`, of eleven fields.
    ///
    /// # Errors
    /// [`PipelineError::Unreadable`].
    pub fn covers(&self, rows: &[u8]) -> Result<bool, PipelineError> {
        let rows = Rows::all(rows, Fields::Version)?;
        Ok(rows.iter().all(|row| self.names(row).is_ok()))
    }

    pub(crate) fn dataset(&self, row: &Row<'_>) -> Result<&str, PipelineError> {
        self.datasets.get(&row.dataset_id).map(|name| &**name).ok_or_else(|| row.corrupt(Corruption::Name))
    }

    fn names(&self, row: &Row<'_>) -> Result<(&str, &[u8; 32]), PipelineError> {
        let digest = self.contracts.get(&row.contract_id).ok_or_else(|| row.corrupt(Corruption::Name))?;
        Ok((self.dataset(row)?, digest))
    }
}

/// The data keys that `rows`, of eleven fields, need to be opened, each once.
///
/// # Errors
/// [`PipelineError::Unreadable`].
pub fn keys_needed(rows: &[u8]) -> Result<Vec<DekId>, PipelineError> {
    Ok(keys_of(&Rows::all(rows, Fields::Version)?))
}

/// The identifier of the entity that `key`, JSON as a delete names it, stands for under a contract.
///
/// # Errors
/// [`PipelineError::Key`]; the inner error is what is wrong with the key, without its value.
pub fn entity_id(
    keystore: &Keystore,
    tenant: TenantId,
    contract: &Contract,
    key: &[u8],
    now: Tick,
) -> Result<Result<EntityId, Box<Violation>>, PipelineError> {
    let index_key = keystore.index_key(tenant, now)?;
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let mut typed = Zeroizing::new(Vec::with_capacity(key.len() + 64));
    let root = match parser.parse(&mut tape, key, 0..key.len()) {
        Ok(root) => root,
        Err(error) => return Ok(Err(Box::new(error.into()))),
    };
    let entity_type = &contract.document().mapping.entity.entity_type;
    let written = contract.entity_key_of_delete(tape.value(key, root), &mut typed);
    Ok(written.map(|()| index_key.entity_id(entity_type, &typed)))
}

/// A part of the feed.
#[derive(Debug)]
pub struct FeedPart {
    /// `ChangesResponse.entries`.
    pub entries: Encoded,
    /// The last of them.
    pub last_seq: u64,
}

/// A page of a history.
#[derive(Debug)]
pub struct HistoryPart {
    /// `HistoryResponse.entries`.
    pub entries: Encoded,
    /// Valid time and `seq` of the last of them, if the rows went on and the page was full.
    pub cut_after: Option<(i64, u64)>,
}

/// Answers from rows of one tenant's log. For one call: it holds keys.
pub struct LogReader<'a> {
    opener: Opener<'a>,
    catalogue: &'a Catalogue,
    seed: u64,
}

impl<'a> LogReader<'a> {
    /// Reads with the keys of `keystore`, which must have been loaded.
    ///
    /// # Errors
    /// [`PipelineError::Key`].
    pub fn new(
        keystore: &'a Keystore,
        tenant: TenantId,
        catalogue: &'a Catalogue,
        now: Tick,
    ) -> Result<Self, PipelineError> {
        let opener = Opener::new(keystore, tenant, now);
        let seed = opener.seed()?;
        Ok(Self { opener, catalogue, seed })
    }

    /// `GetResponse.version`: the version that the last of `rows` is, rebuilt from its base, the first.
    ///
    /// # Errors
    /// [`PipelineError::Corrupt`], [`PipelineError::Unreadable`], [`PipelineError::Key`].
    pub fn version(&mut self, rows: &[u8]) -> Result<Encoded, PipelineError> {
        let mut out = Encoded::default();
        if let Some(version) = self.rebuilt(&Rows::all(rows, Fields::Version)?)? {
            self.put_version(1, &version, &mut out)?;
        }
        Ok(out)
    }

    /// The report on the record that the last of `rows` stores, JSON (`ig.report.v1`); `None` if it broke nothing.
    ///
    /// # Errors
    /// As [`version`](Self::version).
    pub fn report(&mut self, rows: &[u8]) -> Result<Option<Encoded>, PipelineError> {
        let rows = Rows::all(rows, Fields::Version)?;
        let Some(newest) = rows.last() else { return Ok(None) };
        let opened = self.opened(newest)?;
        Ok(opened.change()?.report.map(|report| Encoded::new(report.to_vec())))
    }

    /// `DiffResponse` without `as_of_seq`: both versions, where there were any, and what leads from one to the
    /// other. `contract` names the keyed arrays.
    ///
    /// # Errors
    /// As [`version`](Self::version).
    pub fn difference(
        &mut self,
        from: &[u8],
        to: &[u8],
        contract: &Contract,
    ) -> Result<Encoded, PipelineError> {
        let from = self.rebuilt(&Rows::all(from, Fields::Version)?)?;
        let to = self.rebuilt(&Rows::all(to, Fields::Version)?)?;
        fn document<'v>(version: &'v Option<Version<'_>>) -> Option<&'v Head> {
            version.as_ref().and_then(|version| version.document.as_ref())
        }
        let diff = difference(document(&from), document(&to), contract, self.seed)?;
        let (mut patch, mut list) = (Encoded::default(), Encoded::default());
        to_json_patch(&diff, &mut patch)?;
        to_list(&diff, &mut list)?;
        let mut out = Encoded::default();
        for (number, version) in [(1, &from), (2, &to)] {
            if let Some(version) = version {
                self.put_version(number, version, &mut out)?;
            }
        }
        put(&[(3, Value::Bytes(&patch)), (4, Value::Bytes(&list))], &mut out);
        Ok(out)
    }

    /// `HistoryResponse.entries`: the versions in `rows`, newest first, as many as fit. `chain` are the chain rows
    /// before the oldest chain row among them, back to its base, oldest first.
    ///
    /// # Errors
    /// As [`version`](Self::version).
    pub fn history(
        &mut self,
        rows: &[u8],
        chain: &[u8],
        with_documents: bool,
    ) -> Result<HistoryPart, PipelineError> {
        let rows = Rows::all(rows, Fields::Version)?;
        let page: Vec<_> = rows.iter().map(|row| self.opened(row)).collect::<Result<_, _>>()?;
        check_order(&page)?;
        let mut documents = VecDeque::new();
        if with_documents {
            documents = self.documents(&page, &Rows::all(chain, Fields::Version)?)?;
        }
        let mut entries = Encoded::default();
        let mut last = None;
        for opened in &page {
            let document = match (with_documents, opened.row.operation.in_chain()) {
                (false, _) => None,
                (true, false) => self.of_late(opened)?,
                (true, true) => match documents.pop_back() {
                    Some(document) => document,
                    None => return Ok(HistoryPart { entries, cut_after: last }),
                },
            };
            if entries.len() > PAGE_BYTES {
                return Ok(HistoryPart { entries, cut_after: last });
            }
            self.put_entry(opened, document.as_ref(), &mut entries)?;
            last = Some((opened.row.valid_at, opened.row.seq));
        }
        Ok(HistoryPart { entries, cut_after: None })
    }

    /// `ChangesResponse.entries`, in parts: the changes in `rows`, by `seq`. With `after_seq` they are all of the
    /// tenant's after that.
    ///
    /// # Errors
    /// As [`version`](Self::version); [`PipelineError::Corrupt`] too for a change that is missing.
    pub fn changes(&mut self, rows: &[u8], after_seq: Option<u64>) -> Result<Vec<FeedPart>, PipelineError> {
        let mut parts: Vec<FeedPart> = Vec::new();
        let mut before = after_seq;
        for row in Rows::new(rows, Fields::Version) {
            let opened = self.opened(&row?)?;
            let seq = opened.row.seq;
            if let Some(before) =
                before.replace(seq).filter(|before| before + 1 != seq && after_seq.is_some())
            {
                return Err(PipelineError::Corrupt { seq: before + 1, fault: Corruption::Missing });
            }
            if parts.last().is_none_or(|part| part.entries.len() > PAGE_BYTES) {
                parts.push(FeedPart { entries: Encoded::default(), last_seq: seq });
            }
            if let Some(part) = parts.last_mut() {
                self.put_entry(&opened, None, &mut part.entries)?;
                part.last_seq = seq;
            }
        }
        Ok(parts)
    }

    /// The version that the last of `rows` is; `None` without rows.
    fn rebuilt<'r>(&mut self, rows: &[Row<'r>]) -> Result<Option<Version<'r>>, PipelineError> {
        let Some(newest) = rows.last() else { return Ok(None) };
        let (document, warned) = if newest.operation.in_chain() {
            let dataset = self.catalogue.dataset(newest)?;
            let rebuilt = rebuild_chain(rows, dataset, &mut self.opener, self.seed)?;
            (rebuilt.head, rebuilt.warned)
        } else {
            let opened = self.opened(newest)?;
            (self.of_late(&opened)?, opened.change()?.report.is_some())
        };
        Ok(Some(Version { row: *newest, document, warned }))
    }

    fn opened<'r>(&mut self, row: &Row<'r>) -> Result<Opened<'r>, PipelineError> {
        let dataset = self.catalogue.dataset(row)?;
        Ok(Opened { row: *row, change: self.opener.open(row, dataset, row.sealed, Purpose::Diff)? })
    }

    /// The document of a late version, which is stored whole.
    fn of_late(&self, opened: &Opened<'_>) -> Result<Option<Head>, PipelineError> {
        apply(None, opened.change()?.diff, self.seed).map_err(|error| opened.row.corrupt(error))
    }

    /// The documents of the chain rows in `page`, newest last; the oldest are left out where together they are
    /// more than a page. `chain` leads to the oldest of them.
    fn documents(
        &mut self,
        page: &[Opened<'_>],
        chain: &[Row<'_>],
    ) -> Result<VecDeque<Option<Head>>, PipelineError> {
        let mut wanted = page.iter().rev().filter(|opened| opened.row.operation.in_chain());
        let mut kept = VecDeque::new();
        let Some(oldest) = wanted.next() else { return Ok(kept) };
        let dataset = self.catalogue.dataset(&oldest.row)?;
        let rows = [chain, &[oldest.row]].concat();
        let mut document = rebuild_chain(&rows, dataset, &mut self.opener, self.seed)?.head;
        let mut bytes = 0;
        loop {
            bytes += document.as_ref().map_or(0, Head::weight);
            kept.push_back(document.clone());
            while bytes > PAGE_BYTES && kept.len() > 1 {
                bytes -= kept.pop_front().flatten().as_ref().map_or(0, Head::weight);
            }
            let Some(next) = wanted.next() else { return Ok(kept) };
            document = apply(document.as_ref(), next.change()?.diff, self.seed)
                .map_err(|error| next.row.corrupt(error))?;
        }
    }

    fn put_entry(
        &self,
        opened: &Opened<'_>,
        document: Option<&Head>,
        out: &mut Encoded,
    ) -> Result<(), PipelineError> {
        let mut list = Encoded::default();
        let change = opened.change()?;
        to_list(change.diff, &mut list).map_err(|error| opened.row.corrupt(error))?;
        let id = Uuid::from_bytes(opened.row.entity).to_string();
        let version = self.version_fields(&opened.row, &id, document, change.report.is_some())?;
        put(&[(1, Value::Message(&[(1, Value::Message(&version)), (2, Value::Bytes(&list))]))], out);
        Ok(())
    }

    fn put_version(&self, number: u8, version: &Version<'_>, out: &mut Encoded) -> Result<(), PipelineError> {
        let Version { row, document, warned } = version;
        let id = Uuid::from_bytes(row.entity).to_string();
        put(&[(number, Value::Message(&self.version_fields(row, &id, document.as_ref(), *warned)?))], out);
        Ok(())
    }

    /// The fields of `EntityVersion`.
    fn version_fields<'v>(
        &'v self,
        row: &Row<'_>,
        id: &'v str,
        document: Option<&'v Head>,
        warned: bool,
    ) -> Result<[Field<'v>; 10], PipelineError> {
        let (dataset, digest) = self.catalogue.names(row)?;
        Ok([
            (1, Value::Bytes(id.as_bytes())),
            (2, Value::Bytes(dataset.as_bytes())),
            (3, Value::Number(row.seq)),
            (4, Value::Number(u64::from(row.version))),
            (5, Value::Number(u64::from(row.operation.number()))),
            (6, Value::Number(row.recorded_us.cast_unsigned())),
            (7, Value::Number(row.valid_at.cast_unsigned())),
            (8, Value::Bytes(digest)),
            (9, Value::Bytes(document.map_or(&[], Head::json))),
            (10, Value::Number(u64::from(warned))),
        ])
    }
}

/// A row and what it led to.
struct Version<'r> {
    row: Row<'r>,
    /// `None` after a delete.
    document: Option<Head>,
    /// Whether the record broke its contract and was stored all the same.
    warned: bool,
}

/// A row and the plaintext of its change.
struct Opened<'r> {
    row: Row<'r>,
    change: Zeroizing<Vec<u8>>,
}

impl Opened<'_> {
    fn change(&self) -> Result<ChangePlaintext<'_>, PipelineError> {
        ChangePlaintext::parse(&self.change).map_err(|error| self.row.corrupt(error))
    }
}

/// Refuses a page, newest first, in which a version of the chain is missing.
fn check_order(page: &[Opened<'_>]) -> Result<(), PipelineError> {
    let mut chain = page.iter().map(|opened| &opened.row).filter(|row| row.operation.in_chain());
    let Some(mut newer) = chain.next() else { return Ok(()) };
    for older in chain {
        if older.version.checked_add(1) != Some(newer.version) {
            return Err(newer.corrupt(Corruption::Chain));
        }
        newer = older;
    }
    Ok(())
}

/// The encoded diff that leads from one document to another.
fn difference(
    from: Option<&Head>,
    to: Option<&Head>,
    contract: &Contract,
    seed: u64,
) -> Result<Zeroizing<Vec<u8>>, DiffError> {
    let (mut differ, mut diff) = (Differ::default(), Zeroizing::new(Vec::new()));
    match (from, to) {
        (Some(from), None) => differ.deletion(from, &mut diff),
        (from, Some(to)) => {
            // The document passed narrower limits when it came.
            let limits = Limits { max_bytes: u32::MAX, max_depth: Limits::DEEPEST };
            let (mut parser, mut tape) = (Parser::new(limits), Tape::default());
            let root = parser
                .parse(&mut tape, to.json(), 0..to.json().len())
                .map_err(|error| DiffError::Malformed { at: error.offset as usize })?;
            let document = tape.value(to.json(), root);
            if let Outcome::Unchanged =
                differ.diff(from, document, &keyed_arrays(contract), seed, &mut diff)?
            {
                absence(&mut diff);
            }
        }
        (None, None) => absence(&mut diff),
    }
    Ok(diff)
}

fn put(fields: &[Field<'_>], out: &mut Encoded) {
    out.reserve(message::length(fields));
    message::write(fields, out);
}
