//! A head and a document side by side, member by member in canonical key order.

use std::cmp::Ordering;

use intelgraph_json::{Key, Value, write_canonical};

use crate::head::{Head, Member, body};
use crate::key_order::key_order;

/// A difference that the walk finds. Texts are canonical and live as long as the step.
pub(crate) enum Step<'h, 'v, 's> {
    /// Both have the member, with different values.
    Replaced(Member<'h>, Key<'v>, Value<'v>, &'s [u8]),
    /// Only the document has the member.
    Added(Key<'v>, Value<'v>, &'s [u8]),
    /// Only the head has the member.
    Removed(Member<'h>),
}

/// How far the walk has come.
#[derive(Clone, Copy, Default)]
pub(crate) struct Progress {
    /// Members of the head behind us.
    pub old: usize,
    /// Members of the document behind us.
    pub new: usize,
    /// Offset in the head behind its last member behind us.
    pub offset: usize,
}

/// Walks both and visits the differences; gives where both end.
#[inline]
pub(crate) fn walk<'h, 'v>(
    head: &'h Head,
    document: Value<'v>,
    canonical: &mut Vec<u8>,
    mut visit: impl FnMut(&Progress, Step<'h, 'v, '_>),
) -> Progress {
    let mut members = head.members();
    let mut member = members.next();
    let mut at = Progress::default();
    for (key, value) in document.sorted_members() {
        let prefix = key.prefix();
        loop {
            match member {
                Some(old) if same(old.prefix(), &prefix) => {
                    let new = canonical_text(value, canonical);
                    if !same(old.value(), new) {
                        visit(&at, Step::Replaced(old, key, value, new));
                    }
                    at = Progress { old: at.old + 1, new: at.new + 1, offset: old.end };
                    member = members.next();
                    break;
                }
                Some(old) if key_order(old.body(), body(&prefix)) == Ordering::Less => {
                    visit(&at, Step::Removed(old));
                    at = Progress { old: at.old + 1, offset: old.end, ..at };
                    member = members.next();
                }
                _ => {
                    visit(&at, Step::Added(key, value, canonical_text(value, canonical)));
                    at.new += 1;
                    break;
                }
            }
        }
    }
    while let Some(old) = member {
        visit(&at, Step::Removed(old));
        at = Progress { old: at.old + 1, offset: old.end, ..at };
        member = members.next();
    }
    at
}

/// Compares short texts in place: most keys and values are shorter than a call to `memcmp` is worth.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    if a.len() > 48 {
        return a == b;
    }
    let (mut a_rest, mut b_rest) = (a, b);
    while let (Some((a, a_behind)), Some((b, b_behind))) =
        (a_rest.split_first_chunk::<8>(), b_rest.split_first_chunk::<8>())
    {
        if a != b {
            return false;
        }
        (a_rest, b_rest) = (a_behind, b_behind);
    }
    a_last == b_last
}

/// The canonical form of a value: its own bytes where they are that already.
#[inline]
pub(crate) fn canonical_text<'t>(value: Value<'t>, scratch: &'t mut Vec<u8>) -> &'t [u8] {
    if value.is_canonical() {
        return value.raw();
    }
    scratch.clear();
    write_canonical(value, scratch);
    scratch
}

/// Puts the members whose value is new or changed into `changed`, in canonical key order, and says whether
/// the set of keys differs (some are added or removed). Equal documents give `false` and nothing.
///
/// This is the cheap half of a diff, for a caller that validates only what changed before it diffs. A
/// document that is no object has no members.
pub fn changed_members<'v>(
    head: &Head,
    document: Value<'v>,
    scratch: &mut Vec<u8>,
    changed: &mut Vec<(Key<'v>, Value<'v>)>,
) -> bool {
    changed.clear();
    let mut keys_differ = false;
    walk(head, document, scratch, |_, step| match step {
        Step::Replaced(_, key, value, _) => changed.push((key, value)),
        Step::Added(key, value, _) => {
            keys_differ = true;
            changed.push((key, value));
        }
        Step::Removed(_) => keys_differ = true,
    });
    keys_differ
}
