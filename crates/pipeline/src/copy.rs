//! Rows of `entity_change_log`, `quarantine` and `quarantine_record` in PostgreSQL's binary COPY format.
//!
//! A row of the change log is written when its batch is diffed, before its `seq` and time of recording are
//! known; [`ChangeRow`] patches them in place under the tenant's clock row, so that nothing is copied there.
//! Integers are big-endian, timestamps microseconds since 2000-01-01 UTC (PostgreSQL documentation, COPY,
//! "Binary Format"; `timestamptz_recv`).

use intelgraph_envelope::TenantId;

/// Columns of a change's row, in the order in which [`ChangeRow`] writes them.
pub const CHANGE_COLUMNS: [&str; 15] = [
    "tenant_id",
    "seq",
    "recorded",
    "valid_at",
    "entity_id",
    "dataset_id",
    "contract_id",
    "stream_no",
    "batch_sequence",
    "version",
    "op",
    "since_base",
    "leaf",
    "sealed",
    "snapshot",
];

/// Signature, flags and header extension of a binary COPY stream.
pub const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// End of a binary COPY stream.
pub const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// 2000-01-01 in microseconds since the Unix epoch.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// A time of ours as PostgreSQL's `timestamptz` sends it.
pub fn timestamp(unix_us: i64) -> [u8; 8] {
    unix_us.saturating_sub(POSTGRES_EPOCH_US).to_be_bytes()
}

/// A `timestamptz` as a time of ours.
pub fn unix_us(timestamp: i64) -> i64 {
    timestamp.saturating_add(POSTGRES_EPOCH_US)
}

/// What of a change is known when it is diffed.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// The entity's identifier.
    pub entity: &'a [u8; 16],
    /// The dataset's number within the tenant.
    pub dataset_id: i32,
    /// The contract's number within the tenant.
    pub contract_id: i32,
    /// The stream's number within the tenant.
    pub stream_no: i32,
    /// The batch's position in its stream.
    pub batch_sequence: u64,
    /// Position in the chain, or ordinal within the valid time.
    pub version: u32,
    /// Operation, 1 to 5.
    pub op: u8,
    /// Chain rows since the last base.
    pub since_base: u16,
}

// Offsets into a row: a count of fields, then each field's length and bytes, in the order of the table's columns.
const SEQ: usize = 2 + 4 + 16 + 4;
const RECORDED: usize = SEQ + 8 + 4;
const VALID_AT: usize = RECORDED + 8 + 4;
const ENTITY: usize = VALID_AT + 8 + 4;
const DATASET: usize = ENTITY + 16 + 4;
const CONTRACT: usize = DATASET + 4 + 4;
const STREAM: usize = CONTRACT + 4 + 4;
const BATCH: usize = STREAM + 4 + 4;
const VERSION: usize = BATCH + 8 + 4;
const OP: usize = VERSION + 4 + 4;
const SINCE_BASE: usize = OP + 2 + 4;
const LEAF: usize = SINCE_BASE + 2 + 4;
const SEALED: usize = LEAF + 32;

/// The bytes of every row before its sealed value, with lengths set and values zero.
const TEMPLATE: [u8; SEALED] = {
    let mut row = [0; SEALED];
    row[1] = 15;
    let mut field = 0;
    let ends =
        [SEQ, RECORDED, VALID_AT, ENTITY, DATASET, CONTRACT, STREAM, BATCH, VERSION, OP, SINCE_BASE, LEAF];
    let sizes = [8, 8, 8, 16, 4, 4, 4, 8, 4, 2, 2, 32];
    row[5] = 16;
    while field < ends.len() {
        row[ends[field] - 1] = sizes[field];
        field += 1;
    }
    row
};

/// A change's row inside a buffer of rows.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRow {
    start: usize,
}

impl ChangeRow {
    /// Appends the row up to its sealed value, whose length is still to be [closed](close_field).
    #[inline]
    pub fn open(rows: &mut Vec<u8>, change: &Change<'_>) -> Self {
        let start = rows.len();
        rows.extend_from_slice(&TEMPLATE);
        let row = &mut rows[start..];
        put(row, 6, change.tenant.as_bytes());
        put(row, ENTITY, change.entity);
        put(row, DATASET, &change.dataset_id.to_be_bytes());
        put(row, CONTRACT, &change.contract_id.to_be_bytes());
        put(row, STREAM, &change.stream_no.to_be_bytes());
        put(row, BATCH, &change.batch_sequence.to_be_bytes());
        put(row, VERSION, &change.version.to_be_bytes());
        put(row, OP, &u16::from(change.op).to_be_bytes());
        put(row, SINCE_BASE, &change.since_base.to_be_bytes());
        Self { start }
    }

    /// Sets what is known once the change is diffed.
    #[inline]
    pub fn set_since_base(self, rows: &mut [u8], since_base: u16) {
        put(&mut rows[self.start..], SINCE_BASE, &since_base.to_be_bytes());
    }

    /// Sets what is known under the clock row.
    #[inline]
    pub fn stamp(self, rows: &mut [u8], seq: u64, recorded_us: i64, valid_at_us: i64, leaf: &[u8; 32]) {
        let row = &mut rows[self.start..];
        put(row, SEQ, &seq.to_be_bytes());
        put(row, RECORDED, &timestamp(recorded_us));
        put(row, VALID_AT, &timestamp(valid_at_us));
        put(row, LEAF, leaf);
    }
}

#[inline]
fn put(row: &mut [u8], at: usize, bytes: &[u8]) {
    row[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A field whose length is not known before its bytes are written.
#[derive(Debug, Clone, Copy)]
#[must_use = "the field's length is still to be written"]
pub struct OpenField {
    length_at: usize,
}

impl OpenField {
    /// Begins a field at the end of `rows`.
    #[inline]
    pub fn open(rows: &mut Vec<u8>) -> Self {
        let length_at = rows.len();
        rows.extend_from_slice(&[0; 4]);
        Self { length_at }
    }

    /// Where the field's bytes begin.
    #[inline]
    pub fn start(self) -> usize {
        self.length_at + 4
    }

    /// Ends the field at the end of `rows`. Fields are far below PostgreSQL's limit of 1 GiB.
    #[inline]
    pub fn close(self, rows: &mut [u8]) {
        let length = u32::try_from(rows.len() - self.start()).unwrap_or(u32::MAX);
        rows[self.length_at..self.start()].copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a NULL.
#[inline]
pub fn null(rows: &mut Vec<u8>) {
    rows.extend_from_slice(&(-1i32).to_be_bytes());
}

/// Begins a row of `fields` fields.
pub fn row(rows: &mut Vec<u8>, fields: i16) {
    rows.extend_from_slice(&fields.to_be_bytes());
}

/// Appends a field.
pub fn field(rows: &mut Vec<u8>, bytes: &[u8]) {
    let field = OpenField::open(rows);
    rows.extend_from_slice(bytes);
    field.close(rows);
}

/// Reads the rows of a binary COPY stream that PostgreSQL sent. Every method gives `None` where the bytes are
/// not what they should be.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    started: bool,
}

impl<'a> Reader<'a> {
    /// Reads from the stream's beginning. No bytes at all are a stream without rows.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, started: bytes.is_empty() }
    }

    /// Reads rows that stand without the stream's header and trailer.
    pub fn of_rows(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, started: true }
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Goes to the next row, which must have `fields` fields; `Some(false)` at the end.
    pub fn next_row(&mut self, fields: i16) -> Option<bool> {
        if !self.started {
            let (header, rest) = self.rest.split_first_chunk::<19>()?;
            if header != HEADER {
                return None;
            }
            (self.rest, self.started) = (rest, true);
        }
        if self.rest.is_empty() {
            return Some(false);
        }
        match i16::from_be_bytes(self.take()?) {
            -1 => {
                self.rest = &[];
                Some(false)
            }
            count => (count == fields).then_some(true),
        }
    }

    /// The next field; `Some(None)` for NULL.
    pub fn field(&mut self) -> Option<Option<&'a [u8]>> {
        let length = i32::from_be_bytes(self.take()?);
        if length == -1 {
            return Some(None);
        }
        let (field, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(Some(field))
    }

    /// The next field, which is `N` bytes long.
    pub fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.field()??.try_into().ok()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits one row into its fields as PostgreSQL does.
    fn fields(row: &[u8]) -> Vec<Option<Vec<u8>>> {
        let count = i16::from_be_bytes([row[0], row[1]]);
        let mut at = 2;
        let fields = (0..count)
            .map(|_| {
                let length = i32::from_be_bytes(row[at..at + 4].try_into().unwrap());
                at += 4;
                let length = usize::try_from(length).ok()?;
                at += length;
                Some(row[at - length..at].to_vec())
            })
            .collect();
        assert_eq!(at, row.len());
        fields
    }

    #[test]
    fn a_row_reads_back_field_by_field() {
        let change = Change {
            tenant: TenantId::from_bytes([1; 16]),
            entity: &[2; 16],
            dataset_id: 3,
            contract_id: 4,
            stream_no: 5,
            batch_sequence: 6,
            version: 7,
            op: 2,
            since_base: 8,
        };
        let mut rows = vec![];
        let row = ChangeRow::open(&mut rows, &change);
        let sealed = OpenField::open(&mut rows);
        rows.extend_from_slice(b"sealed");
        sealed.close(&mut rows);
        null(&mut rows);
        row.stamp(&mut rows, 9, POSTGRES_EPOCH_US + 10, POSTGRES_EPOCH_US - 11, &[12; 32]);
        let expected: Vec<Option<Vec<u8>>> = vec![
            Some(vec![1; 16]),
            Some(9i64.to_be_bytes().to_vec()),
            Some(10i64.to_be_bytes().to_vec()),
            Some((-11i64).to_be_bytes().to_vec()),
            Some(vec![2; 16]),
            Some(3i32.to_be_bytes().to_vec()),
            Some(4i32.to_be_bytes().to_vec()),
            Some(5i32.to_be_bytes().to_vec()),
            Some(6i64.to_be_bytes().to_vec()),
            Some(7i32.to_be_bytes().to_vec()),
            Some(2i16.to_be_bytes().to_vec()),
            Some(8i16.to_be_bytes().to_vec()),
            Some(vec![12; 32]),
            Some(b"sealed".to_vec()),
            None,
        ];
        assert_eq!(fields(&rows), expected);
    }
}
