//! The wire of `IngestService.Stream`, decoded without copying.
//!
//! A frame is looked at twice: [`Frame::decode`] tells an open, a batch and a refresh apart and finds the
//! batch's sequence; [`Records`] walks the batch's records, each a range into the same bytes. Field numbers are
//! those of `proto/intelgraph/gateway/v1/ingest.proto`. Unknown fields are passed over, as protobuf demands; the
//! one deviation is that a frame may carry its `oneof` only once, because merging two halves of a batch
//! (protobuf's rule for repeated singular messages) would need a copy and no writer does it.

use std::ops::Range;

use prost::Message;

/// Why bytes are not a frame. Offsets count from the start of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A varint is longer than ten bytes or ends early.
    #[error("malformed protobuf: bad varint at byte {0}")]
    Varint(u32),
    /// A length or a fixed-size field reaches beyond the message.
    #[error("malformed protobuf: field at byte {0} reaches beyond its message")]
    Truncated(u32),
    /// A tag has field number 0, a group or an unassigned wire type.
    #[error("malformed protobuf: bad tag at byte {0}")]
    Tag(u32),
    /// A known field has another wire type than its definition.
    #[error("malformed protobuf: field at byte {0} has another type than the proto file gives it")]
    Type(u32),
    /// The frame carries its message twice.
    #[error("malformed protobuf: the frame at byte {0} carries a second message")]
    Repeated(u32),
    /// The frame carries no message.
    #[error("the frame is empty: send open, batch or refresh")]
    Empty,
}

type Result<T> = std::result::Result<T, WireError>;

/// What a frame carries; ranges are into the frame's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// An `OpenStream` message.
    Open(Range<usize>),
    /// A `Batch` message and its sequence (0 if unset).
    Batch {
        /// The batch's position in its stream.
        sequence: u64,
        /// The batch's bytes.
        body: Range<usize>,
    },
    /// A `RefreshToken` message.
    Refresh(Range<usize>),
}

impl Frame {
    /// Tells what `bytes`, a `StreamRequest`, carries.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new(bytes, 0..bytes.len());
        let mut found = None;
        while let Some(field) = fields.next()? {
            if !(1..=3).contains(&field.number) {
                continue;
            }
            let body = field.bytes()?;
            if found.replace((field.number, body)).is_some() {
                return Err(WireError::Repeated(offset(field.start)));
            }
        }
        match found {
            Some((1, body)) => Ok(Self::Open(body)),
            Some((2, body)) => Ok(Self::Batch { sequence: sequence_of(bytes, body.clone())?, body }),
            Some((_, body)) => Ok(Self::Refresh(body)),
            None => Err(WireError::Empty),
        }
    }
}

/// Finds the sequence of a batch; it is the first field as every writer serialises it, so this is O(1) there.
fn sequence_of(bytes: &[u8], body: Range<usize>) -> Result<u64> {
    let mut fields = Fields::new(bytes, body);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            return field.varint();
        }
    }
    Ok(0)
}

/// One record of a batch; ranges are into the frame's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A whole JSON document.
    Upsert(Range<usize>),
    /// A removal by key.
    Delete {
        /// The key as JSON.
        key: Range<usize>,
        /// When the entity ceased, in microseconds since the Unix epoch.
        valid_at: Option<i64>,
    },
    /// A record without an operation.
    Empty,
}

/// Iterates the records of a batch.
#[derive(Debug)]
pub struct Records<'a>(Fields<'a>);

impl<'a> Records<'a> {
    /// Starts at the first record of `body`, a range that [`Frame::decode`] gave.
    pub fn new(bytes: &'a [u8], body: Range<usize>) -> Self {
        Self(Fields::new(bytes, body))
    }

    /// The next record, `None` at the end.
    // Not an Iterator: a malformed batch ends at its first error, and `?` says so best.
    #[allow(clippy::should_implement_trait)]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Record>> {
        while let Some(field) = self.0.next()? {
            if field.number == 2 {
                return record(self.0.bytes, field.bytes()?).map(Some);
            }
        }
        Ok(None)
    }
}

#[inline]
fn record(bytes: &[u8], body: Range<usize>) -> Result<Record> {
    let mut fields = Fields::new(bytes, body);
    let mut record = Record::Empty;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => record = Record::Upsert(field.bytes()?),
            2 => record = delete(bytes, field.bytes()?)?,
            _ => {}
        }
    }
    Ok(record)
}

fn delete(bytes: &[u8], body: Range<usize>) -> Result<Record> {
    let mut key = body.start..body.start;
    let mut valid_at = None;
    let mut fields = Fields::new(bytes, body);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => key = field.bytes()?,
            2 => valid_at = Some(field.varint()?.cast_signed()),
            _ => {}
        }
    }
    Ok(Record::Delete { key, valid_at })
}

/// The fields of one protobuf message.
#[derive(Debug)]
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

struct Field {
    number: u64,
    start: usize,
    value: FieldValue,
}

enum FieldValue {
    Varint(u64),
    Bytes(Range<usize>),
    Fixed,
}

impl Field {
    #[inline]
    fn bytes(&self) -> Result<Range<usize>> {
        match &self.value {
            FieldValue::Bytes(range) => Ok(range.clone()),
            _ => Err(WireError::Type(offset(self.start))),
        }
    }

    #[inline]
    fn varint(&self) -> Result<u64> {
        match self.value {
            FieldValue::Varint(value) => Ok(value),
            _ => Err(WireError::Type(offset(self.start))),
        }
    }
}

impl<'a> Fields<'a> {
    #[inline]
    fn new(bytes: &'a [u8], body: Range<usize>) -> Self {
        Self { bytes, at: body.start, end: body.end }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Field>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || tag > u64::from(u32::MAX) {
            return Err(WireError::Tag(offset(start)));
        }
        let value = match tag & 7 {
            0 => FieldValue::Varint(self.varint()?),
            1 => self.skip(8, start)?,
            2 => {
                let length = self.varint()?;
                let from = self.at;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated(offset(start)))?;
                self.skip(length, start)?;
                FieldValue::Bytes(from..self.at)
            }
            5 => self.skip(4, start)?,
            _ => return Err(WireError::Tag(offset(start))),
        };
        Ok(Some(Field { number, start, value }))
    }

    #[inline]
    fn skip(&mut self, length: usize, start: usize) -> Result<FieldValue> {
        if length > self.end - self.at {
            return Err(WireError::Truncated(offset(start)));
        }
        self.at += length;
        Ok(FieldValue::Fixed)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            if self.at >= self.end {
                break;
            }
            let byte = self.bytes[self.at];
            self.at += 1;
            // The tenth byte holds one bit; protobuf writers never set more, and readers drop what overflows.
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Varint(offset(start)))
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// `BatchAck` of the proto file.
#[derive(Clone, PartialEq, Message)]
pub struct Ack {
    /// Sequence of the batch.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    /// Records stored as changes.
    #[prost(uint32, tag = "2")]
    pub accepted: u32,
    /// Records that say what was already known.
    #[prost(uint32, tag = "3")]
    pub unchanged: u32,
    /// Records that the log already holds.
    #[prost(uint32, tag = "4")]
    pub duplicate: u32,
    /// Records that break the contract.
    #[prost(uint32, tag = "5")]
    pub quarantined: u32,
    /// Sequence of the first change, 0 if none.
    #[prost(uint64, tag = "6")]
    pub first_change_seq: u64,
    /// Sequence of the last change, 0 if none.
    #[prost(uint64, tag = "7")]
    pub last_change_seq: u64,
    /// Time of recording, microseconds since the Unix epoch.
    #[prost(int64, tag = "8")]
    pub recorded_us: i64,
    /// Names the quarantine entry, empty if none.
    #[prost(string, tag = "9")]
    pub quarantine_id: String,
    /// Credit that flows back, in bytes.
    #[prost(uint64, tag = "10")]
    pub credit_bytes: u64,
    /// Of the records stored as changes, those that break the contract.
    #[prost(uint32, tag = "11")]
    pub warned: u32,
    /// Names the entry with the report on them, empty if there are none.
    #[prost(string, tag = "12")]
    pub stored_id: String,
}

/// `StreamResponse` of the proto file, with the one arm that is built here.
#[derive(Clone, PartialEq, Message)]
pub struct AckResponse {
    /// The acknowledgement.
    #[prost(message, optional, tag = "2")]
    pub ack: Option<Ack>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct PDelete {
        #[prost(bytes = "vec", tag = "1")]
        key: Vec<u8>,
        #[prost(int64, optional, tag = "2")]
        valid_at: Option<i64>,
    }
    #[derive(Clone, PartialEq, prost::Oneof)]
    enum POperation {
        #[prost(bytes, tag = "1")]
        Upsert(Vec<u8>),
        #[prost(message, tag = "2")]
        Delete(PDelete),
    }
    #[derive(Clone, PartialEq, Message)]
    struct PRecord {
        #[prost(oneof = "POperation", tags = "1, 2")]
        operation: Option<POperation>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct PBatch {
        #[prost(uint64, tag = "1")]
        sequence: u64,
        #[prost(message, repeated, tag = "2")]
        records: Vec<PRecord>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct PRequest {
        #[prost(message, optional, tag = "2")]
        batch: Option<PBatch>,
    }

    fn records(bytes: &[u8]) -> Result<(u64, Vec<Record>)> {
        let Frame::Batch { sequence, body } = Frame::decode(bytes)? else { panic!("not a batch") };
        let mut walk = Records::new(bytes, body);
        let mut all = vec![];
        while let Some(record) = walk.next()? {
            all.push(record);
        }
        Ok((sequence, all))
    }

    fn request(records: Vec<PRecord>) -> Vec<u8> {
        PRequest { batch: Some(PBatch { sequence: 7, records }) }.encode_to_vec()
    }

    #[test]
    fn reads_what_a_protobuf_library_writes() {
        let bytes = request(vec![
            PRecord { operation: Some(POperation::Upsert(b"{\"a\":1}".to_vec())) },
            PRecord {
                operation: Some(POperation::Delete(PDelete { key: b"\"k\"".to_vec(), valid_at: Some(-5) })),
            },
            PRecord { operation: None },
        ]);
        let (sequence, all) = records(&bytes).unwrap();
        assert_eq!(sequence, 7);
        let [Record::Upsert(document), Record::Delete { key, valid_at }, Record::Empty] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!(&bytes[document.clone()], b"{\"a\":1}");
        assert_eq!((&bytes[key.clone()], *valid_at), (&b"\"k\""[..], Some(-5)));
    }

    #[test]
    fn every_truncation_is_refused_or_shorter() {
        let bytes = request(vec![PRecord { operation: Some(POperation::Upsert(vec![b'x'; 300])) }]);
        for end in 0..bytes.len() {
            assert!(Frame::decode(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn refuses_groups_second_messages_and_wrong_types() {
        assert_eq!(Frame::decode(&[]), Err(WireError::Empty));
        assert_eq!(Frame::decode(&[0x0b, 0x0c]), Err(WireError::Tag(0)));
        assert_eq!(Frame::decode(&[0x12, 0, 0x12, 0]), Err(WireError::Repeated(2)));
        assert_eq!(Frame::decode(&[0x10, 1]), Err(WireError::Type(0)));
        assert_eq!(Frame::decode(&[0x80; 11]), Err(WireError::Varint(0)));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_prost_on_any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            // Whatever we read, prost reads too: our decoder may only be stricter (groups, repeated oneof).
            if let Ok(Frame::Batch { body, .. }) = Frame::decode(&bytes) {
                let mut walk = Records::new(&bytes, body.clone());
                let mut count = 0;
                let ours = loop {
                    match walk.next() {
                        Ok(Some(_)) => count += 1,
                        Ok(None) => break Ok(count),
                        Err(error) => break Err(error),
                    }
                };
                if let (Ok(count), Ok(theirs)) = (ours, PBatch::decode(&bytes[body])) {
                    assert_eq!(theirs.records.len(), count);
                }
            }
        }
    }
}
