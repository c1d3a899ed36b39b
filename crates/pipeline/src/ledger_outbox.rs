//! Entries of the ledger on their way from the outbox, where those of one act lie packed in one row, to the log.
//!
//! Packed means: one after the other, each as the fields of a row in PostgreSQL's binary COPY format, in the order of
//! [`PACKED_FIELDS`]. So an entry is written once by whoever seals it, and copied, not read, on its way.

use hashbrown::HashMap;

use crate::copy::{self, HEADER, Reader, TRAILER};
use crate::error::PipelineError;

/// Fields of a packed entry, in order.
pub const PACKED_FIELDS: [&str; 7] =
    ["entry_id", "tenant_id", "kind", "subject_tag", "commitments", "header", "payload"];

/// Columns of the log's table, in the order in which its rows are written here: what the log adds, then the entry.
pub const ENTRY_COLUMNS: [&str; 9] = [
    "index",
    "sequenced",
    PACKED_FIELDS[0],
    PACKED_FIELDS[1],
    PACKED_FIELDS[2],
    PACKED_FIELDS[3],
    PACKED_FIELDS[4],
    PACKED_FIELDS[5],
    PACKED_FIELDS[6],
];

/// Entries with their place in the log.
#[derive(Debug)]
pub struct Sequenced {
    /// Of each, in order: to its header and to its payload, 32 bytes each.
    pub commitments: Vec<u8>,
    /// A binary COPY stream of [`ENTRY_COLUMNS`].
    pub rows: Vec<u8>,
}

/// Gives packed entries the indexes from `first_index` on.
///
/// # Errors
/// [`PipelineError::Unreadable`] for what no act packed.
pub fn sequence(packed: &[u8], first_index: u64, sequenced_us: i64) -> Result<Sequenced, PipelineError> {
    let mut rows = EntryRows::of(packed.len(), first_index, sequenced_us);
    let mut commitments = Vec::new();
    for entry in entries_of(packed)? {
        commitments.extend_from_slice(entry.commitments);
        rows.put(entry.fields);
    }
    Ok(Sequenced { commitments, rows: rows.finish() })
}

/// What the outbox of a restored database still holds of entries whose commitments come back from the log's tiles.
#[derive(Debug, Default)]
pub struct Replay {
    /// The fields of each entry, and the row of the outbox that it is of, by its commitments.
    entries: HashMap<[u8; 64], (Vec<u8>, i64)>,
    /// Entries of each row: how many there are, and how many of them were replayed.
    acts: HashMap<i64, (usize, usize)>,
    /// How many were replayed.
    found: usize,
}

impl Replay {
    /// Takes the outbox's rows, id and packed entries each.
    ///
    /// # Errors
    /// [`PipelineError::Unreadable`].
    pub fn new<'a>(outbox: impl IntoIterator<Item = (i64, &'a [u8])>) -> Result<Self, PipelineError> {
        let mut replay = Self::default();
        for (id, packed) in outbox {
            let entries = entries_of(packed)?;
            replay.acts.insert(id, (entries.len(), 0));
            for entry in entries {
                replay.entries.insert(*entry.commitments, (entry.fields.to_vec(), id));
            }
        }
        Ok(replay)
    }

    /// A binary COPY stream of [`ENTRY_COLUMNS`] for entries with these commitments, with the indexes from
    /// `first_index` on: whole where the outbox has the entry, else its commitments and nothing else.
    pub fn rows(&mut self, commitments: &[[u8; 64]], first_index: u64, sequenced_us: i64) -> Vec<u8> {
        let mut rows = EntryRows::of(commitments.len() * 64, first_index, sequenced_us);
        let mut bare = Vec::new();
        for pair in commitments {
            if let Some((fields, id)) = self.entries.remove(pair) {
                rows.put(&fields);
                self.found += 1;
                if let Some((_, replayed)) = self.acts.get_mut(&id) {
                    *replayed += 1;
                }
                continue;
            }
            bare.clear();
            for field in PACKED_FIELDS {
                if field == "commitments" { copy::field(&mut bare, pair) } else { copy::null(&mut bare) }
            }
            rows.put(&bare);
        }
        rows.finish()
    }

    /// How many entries the outbox had.
    #[must_use]
    pub fn found(&self) -> usize {
        self.found
    }

    /// The rows all of whose entries were replayed. `None` where one was in part: the acts that are in the log are
    /// there whole, so that outbox is not what this log was fed from.
    #[must_use]
    pub fn emptied(&self) -> Option<Vec<i64>> {
        let mut emptied = Vec::new();
        for (id, (entries, replayed)) in &self.acts {
            match *replayed {
                0 => {}
                whole if whole == *entries => emptied.push(*id),
                _ => return None,
            }
        }
        Some(emptied)
    }
}

/// A COPY stream in the making.
struct EntryRows {
    rows: Vec<u8>,
    index: u64,
    sequenced: [u8; 8],
}

impl EntryRows {
    /// With room for entries whose fields have so many bytes.
    fn of(bytes: usize, first_index: u64, sequenced_us: i64) -> Self {
        let mut rows = Vec::with_capacity(bytes + bytes / 8 + HEADER.len());
        rows.extend_from_slice(HEADER);
        Self { rows, index: first_index, sequenced: copy::timestamp(sequenced_us) }
    }

    fn put(&mut self, fields: &[u8]) {
        copy::row(&mut self.rows, 9);
        copy::field(&mut self.rows, &self.index.to_be_bytes());
        copy::field(&mut self.rows, &self.sequenced);
        self.rows.extend_from_slice(fields);
        self.index += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        self.rows.extend_from_slice(&TRAILER);
        self.rows
    }
}

struct Packed<'a> {
    /// Its fields, without their count.
    fields: &'a [u8],
    commitments: &'a [u8; 64],
}

fn entries_of(packed: &[u8]) -> Result<Vec<Packed<'_>>, PipelineError> {
    let mut reader = Reader::of_rows(packed);
    let mut entries = Vec::new();
    while !reader.rest().is_empty() {
        let row = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        entries.push(next_entry(&mut reader).ok_or(PipelineError::Unreadable { row })?);
    }
    Ok(entries)
}

fn next_entry<'a>(reader: &mut Reader<'a>) -> Option<Packed<'a>> {
    if !reader.next_row(7)? {
        return None;
    }
    let rest = reader.rest();
    reader.fixed::<16>()?;
    reader.field()?;
    reader.fixed::<2>()?;
    reader.fixed::<8>()?;
    let commitments = reader.field()??.try_into().ok()?;
    reader.field()??;
    reader.field()??;
    Some(Packed { fields: &rest[..rest.len() - reader.rest().len()], commitments })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, tenant: Option<[u8; 16]>) -> Vec<u8> {
        let mut packed = Vec::new();
        copy::row(&mut packed, 7);
        copy::field(&mut packed, &[number; 16]);
        match tenant {
            Some(tenant) => copy::field(&mut packed, &tenant),
            None => copy::null(&mut packed),
        }
        copy::field(&mut packed, &10i16.to_be_bytes());
        copy::field(&mut packed, &7i64.to_be_bytes());
        copy::field(&mut packed, &[number; 64]);
        copy::field(&mut packed, b"header");
        copy::field(&mut packed, b"payload");
        packed
    }

    /// Index, time, id and header of a row.
    type Row = (u64, i64, Option<u8>, Option<Vec<u8>>);

    fn read(rows: &[u8]) -> Vec<Row> {
        let mut reader = Reader::new(rows);
        let mut read = Vec::new();
        while reader.next_row(9).unwrap() {
            let index = u64::from_be_bytes(reader.fixed().unwrap());
            let sequenced = copy::unix_us(i64::from_be_bytes(reader.fixed().unwrap()));
            let fields: Vec<_> = PACKED_FIELDS.iter().map(|_| reader.field().unwrap()).collect();
            read.push((index, sequenced, fields[0].map(|id| id[0]), fields[5].map(<[u8]>::to_vec)));
        }
        read
    }

    #[test]
    fn packed_entries_get_indexes_in_order() {
        let packed = [entry(1, None), entry(2, Some([9; 16]))].concat();
        let sequenced = sequence(&packed, 40, 1_000_000).unwrap();
        assert_eq!(sequenced.commitments, [[1u8; 64], [2; 64]].concat());
        let header = Some(b"header".to_vec());
        assert_eq!(
            read(&sequenced.rows),
            [(40, 1_000_000, Some(1), header.clone()), (41, 1_000_000, Some(2), header)]
        );
    }

    #[test]
    fn what_no_act_packed_is_refused_whole() {
        let whole = [entry(1, None), entry(2, None)].concat();
        for end in 1..whole.len() {
            let cut = sequence(&whole[..end], 0, 0);
            assert_eq!(cut.is_err(), end != whole.len() / 2, "cut at {end}");
        }
        for end in [TRAILER.to_vec(), vec![0], entry(3, None)[..20].to_vec()] {
            assert!(sequence(&[whole.clone(), end].concat(), 0, 0).is_err());
        }
    }

    #[test]
    fn a_replay_fills_in_what_the_outbox_has() {
        let acts = [(5, [entry(1, None), entry(2, None)].concat()), (6, entry(4, None))];
        let mut replay = Replay::new(acts.iter().map(|(id, packed)| (*id, packed.as_slice()))).unwrap();
        let header = Some(b"header".to_vec());
        assert_eq!(read(&replay.rows(&[[1; 64]], 7, 0)), [(7, 0, Some(1), header.clone())]);
        assert_eq!(replay.emptied(), None, "an act was replayed in part");
        assert_eq!(
            read(&replay.rows(&[[2; 64], [3; 64]], 8, 0)),
            [(8, 0, Some(2), header), (9, 0, None, None)]
        );
        assert_eq!((replay.found(), replay.emptied()), (2, Some(vec![5])));
    }
}
