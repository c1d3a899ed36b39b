//! How each record's committed versions are known, before its group is diffed.

use std::sync::{Arc, PoisonError};

use crate::fetch::{Need, repeats_head};
use crate::heads::Heads;
use crate::prepare::{Item, Prepared};
use crate::workbench::Workbench;

/// How a record's committed versions are known, before its group is diffed. Decided once: while the group is diffed,
/// the filter learns its entities and may take a new one for an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// From memory.
    Here,
    /// From what the batch was supplied with.
    Supplied,
    /// The record says what the committed head says, at the same time: a duplicate, even if a record before it in
    /// the group moves the head.
    Repeated,
}

/// How each record of a batch is known; `None` if the batch needs to know more first.
fn known(heads: &Heads, batch: &Prepared, bench: &mut Workbench) -> Option<Vec<Known>> {
    let supplied = batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
    let known = |item: &Item| {
        let need = Need::of(heads, item);
        if need.is_met() {
            Some(Known::Here)
        } else if need.without(&supplied, heads, item).is_met() {
            Some(Known::Supplied)
        } else {
            let repeated = !need.head && repeats_head(heads, batch, item, &mut bench.canonical);
            repeated.then_some(Known::Repeated)
        }
    };
    batch.items.iter().map(known).collect()
}

/// How each record of each batch is known.
///
/// # Errors
/// The batches, by their index, that cannot be diffed on what is in memory and what they were supplied with.
pub(crate) fn known_of_all(
    heads: &Heads,
    batches: &[Arc<Prepared>],
    bench: &mut Workbench,
) -> Result<Vec<Vec<Known>>, Vec<usize>> {
    let all: Vec<_> = batches.iter().map(|batch| known(heads, batch, bench)).collect();
    let missing: Vec<usize> =
        all.iter().enumerate().filter_map(|(index, known)| known.is_none().then_some(index)).collect();
    if missing.is_empty() { Ok(all.into_iter().flatten().collect()) } else { Err(missing) }
}
