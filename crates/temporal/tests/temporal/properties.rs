//! What holds for all documents: a diff leads from one to the other and back, and says the same in every form.

use crate::documents::{Doc, Parsed, document, value, versions};
use intelgraph_json::{Limits, Pointer, canonical};
use intelgraph_temporal::{
    Change, ChangedMember, DiffError, Differ, EncodedDiff, Head, KeyedArrays, Outcome, absence, apply,
    apply_json_patch, changed_members, revert, to_json_patch, to_list, to_merge_patch,
};
use proptest::prelude::*;

const SEED: u64 = 0x1d;

fn keyed() -> KeyedArrays {
    let mut keyed = KeyedArrays::default();
    for array in ["/a", "/b", "/c/-/a", "/a/b", "/new"] {
        keyed.insert(&Pointer::parse(array).unwrap(), "id");
    }
    keyed
}

/// The encoded diff, and the head that the differ says results; `None` where nothing differs.
fn diff(old: Option<&Head>, new: &Parsed, keyed: &KeyedArrays) -> Option<(Vec<u8>, Head)> {
    let mut out = b"before".to_vec();
    let head = match Differ::default().diff(old, new.value(), keyed, SEED, &mut out).unwrap() {
        Outcome::Unchanged => None,
        Outcome::Changed { head, .. } => Some(head),
    };
    let encoded = out.strip_prefix(b"before").unwrap().to_vec();
    assert_eq!(encoded.is_empty(), head.is_none());
    head.map(|head| (encoded, head))
}

fn json_patch(encoded: &[u8]) -> json_patch::Patch {
    let mut patch = Vec::new();
    to_json_patch(encoded, &mut patch).unwrap();
    serde_json::from_value(Parsed::new(patch).value().to_serde()).unwrap()
}

fn same_text(document: &serde_json::Value, head: &Head) {
    let text = canonical(document.to_string().as_bytes(), Limits::default()).unwrap();
    assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(head.json()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_diff_leads_there_and_back((old, new) in versions(), spelling in any::<u64>(), by_key in any::<bool>()) {
        let keyed = if by_key { keyed() } else { KeyedArrays::default() };
        let (old, new) = (Parsed::new(old.text()).head(), Parsed::new(new.odd_text(spelling)));
        match diff(Some(&old), &new, &keyed) {
            None => prop_assert_eq!(&old, &new.head()),
            Some((encoded, head)) => {
                prop_assert_ne!(&old, &head);
                prop_assert_eq!(&head, &new.head());
                prop_assert_eq!(&Head::of_canonical(head.json()).unwrap(), &head);
                prop_assert_eq!(EncodedDiff::parse(&encoded).unwrap().resulting_hash(), head.hash(SEED));
                prop_assert_eq!(&apply(Some(&old), &encoded, SEED).unwrap().unwrap(), &head);
                prop_assert_eq!(revert(Some(&head), &encoded, SEED).unwrap(), Some(old));
            }
        }
    }

    #[test]
    fn spelling_is_no_change(document in document(), one in any::<u64>(), other in any::<u64>()) {
        let (one, other) = (Parsed::new(document.odd_text(one)), Parsed::new(document.odd_text(other)));
        prop_assert!(diff(Some(&one.head()), &other, &keyed()).is_none());
        let mut changed = Vec::new();
        prop_assert!(!changed_members(&one.head(), other.value(), &mut Vec::new(), &mut changed));
        prop_assert!(changed.is_empty());
    }

    #[test]
    fn a_head_is_the_canonical_document(document in document(), spelling in any::<u64>()) {
        let text = document.odd_text(spelling);
        let head = Parsed::new(text.clone()).head();
        prop_assert_eq!(head.json(), canonical(text.as_bytes(), Limits::default()).unwrap());
        let Doc::Object(members) = &document else { unreachable!("documents are objects") };
        prop_assert_eq!(head.members().len(), members.len());
        for (key, value) in members {
            let value = canonical(value.text().as_bytes(), Limits::default()).unwrap();
            prop_assert_eq!(head.get(key), Some(&value[..]));
        }
    }

    #[test]
    fn documents_begin_and_end(document in document()) {
        let new = Parsed::new(document.text());
        let (insertion, head) = diff(None, &new, &keyed()).unwrap();
        prop_assert_eq!(&apply(None, &insertion, SEED).unwrap().unwrap(), &head);
        prop_assert_eq!(revert(Some(&head), &insertion, SEED).unwrap(), None);
        let mut deletion = Vec::new();
        Differ::default().deletion(&head, &mut deletion);
        prop_assert_eq!(EncodedDiff::parse(&deletion).unwrap().resulting_hash(), 0);
        prop_assert_eq!(apply(Some(&head), &deletion, SEED).unwrap(), None);
        prop_assert_eq!(revert(None, &deletion, SEED).unwrap(), Some(head));
    }

    #[test]
    fn changed_members_are_those_of_the_diff((old, new) in versions(), spelling in any::<u64>()) {
        let (old, new) = (Parsed::new(old.text()).head(), Parsed::new(new.odd_text(spelling)));
        let (mut differ, mut out, mut found) = (Differ::default(), Vec::new(), Vec::new());
        let keys_differ = changed_members(&old, new.value(), &mut Vec::new(), &mut found);
        let found = found.iter().map(|(key, _)| key.as_str().into_owned()).collect::<Vec<_>>();
        match differ.diff(Some(&old), new.value(), &keyed(), SEED, &mut out).unwrap() {
            Outcome::Unchanged => prop_assert!(found.is_empty() && !keys_differ),
            Outcome::Changed { head, changed } => {
                let (removed, others): (Vec<ChangedMember>, Vec<ChangedMember>) =
                    changed.iter().copied().partition(|member| member.change == Change::Removed);
                let key = |head: &Head, position: u32| head.member(position as usize).unwrap().key().into_owned();
                let names = others.iter().map(|member| key(&head, member.position)).collect::<Vec<_>>();
                prop_assert_eq!(&found, &names);
                for member in &others {
                    let name = key(&head, member.position);
                    prop_assert_eq!(old.get(&name).is_none(), member.change == Change::Added);
                    prop_assert_ne!(old.get(&name), head.get(&name));
                }
                for member in &removed {
                    prop_assert_eq!(head.get(&key(&old, member.position)), None);
                }
                let same_keys = others.iter().all(|member| member.change == Change::Replaced) && removed.is_empty();
                prop_assert_eq!(keys_differ, !same_keys);
            }
        }
    }

    #[test]
    fn exports_say_the_same((old, new) in versions(), by_key in any::<bool>()) {
        let keyed = if by_key { keyed() } else { KeyedArrays::default() };
        let (old, new) = (Parsed::new(old.text()), Parsed::new(new.text()));
        let Some((encoded, head)) = diff(Some(&old.head()), &new, &keyed) else { return Ok(()) };

        let mut patched = old.value().to_serde();
        json_patch::patch(&mut patched, &json_patch(&encoded)).unwrap();
        same_text(&patched, &head);
        let mut patch = Vec::new();
        to_json_patch(&encoded, &mut patch).unwrap();
        prop_assert_eq!(apply_json_patch(old.head().json(), &patch, Limits::default()).unwrap(), head.json());

        if let Some(merge) = to_merge_patch(&encoded).unwrap() {
            let mut merged = old.value().to_serde();
            json_patch::merge(&mut merged, &Parsed::new(merge).value().to_serde());
            same_text(&merged, &head);
        }

        let mut list = Vec::new();
        to_list(&encoded, &mut list).unwrap();
        prop_assert!(canonical(&list, Limits::default()).is_ok_and(|text| text == list), "the list is canonical");
    }

    #[test]
    fn a_merge_patch_is_withheld_only_for_cause((old, new) in versions()) {
        let (old, new) = (Parsed::new(old.text()), Parsed::new(new.text()));
        let Some((encoded, _)) = diff(Some(&old.head()), &new, &KeyedArrays::default()) else { return Ok(()) };
        let mut list = Vec::new();
        to_list(&encoded, &mut list).unwrap();
        let operations = Parsed::new(list).value().to_serde();
        let sets_null = operations.as_array().unwrap().iter().any(|operation| {
            operation[0] != "d" && operation.as_array().unwrap().last().unwrap().to_string().contains("null")
        });
        let in_array = operations.as_array().unwrap().iter().any(|operation| {
            operation[1].as_str().unwrap().split('/').skip(1).any(|token| token.parse::<usize>().is_ok())
        });
        prop_assert!(to_merge_patch(&encoded).unwrap().is_some() || sets_null || in_array);
    }

    #[test]
    fn foreign_bytes_are_refused_and_never_panic(
        document in document(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        is_diff in any::<bool>(),
    ) {
        if let (true, Some(format)) = (is_diff, bytes.first_mut()) {
            *format = 1;
        }
        let head = Parsed::new(document.text()).head();
        for head in [None, Some(&head)] {
            let _ = apply(head, &bytes, SEED);
            let _ = revert(head, &bytes, SEED);
        }
        let _ = (to_list(&bytes, &mut Vec::new()), to_json_patch(&bytes, &mut Vec::new()), to_merge_patch(&bytes));
        let _ = (Head::of_canonical(&bytes), apply_json_patch(&bytes, &bytes, Limits::default()));
    }

    #[test]
    fn a_damaged_diff_never_gives_another_document(
        (old, new) in versions(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (old, new) = (Parsed::new(old.text()).head(), Parsed::new(new.text()));
        let Some((mut encoded, head)) = diff(Some(&old), &new, &keyed()) else { return Ok(()) };
        let at = at.index(encoded.len());
        encoded[at] ^= 1 << bit;
        // Most damage is an error; what is not (a varint with a spare byte) changes nothing.
        if let Ok(result) = apply(Some(&old), &encoded, SEED) {
            prop_assert_eq!(result, Some(head));
        }
    }

    #[test]
    fn a_diff_applies_to_its_own_version_only((old, new) in versions(), other in document()) {
        let (old, new) = (Parsed::new(old.text()).head(), Parsed::new(new.text()));
        let other = Parsed::new(other.text()).head();
        let Some((encoded, head)) = diff(Some(&old), &new, &keyed()) else { return Ok(()) };
        if other != old {
            prop_assert!(apply(Some(&other), &encoded, SEED).is_err());
        }
        if other != head {
            prop_assert_eq!(revert(Some(&other), &encoded, SEED), Err(DiffError::HashDiffers));
        }
        prop_assert!(apply(None, &encoded, SEED).is_err());
    }

    #[test]
    fn only_objects_are_documents(value in value()) {
        let parsed = Parsed::new(value.text());
        let (mut differ, mut out) = (Differ::default(), Vec::new());
        let result = differ.diff(None, parsed.value(), &keyed(), SEED, &mut out).err();
        let expected = (!matches!(value, Doc::Object(_))).then_some(DiffError::NotADocument);
        prop_assert_eq!((result, out.is_empty()), (expected, expected.is_some()));
    }
}

#[test]
fn an_absence_is_an_empty_diff_from_nothing_to_nothing() {
    let mut late_delete = Vec::new();
    absence(&mut late_delete);
    assert_eq!(apply(None, &late_delete, SEED), Ok(None));
    let mut list = Vec::new();
    to_list(&late_delete, &mut list).unwrap();
    assert_eq!((&list[..], to_merge_patch(&late_delete)), (&b"[]"[..], Ok(None)));
}
