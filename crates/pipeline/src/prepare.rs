//! The first crossing: from the bytes of a frame to records that satisfy their contract.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use intelgraph_contract::{Report, ReportLimits, Rule, Violation};
use intelgraph_envelope::IndexKey;
use intelgraph_json::{Kind, Root, Tape, Value};
use intelgraph_temporal::changed_members;

use crate::error::PipelineError;
use crate::fetch::Supplied;
use crate::heads::{EntityKey, Heads};
use crate::stream::Stream;
use crate::warning::{Enforcement, Warning};
use crate::wire::{Frame, Record, Records};
use crate::workbench::Workbench;

/// Bytes that a frame was received as; shared, never copied.
pub type Source = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a batch may measure.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Records in a batch.
    pub records: u32,
    /// Violations that a report tells apart.
    pub report: ReportLimits,
}

/// A batch whose records were checked, ready to be diffed as often as it takes.
pub struct Prepared {
    pub(crate) stream: Arc<Stream>,
    source: Source,
    pub(crate) sequence: u64,
    tape: Tape,
    pub(crate) items: Vec<Item>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) report: Report,
    /// What becomes of records that break the contract.
    pub(crate) enforcement: Enforcement,
    /// Items that break the contract and are stored all the same, by index.
    pub(crate) warnings: Vec<Warning>,
    pub(crate) supplied: Mutex<Supplied>,
    records: u32,
    limits: BatchLimits,
}

/// A record that is to be compared with what is known of its entity: it satisfies its contract, or the batch has a
/// warning about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    /// Its index in the batch.
    pub index: u32,
    pub key: EntityKey,
    /// Its event time; `None` where the time of recording counts.
    pub valid_at: Option<i64>,
    pub content: ItemContent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ItemContent {
    Upsert(Root),
    Delete,
}

/// A record that breaks its contract and is not stored.
#[derive(Debug, Clone)]
pub(crate) struct Rejected {
    /// Its index in the batch.
    pub index: u32,
    /// Where it stands in the frame: the document, or the key of a delete.
    pub bytes: Range<usize>,
}

impl Prepared {
    /// The batch's position in its stream.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Number of records as received.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Size of the frame in bytes.
    pub fn size(&self) -> usize {
        self.bytes().len()
    }

    /// The stream that the batch came on.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        (*self.source).as_ref()
    }

    pub(crate) fn value(&self, root: Root) -> Value<'_> {
        self.tape.value(self.bytes(), root)
    }

    /// What is wrong with an item, if anything is.
    #[inline]
    pub(crate) fn warning(&self, item: &Item) -> Option<&Warning> {
        let found = self.warnings.binary_search_by_key(&item.index, |warning| warning.index);
        found.ok().map(|position| &self.warnings[position])
    }

    /// A report on nothing yet, within the bounds of this batch's.
    pub(crate) fn empty_report(&self) -> Report {
        Report::new(&self.stream.contract, self.limits.report)
    }

    /// Where `part`, a slice of the frame, stands in it.
    pub(crate) fn span(&self, part: &[u8]) -> Range<usize> {
        span(self.bytes(), part)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("sequence", &self.sequence)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// Decodes and parses a frame, and finds each record's entity and event time.
pub(crate) fn read(
    bench: &mut Workbench,
    stream: Arc<Stream>,
    source: Source,
    index_key: &IndexKey,
    limits: BatchLimits,
    enforcement: Enforcement,
    now_us: i64,
) -> Result<Prepared, PipelineError> {
    let bytes = (*source).as_ref();
    let Frame::Batch { sequence, body } = Frame::decode(bytes)? else {
        return Err(PipelineError::Wire(crate::wire::WireError::Empty));
    };
    let mut reading = Reading {
        bench,
        stream: &stream,
        bytes,
        index_key,
        now_us,
        tape: Tape::for_source(bytes.len()),
        items: Vec::new(),
        rejected: Vec::new(),
        report: Report::new(&stream.contract, limits.report),
    };
    let mut walk = Records::new(bytes, body);
    let mut records = 0;
    while let Some(record) = walk.next()? {
        if records == limits.records {
            return Err(PipelineError::TooManyRecords { limit: limits.records });
        }
        reading.take(records, &record);
        records += 1;
    }
    let Reading { tape, items, rejected, report, .. } = reading;
    Ok(Prepared {
        stream,
        source,
        sequence,
        tape,
        items,
        rejected,
        report,
        enforcement,
        warnings: Vec::new(),
        supplied: Mutex::default(),
        records,
        limits,
    })
}

struct Reading<'a> {
    bench: &'a mut Workbench,
    stream: &'a Stream,
    bytes: &'a [u8],
    index_key: &'a IndexKey,
    now_us: i64,
    tape: Tape,
    items: Vec<Item>,
    rejected: Vec<Rejected>,
    report: Report,
}

impl Reading<'_> {
    fn take(&mut self, index: u32, record: &Record) {
        let (bytes, read) = match record {
            Record::Upsert(bytes) => (bytes.clone(), self.upsert(index, bytes.clone())),
            Record::Delete { key, valid_at } => (key.clone(), self.delete(index, key.clone(), *valid_at)),
            Record::Empty => (0..0, Err(Box::new(Violation::of_rule(Rule::RecordNotObject, "", "", None)))),
        };
        match read {
            Ok(item) => self.items.push(item),
            Err(violation) => {
                self.report.add(u64::from(index), *violation);
                self.rejected.push(Rejected { index, bytes });
            }
        }
    }

    #[inline]
    fn upsert(&mut self, index: u32, bytes: Range<usize>) -> Result<Item, Box<Violation>> {
        let root = self
            .bench
            .parser
            .parse(&mut self.tape, self.bytes, bytes)
            .map_err(|error| Box::new(error.into()))?;
        let value = self.tape.value(self.bytes, root);
        if value.kind() != Kind::Object {
            return Err(Box::new(Violation::of_rule(Rule::RecordNotObject, "", "", Some(value))));
        }
        self.bench.key.clear();
        self.stream.contract.entity_key(value, &mut self.bench.key)?;
        let valid_at = self.stream.contract.event_time(value, self.now_us)?;
        Ok(Item { index, key: self.entity(), valid_at, content: ItemContent::Upsert(root) })
    }

    fn delete(
        &mut self,
        index: u32,
        key: Range<usize>,
        valid_at: Option<i64>,
    ) -> Result<Item, Box<Violation>> {
        let root = self
            .bench
            .parser
            .parse(&mut self.tape, self.bytes, key)
            .map_err(|error| Box::new(error.into()))?;
        self.bench.key.clear();
        let value = self.tape.value(self.bytes, root);
        self.stream.contract.entity_key_of_delete(value, &mut self.bench.key)?;
        let skew_us = i64::from(self.stream.contract.document().sla.future_skew_ms) * 1000;
        if valid_at.is_some_and(|valid_at| valid_at > self.now_us.saturating_add(skew_us)) {
            return Err(Box::new(Violation::of_rule(Rule::EventTimeFuture, "", "/sla/futureSkewMs", None)));
        }
        Ok(Item { index, key: self.entity(), valid_at, content: ItemContent::Delete })
    }

    #[inline]
    fn entity(&self) -> EntityKey {
        let entity_type = &self.stream.contract.document().mapping.entity.entity_type;
        let entity = *self.index_key.entity_id(entity_type, &self.bench.key).as_bytes();
        EntityKey { dataset_id: self.stream.dataset_id, entity }
    }
}

/// Which records the heads vouch for: all that changed against a head that passed the same contract satisfies
/// it. The rest is left to be validated in full. A head that was stored with a warning passed nothing.
///
/// Sound with any version of the entity, not only the newest: a field-local rule holds of a field whatever the
/// other fields are, and the contract says itself whether all its rules are of that kind.
pub(crate) fn vouched(heads: &Heads, batch: &Prepared, bench: &mut Workbench) -> Vec<bool> {
    let contract = &batch.stream.contract;
    let mut changed = Vec::new();
    batch
        .items
        .iter()
        .map(|item| {
            let ItemContent::Upsert(root) = item.content else { return true };
            let Some(entry) = heads.peek(&item.key) else { return false };
            let Some(head) = entry.head.as_ref().filter(|_| entry.contract_id == batch.stream.contract_id)
            else {
                return false;
            };
            let value = batch.value(root);
            let keys_differ = changed_members(head, value, &mut bench.canonical, &mut changed);
            // A document that lost members is validated in full: that is rare, and simpler to be sure of.
            !keys_differ && contract.is_valid_changed(changed.iter().copied(), []) == Some(true)
        })
        .collect()
}

/// Validates in full what nobody vouched for. What fails is taken out of the batch, or noted with a warning.
pub(crate) fn validate(batch: &mut Prepared, vouched: &[bool]) {
    let contract = Arc::clone(&batch.stream.contract);
    let mut items = std::mem::take(&mut batch.items);
    let mut position = 0;
    items.retain(|item| {
        position += 1;
        let ItemContent::Upsert(root) = item.content else { return true };
        let value = batch.tape.value((*batch.source).as_ref(), root);
        if vouched.get(position - 1) == Some(&true) || contract.is_valid(value) {
            return true;
        }
        let index = u64::from(item.index);
        if batch.enforcement == Enforcement::Warn {
            let mut report = Report::new(&contract, batch.limits.report);
            contract.explain(index, value, &mut report);
            batch.warnings.push(Warning::new(item.index, report));
            return true;
        }
        contract.explain(index, value, &mut batch.report);
        batch
            .rejected
            .push(Rejected { index: item.index, bytes: span((*batch.source).as_ref(), value.raw()) });
        false
    });
    batch.items = items;
    batch.rejected.sort_by_key(|rejected| rejected.index);
}

/// Where `part`, a slice of `whole`, stands in it.
fn span(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}
