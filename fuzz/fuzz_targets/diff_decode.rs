//! A canonical document, NUL, and the bytes of a diff: reading them must not panic, and what is taken must hold.
#![no_main]

use intelgraph_json::{Limits, ParseErrorKind, canonical};
use intelgraph_temporal::{
    ChangePlaintext, Frontier, Head, apply, read_snapshot, revert, to_json_patch, to_list, to_merge_patch,
};
use libfuzzer_sys::fuzz_target;

const SEED: u64 = 0x1d;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, mut diff) = (&bytes[..end], bytes[end..].to_vec());
    let head = Head::of_canonical(text).ok();
    if let Some(head) = &head {
        assert!(head.json() == text && head.members().len() <= text.len());
        // Numbers are the one thing that a head does not check.
        let numbers = [ParseErrorKind::NumberRange, ParseErrorKind::NumberPrecision];
        let limits = Limits { max_bytes: u32::MAX, max_depth: Limits::DEEPEST };
        assert!(canonical(text, limits).map_or_else(|error| numbers.contains(&error.kind), |_| true));
    }
    if let Ok(Some(next)) = apply(head.as_ref(), &diff, SEED) {
        assert!(revert(Some(&next), &diff, SEED) == Ok(head.clone()));
    }
    // With the right hash the operations themselves are reached.
    if diff.len() >= 17 {
        diff[0] = 1;
        diff[1..17].copy_from_slice(&head.as_ref().map_or(0, |head| head.hash(SEED)).to_be_bytes());
        if let Ok(older) = revert(head.as_ref(), &diff, SEED) {
            assert!(apply(older.as_ref(), &diff, SEED) == Ok(head));
        }
    }
    let limits = Limits { max_bytes: u32::MAX, max_depth: Limits::DEEPEST };
    for export in [to_list, to_json_patch] {
        let mut out = Vec::new();
        if export(&diff, &mut out).is_err() {
            assert!(out.is_empty());
        } else if let Err(error) = canonical(&out, limits) {
            let allowed =
                [ParseErrorKind::NumberRange, ParseErrorKind::NumberPrecision, ParseErrorKind::TooDeep];
            assert!(allowed.contains(&error.kind));
        }
    }
    let _ = (
        to_merge_patch(&diff),
        ChangePlaintext::parse(bytes),
        read_snapshot(bytes),
        Frontier::from_bytes(bytes),
    );
});
