//! Versions of one document, separated by NUL; an empty one deletes. Each diff must lead there and back, every
//! export must say the same, and the chain must rebuild to the last version.
#![no_main]

use intelgraph_json::{Limits, Parser, Pointer, Tape};
use intelgraph_temporal::{
    ChainRow, Differ, Head, KeyedArrays, Operation, Outcome, apply, apply_json_patch, rebuild, revert,
    to_json_patch, to_list, to_merge_patch,
};
use libfuzzer_sys::fuzz_target;

const SEED: u64 = 0x1d;

fuzz_target!(|bytes: &[u8]| {
    let mut keyed = KeyedArrays::default();
    keyed.insert(&Pointer::parse("/a").expect("a pointer"), "k");
    keyed.insert(&Pointer::parse("/a/-/b").expect("a pointer"), "k");
    let (mut parser, mut differ) = (Parser::new(Limits::default()), Differ::default());
    let (mut rows, mut head): (Vec<(Operation, Vec<u8>)>, Option<Head>) = (Vec::new(), None);
    for version in bytes.split(|&byte| byte == 0).take(8) {
        let mut change = vec![0; 16];
        let (operation, next) = if version.is_empty() {
            let Some(old) = &head else { continue };
            differ.deletion(old, &mut change);
            (Operation::Delete, None)
        } else {
            let mut tape = Tape::default();
            let Ok(root) = parser.parse(&mut tape, version, 0..version.len()) else { continue };
            let document = tape.value(version, root);
            let Ok(expected) = Head::of_value(document) else { continue };
            match differ.diff(head.as_ref(), document, &keyed, SEED, &mut change).expect("an object") {
                Outcome::Unchanged => {
                    assert!(head == Some(expected));
                    continue;
                }
                Outcome::Changed { head: next, .. } => {
                    assert!(next == expected && head.as_ref() != Some(&next));
                    (if head.is_some() { Operation::Update } else { Operation::Insert }, Some(next))
                }
            }
        };
        let diff = &change[16..];
        assert!(apply(head.as_ref(), diff, SEED) == Ok(next.clone()));
        assert!(revert(next.as_ref(), diff, SEED) == Ok(head.clone()));
        if let (Some(old), Some(new)) = (&head, &next) {
            check_exports(old, new, diff);
        }
        rows.push((operation, change));
        head = next;
    }
    let rows =
        rows.iter().map(|(operation, change)| ChainRow { operation: *operation, change, snapshot: None });
    let rows = rows.collect::<Vec<_>>();
    assert!(rows.is_empty() || rebuild(&rows, SEED) == Ok(head));
});

fn check_exports(old: &Head, new: &Head, diff: &[u8]) {
    let (mut list, mut patch) = (Vec::new(), Vec::new());
    to_list(diff, &mut list).expect("a diff of ours");
    to_json_patch(diff, &mut patch).expect("a diff of ours");
    let roomy = Limits { max_bytes: 1 << 24, max_depth: Limits::DEEPEST };
    assert!(apply_json_patch(old.json(), &patch, roomy).expect("a patch of ours") == new.json());
    if let Some(merge) = to_merge_patch(diff).expect("a diff of ours") {
        let (mut merged, merge) = (tree(old.json()), tree(&merge));
        json_patch::merge(&mut merged, &merge);
        assert!(merged == tree(new.json()));
    }
}

fn tree(text: &[u8]) -> serde_json::Value {
    let mut tape = Tape::default();
    let root = Parser::new(Limits { max_bytes: 1 << 24, max_depth: Limits::DEEPEST })
        .parse(&mut tape, text, 0..text.len())
        .expect("canonical text");
    tape.value(text, root).to_serde()
}
