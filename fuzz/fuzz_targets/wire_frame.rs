//! Foreign bytes where frames of `IngestService.Stream` are read. What the hand-written decoder accepts, a protobuf
//! library reads as the same batch: as many records, with the same bytes.
#![no_main]

use intelgraph_pipeline::wire::{Frame, Record, Records};
use libfuzzer_sys::fuzz_target;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct DeleteEntity {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, optional, tag = "2")]
    valid_at_us: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Operation {
    #[prost(bytes, tag = "1")]
    Upsert(Vec<u8>),
    #[prost(message, tag = "2")]
    Delete(DeleteEntity),
}

#[derive(Clone, PartialEq, Message)]
struct BatchRecord {
    #[prost(oneof = "Operation", tags = "1, 2")]
    operation: Option<Operation>,
}

#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(message, repeated, tag = "2")]
    records: Vec<BatchRecord>,
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(Frame::Batch { body, .. }) = Frame::decode(bytes) else { return };
    let mut walk = Records::new(bytes, body.clone());
    let mut ours = Vec::new();
    loop {
        match walk.next() {
            Ok(Some(record)) => ours.push(record),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let Ok(theirs) = Batch::decode(&bytes[body]) else { return };
    assert_eq!(ours.len(), theirs.records.len());
    for (ours, theirs) in ours.iter().zip(&theirs.records) {
        match (ours, &theirs.operation) {
            (Record::Upsert(document), Some(Operation::Upsert(expected))) => {
                assert_eq!(&bytes[document.clone()], &expected[..]);
            }
            // A second delete in one record is merged by protobuf and replaces the first here; no writer sends one.
            (Record::Delete { .. }, Some(Operation::Delete(_))) | (Record::Empty, None) => {}
            (ours, theirs) => panic!("{ours:?} was read as {theirs:?}"),
        }
    }
});
