//! Comparing sequences: which stretches differ, and what keeps its order.
//!
//! The shortest edit script after E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986),
//! §2, given up as soon as the script is long or the search has cost its allowance.

use std::ops::Range;

/// Edits in the longest script that is looked for. Beyond it a replaced array says as much in less space;
/// the search costs the square of it.
const MAX_EDITS: usize = 128;

/// A stretch of the old sequence and what stands in its place in the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    pub old: Range<usize>,
    pub new: Range<usize>,
}

/// The stretches that differ, in order; `None` where the script is too long or the search is to `give_up`.
pub(crate) fn hunks(
    old_len: usize,
    new_len: usize,
    equal: impl Fn(usize, usize) -> bool,
    give_up: impl Fn() -> bool,
) -> Option<Vec<Hunk>> {
    let shorter = old_len.min(new_len);
    let prefix = (0..shorter).take_while(|&at| equal(at, at)).count();
    let suffix = (0..shorter - prefix).take_while(|&at| equal(old_len - 1 - at, new_len - 1 - at)).count();
    let (old_len, new_len) = (old_len - prefix - suffix, new_len - prefix - suffix);
    let offset = |range: Range<usize>| range.start + prefix..range.end + prefix;
    // One element that differs is a stretch of its own: it is what ended the prefix.
    if old_len == 0 || new_len == 0 || (old_len, new_len) == (1, 1) {
        let changed = old_len + new_len > 0;
        let hunk = || Hunk { old: offset(0..old_len), new: offset(0..new_len) };
        return Some(changed.then(hunk).into_iter().collect());
    }
    let (reached, edits) =
        search(old_len, new_len, |old, new| (!give_up()).then(|| equal(old + prefix, new + prefix)))?;
    let mut hunks = trace_back(&reached, edits, old_len, new_len);
    hunks.reverse();
    Some(hunks.into_iter().map(|hunk| Hunk { old: offset(hunk.old), new: offset(hunk.new) }).collect())
}

/// How far into the old sequence each diagonal has come after each number of edits: row `d` holds the
/// diagonals −d, −d + 2, …, d and begins at d(d + 1)/2.
type Reached = Vec<u32>;

/// Looks for the shortest script; `equal` gives `None` to give up.
fn search(
    old_len: usize,
    new_len: usize,
    mut equal: impl FnMut(usize, usize) -> Option<bool>,
) -> Option<(Reached, usize)> {
    let mut reached = Reached::new();
    for edits in 0..=MAX_EDITS {
        for index in 0..=edits {
            let mut old = start(&reached, edits, index);
            // The diagonal is 2·index − edits; a position before the new sequence cannot occur.
            let mut new = old + edits - 2 * index;
            while old < old_len && new < new_len && equal(old, new)? {
                (old, new) = (old + 1, new + 1);
            }
            reached.push(old as u32);
            if old >= old_len && new >= new_len {
                return Some((reached, edits));
            }
        }
    }
    None
}

/// Where the edit that enters a diagonal leads: the better of an insertion from the diagonal above and a
/// deletion from the one below.
fn start(reached: &[u32], edits: usize, index: usize) -> usize {
    match came_from(reached, edits, index) {
        None => 0,
        Some((from, deletion)) => at(reached, edits - 1, from) + usize::from(deletion),
    }
}

/// The diagonal's index in the row before, and whether the edit deletes; `None` for the very start.
fn came_from(reached: &[u32], edits: usize, index: usize) -> Option<(usize, bool)> {
    let before = edits.checked_sub(1)?;
    let insertion =
        index < edits && (index == 0 || at(reached, before, index - 1) < at(reached, before, index));
    Some(if insertion { (index, false) } else { (index - 1, true) })
}

fn at(reached: &[u32], edits: usize, index: usize) -> usize {
    reached[edits * (edits + 1) / 2 + index] as usize
}

/// Follows the script from its end; adjoining edits become one hunk. The last hunk comes first.
fn trace_back(reached: &[u32], edits: usize, old_len: usize, new_len: usize) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut index = (old_len + edits - new_len) / 2;
    for edits in (1..=edits).rev() {
        let Some((from, deletion)) = came_from(reached, edits, index) else { break };
        let old = at(reached, edits - 1, from);
        let new = old + (edits - 1) - 2 * from;
        let behind = (old + usize::from(deletion), new + usize::from(!deletion));
        match hunks.last_mut() {
            Some(later) if (later.old.start, later.new.start) == behind => {
                (later.old.start, later.new.start) = (old, new);
            }
            _ => hunks.push(Hunk { old: old..behind.0, new: new..behind.1 }),
        }
        index = from;
    }
    hunks
}

/// Marks a longest strictly increasing subsequence: what keeps its order while the rest moves.
pub(crate) fn keeps_order(sequence: &[u32]) -> Vec<bool> {
    // The smallest last element of an increasing subsequence of each length, as a position.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; sequence.len()];
    for (position, value) in sequence.iter().enumerate() {
        let length = ends.partition_point(|&end| sequence[end] < *value);
        if length > 0 {
            before[position] = ends[length - 1];
        }
        ends.truncate(ends.len().max(length));
        match ends.get_mut(length) {
            Some(end) => *end = position,
            None => ends.push(position),
        }
    }
    let mut keeps = vec![false; sequence.len()];
    let mut position = ends.last().copied().unwrap_or(usize::MAX);
    while let Some(keep) = keeps.get_mut(position) {
        *keep = true;
        position = before[position];
    }
    keeps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn diff(old: &[u8], new: &[u8], allowance: usize) -> Option<Vec<Hunk>> {
        let compared = Cell::new(0);
        let equal = |a: usize, b: usize| {
            compared.set(compared.get() + 1);
            old[a] == new[b]
        };
        hunks(old.len(), new.len(), equal, || compared.get() > allowance)
    }

    /// Length of the longest common subsequence, by the quadratic table.
    fn common(old: &[u8], new: &[u8]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for a in old {
            let mut diagonal = 0;
            for (at, b) in new.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if a == b { diagonal + 1 } else { above.max(row[at]) };
                diagonal = above;
            }
        }
        row[new.len()]
    }

    proptest! {
        #[test]
        fn hunks_turn_old_into_new_with_the_fewest_edits(
            old in prop::collection::vec(0u8..4, 0..40),
            new in prop::collection::vec(0u8..4, 0..40),
        ) {
            let hunks = diff(&old, &new, usize::MAX).unwrap();
            let (mut result, mut done, mut edits) = (vec![], 0, 0);
            for hunk in hunks {
                result.extend_from_slice(&old[done..hunk.old.start]);
                prop_assert_eq!(result.len(), hunk.new.start);
                edits += hunk.old.len() + hunk.new.len();
                done = hunk.old.end;
                result.extend_from_slice(&new[hunk.new]);
            }
            result.extend_from_slice(&old[done..]);
            prop_assert_eq!(&result, &new);
            prop_assert_eq!(edits, old.len() + new.len() - 2 * common(&old, &new));
        }

        #[test]
        fn what_keeps_its_order_is_the_longest(sequence in prop::collection::vec(0u32..30, 0..30)) {
            let keeps = keeps_order(&sequence);
            let kept = sequence.iter().zip(&keeps).filter(|(_, keep)| **keep).map(|(v, _)| *v).collect::<Vec<_>>();
            prop_assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
            let mut longest = vec![0; sequence.len()];
            for at in 0..sequence.len() {
                let before = (0..at).filter(|&b| sequence[b] < sequence[at]).map(|b| longest[b]).max();
                longest[at] = 1 + before.unwrap_or(0);
            }
            prop_assert_eq!(kept.len(), longest.into_iter().max().unwrap_or(0));
        }
    }

    #[test]
    fn gives_up_on_a_long_script_and_on_a_spent_allowance() {
        let (old, new) = (vec![1; 1000], vec![2; 1000]);
        assert_eq!(diff(&old, &new, usize::MAX), None);
        let moved = [&new[..10], &old[..], &new[..10]].concat();
        assert_eq!(diff(&old, &moved, 100), None);
        assert!(diff(&old, &moved, 100_000).is_some());
    }
}
