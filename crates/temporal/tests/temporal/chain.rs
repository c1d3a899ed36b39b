//! Rebuilding heads from chains of stored changes.

use crate::documents::{Doc, Parsed, document, versions};
use intelgraph_temporal::{
    ChainError, ChainRow, DiffError, Differ, Head, KeyedArrays, Operation, Outcome, SNAPSHOT_EVERY,
    needs_snapshot, rebuild, write_snapshot,
};
use proptest::prelude::*;

const SEED: u64 = 0x1d;
const SALT: [u8; 16] = [7; 16];

/// A row that owns its plaintexts, and the head that it leads to.
struct Stored {
    operation: Operation,
    change: Vec<u8>,
    snapshot: Option<Vec<u8>>,
    head: Option<Head>,
}

/// Writes a chain as the pipeline does: unchanged documents leave no row, `None` deletes.
fn store(versions: &[Option<Doc>], snapshots: bool) -> Vec<Stored> {
    let (mut differ, keyed) = (Differ::default(), KeyedArrays::default());
    let (mut rows, mut head): (Vec<Stored>, Option<Head>) = (Vec::new(), None);
    let (mut since_base, mut diff_bytes) = (0, 0);
    for version in versions {
        let mut change = SALT.to_vec();
        let (operation, next) = match (version, &head) {
            (Some(document), old) => {
                let parsed = Parsed::new(document.text());
                match differ.diff(old.as_ref(), parsed.value(), &keyed, SEED, &mut change).unwrap() {
                    Outcome::Unchanged => continue,
                    Outcome::Changed { head, .. } if old.is_some() => (Operation::Update, Some(head)),
                    Outcome::Changed { head, .. } => (Operation::Insert, Some(head)),
                }
            }
            (None, Some(old)) => {
                differ.deletion(old, &mut change);
                (Operation::Delete, None)
            }
            (None, None) => continue,
        };
        (since_base, diff_bytes) = match operation {
            Operation::Insert => (0, 0),
            _ => (since_base + 1, diff_bytes + change.len() as u64 - 16),
        };
        let length = next.as_ref().map_or(0, |head| head.json().len());
        let snapshot = next.as_ref().filter(|_| snapshots && needs_snapshot(since_base, diff_bytes, length));
        let snapshot = snapshot.map(|head| {
            let mut plaintext = Vec::new();
            write_snapshot(Some(head), &mut plaintext);
            plaintext
        });
        if snapshot.is_some() {
            (since_base, diff_bytes) = (0, 0);
        }
        rows.push(Stored { operation, change, snapshot, head: next.clone() });
        head = next;
    }
    rows
}

impl Stored {
    fn row(&self) -> ChainRow<'_> {
        ChainRow { operation: self.operation, change: &self.change, snapshot: self.snapshot.as_deref() }
    }
}

fn rows(stored: &[Stored]) -> Vec<ChainRow<'_>> {
    stored.iter().map(Stored::row).collect()
}

/// A history of one entity: documents that differ much or little, and deletes.
fn history() -> impl Strategy<Value = Vec<Option<Doc>>> {
    let step = prop_oneof![
        6 => versions().prop_map(|(one, other)| vec![Some(one), Some(other)]),
        2 => document().prop_map(|document| vec![Some(document)]),
        1 => Just(vec![None]),
    ];
    prop::collection::vec(step, 1..12).prop_map(|steps| steps.concat())
}

proptest! {
    #[test]
    fn every_version_can_be_rebuilt(history in history(), snapshots in any::<bool>()) {
        let stored = store(&history, snapshots);
        let rows = rows(&stored);
        for end in 1..=rows.len() {
            prop_assert_eq!(&rebuild(&rows[..end], SEED).unwrap(), &stored[end - 1].head);
        }
        // From any base on gives the same as from the first.
        if let Some(last) = stored.last() {
            for (at, row) in stored.iter().enumerate() {
                if row.snapshot.is_some() || row.operation == Operation::Insert {
                    prop_assert_eq!(&rebuild(&rows[at..], SEED).unwrap(), &last.head);
                }
            }
        }
    }

    #[test]
    fn a_missing_or_repeated_row_is_seen(history in history(), at in any::<prop::sample::Index>()) {
        let stored = store(&history, false);
        let mut rows = rows(&stored);
        if rows.len() < 2 {
            return Ok(());
        }
        let at = at.index(rows.len() - 1);
        let mut repeated = rows.clone();
        repeated.insert(at, rows[at]);
        rows.remove(at);
        // Rebuilding begins at the last insert; what is missing before that is for the tree to tell.
        let base = stored.iter().rposition(|row| row.operation == Operation::Insert).unwrap();
        if at >= base {
            let last = &stored.last().unwrap().head;
            prop_assert!(rebuild(&rows, SEED).map_or(true, |head| head != *last));
            let is_insert = stored[at].operation == Operation::Insert;
            prop_assert!(is_insert || rebuild(&repeated, SEED).is_err());
        }
    }
}

#[test]
fn a_snapshot_comes_every_32_versions_or_once_the_diffs_are_longer() {
    assert_eq!([31, 32].map(|since_base| needs_snapshot(since_base, 0, 1000)), [false, true]);
    assert_eq!([1000, 1001].map(|bytes| needs_snapshot(1, bytes, 1000)), [false, true]);
    // Documents of 60 fields of which one changes: the diffs stay short, the count decides.
    let fields = (0..60).map(|at| (format!("field{at:02}"), Doc::Text("x".repeat(30)))).collect::<Vec<_>>();
    let version = |number: i64| {
        let mut fields = fields.clone();
        fields[30].1 = Doc::Signed(number);
        Some(Doc::Object(fields))
    };
    let stored = store(&(0..100).map(version).collect::<Vec<_>>(), true);
    let bases = stored.iter().enumerate().filter(|(_, row)| row.snapshot.is_some()).map(|(at, _)| at as u32);
    assert_eq!(bases.collect::<Vec<_>>(), [SNAPSHOT_EVERY, 2 * SNAPSHOT_EVERY, 3 * SNAPSHOT_EVERY]);
}

/// Three versions, the second with a snapshot.
fn three() -> Vec<Stored> {
    let version = |number| Some(Doc::Object(vec![("n".into(), Doc::Signed(number))]));
    let mut stored = store(&[version(1), version(2), version(3)], false);
    let mut snapshot = Vec::new();
    write_snapshot(stored[1].head.as_ref(), &mut snapshot);
    stored[1].snapshot = Some(snapshot);
    stored
}

#[test]
fn rows_that_do_not_fit_are_named() {
    let stored = three();
    let base = rows(&stored);
    let refused = |change: &dyn Fn(&mut Vec<ChainRow<'_>>)| {
        let mut rows = base.clone();
        change(&mut rows);
        rebuild(&rows, SEED).unwrap_err()
    };
    assert_eq!(rebuild(&base, SEED).unwrap(), stored[2].head);
    assert_eq!(rebuild(&base[2..], SEED), Err(ChainError::NoBase));
    assert_eq!(rebuild(&[], SEED), Err(ChainError::NoBase));
    let at = |row, error| ChainError::Row { row, error };
    // A snapshot of another version, and one in a diff's place.
    assert_eq!(refused(&|rows| rows[1].snapshot = Some(b"\x01{\"n\":9}")), at(1, DiffError::HashDiffers));
    assert_eq!(
        refused(&|rows| rows[2].change = rows[1].snapshot.unwrap()),
        at(2, DiffError::Malformed { at: 8 })
    );
    assert_eq!(
        refused(&|rows| rows[2].change = rows[1].change),
        at(2, DiffError::OldValueDiffers { operation: 0 })
    );
    assert_eq!(refused(&|rows| rows[1].snapshot = Some(b"\x01[]")), at(1, DiffError::NotADocument));
    // Operations that the row before does not allow.
    for operation in [Operation::LateUpsert, Operation::LateDelete] {
        assert_eq!(refused(&|rows| rows[2].operation = operation), ChainError::OutOfPlace { row: 2 });
    }
    assert_eq!(refused(&|rows| rows[2].operation = Operation::Delete), ChainError::OutOfPlace { row: 2 });
}
