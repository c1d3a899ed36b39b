//! A head and a document side by side, member by member in canonical key order.

use std::cmp::Ordering;

use intelgraph_json::{Key, Value, write_canonical};

use crate::head::{Head, Member, body};
use crate::key_order::key_order;

/// What one step of the walk finds. Texts are canonical and live as long as the step.
pub(crate) enum Step<'h, 'v, 's> {
    /// Both have the member, with the same value.
    Kept(Member<'h>),
    /// Both have the member, with different values.
    Replaced(Member<'h>, Key<'v>, Value<'v>, &'s [u8]),
    /// Only the document has the member; in the head it would stand before the given offset.
    Added(usize, Key<'v>, Value<'v>, &'s [u8]),
    /// Only the head has the member.
    Removed(Member<'h>),
}

/// Walks both; gives the offset behind the last member of the head.
#[inline]
pub(crate) fn walk<'h, 'v>(
    head: &'h Head,
    document: Value<'v>,
    canonical: &mut Vec<u8>,
    mut visit: impl FnMut(Step<'h, 'v, '_>),
) -> usize {
    let mut members = head.members();
    let mut member = members.next();
    let mut behind = 0;
    for (key, value) in document.sorted_members() {
        let prefix = key.prefix();
        loop {
            match member {
                Some(old) if old.prefix() == &*prefix => {
                    let new = canonical_text(value, canonical);
                    visit(if old.value() == new {
                        Step::Kept(old)
                    } else {
                        Step::Replaced(old, key, value, new)
                    });
                    behind = old.end;
                    member = members.next();
                    break;
                }
                Some(old) if key_order(old.body(), body(&prefix)) == Ordering::Less => {
                    visit(Step::Removed(old));
                    behind = old.end;
                    member = members.next();
                }
                _ => {
                    visit(Step::Added(behind, key, value, canonical_text(value, canonical)));
                    break;
                }
            }
        }
    }
    while let Some(old) = member {
        visit(Step::Removed(old));
        behind = old.end;
        member = members.next();
    }
    behind
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
    walk(head, document, scratch, |step| match step {
        Step::Kept(_) => {}
        Step::Replaced(_, key, value, _) => changed.push((key, value)),
        Step::Added(_, key, value, _) => {
            keys_differ = true;
            changed.push((key, value));
        }
        Step::Removed(_) => keys_differ = true,
    });
    keys_differ
}
