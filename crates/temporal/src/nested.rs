//! The operations for a member that has changed, down to where it has changed.
//!
//! Objects are compared member by member; arrays by the key of their elements where the contract names one,
//! else by the shortest script of insertions and deletions, else they are replaced. Whatever would be longer
//! than replacing the container as a whole is replaced, which also bounds what a diff costs: at every level
//! the search is linear in the texts, and what it writes is cut off at the length of the replacement.

use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::Range;

use crate::encoded::{
    Kind, MAX_STEPS, MAX_WORK, PathBuf, PathStep, put_member_operation, put_operation, replacement_len,
};
use crate::error::DiffError;
use crate::key_order::key_order;
use crate::keyed::{KeyedArrays, sorted_keys};
use crate::sequence::{Hunk, hunks, keeps_order};
use crate::spans::Spans;

/// Scratch of the comparison, and the account of a diff's work.
#[derive(Default)]
pub(crate) struct Nested {
    old: Spans,
    new: Spans,
    /// Children of the containers that are being compared, the innermost last.
    children: Vec<u32>,
    pub path: PathBuf,
    /// What the diff will cost those who apply it, see [`MAX_WORK`].
    work: u64,
    /// What comparing has cost since the differ was made, in units of up to 64 bytes.
    pub compared: u64,
}

/// Both values of a comparison that is under way, and where its result goes.
pub(crate) struct Comparison<'c> {
    pub old: &'c [u8],
    pub new: &'c [u8],
    pub keyed: &'c KeyedArrays,
    pub out: &'c mut Vec<u8>,
}

/// That the operations are longer than a replacement, or cost more than a diff may.
struct TooLong;

impl Nested {
    pub fn begin(&mut self) {
        self.path.clear();
        self.work = 0;
    }

    /// Overwrites the path; the rest are offsets.
    pub fn wipe(&mut self) {
        self.path.wipe();
    }

    /// Pays for one operation, and for moving something in a container of that length.
    pub fn charge(&mut self, container: usize) {
        self.work += 1 + container as u64;
    }

    pub fn exhausted(&self) -> bool {
        self.work > MAX_WORK
    }

    /// Writes the operations that turn the old value of a top-level member into the new one.
    #[inline]
    pub fn member(&mut self, body: &[u8], comparison: &mut Comparison<'_>) -> Result<(), DiffError> {
        let (old, new) = (comparison.old, comparison.new);
        if !is_container_pair(old, new) {
            self.charge(0);
            put_member_operation(comparison.out, Kind::Replace, body, &[old, new]);
            return Ok(());
        }
        self.old.scan(old)?;
        self.new.scan(new)?;
        self.children.clear();
        let mark = self.path.enter(PathStep::Key(body));
        self.value(comparison, 0, 0);
        self.path.leave(mark);
        Ok(())
    }

    fn value(&mut self, comparison: &mut Comparison<'_>, old: u32, new: u32) {
        let (old_text, new_text) = (self.old.text(comparison.old, old), self.new.text(comparison.new, new));
        if self.equal(old_text, new_text) {
            return;
        }
        let (mark, work) = (comparison.out.len(), self.work);
        if is_container_pair(old_text, new_text) && self.path.steps() < MAX_STEPS {
            let limit = mark + replacement_len(&self.path, old_text, new_text);
            let children = self.children.len();
            let done = if old_text[0] == b'{' {
                self.object(comparison, old, new, limit)
            } else {
                self.array(comparison, old, new, limit)
            };
            self.children.truncate(children);
            if done.is_ok() {
                return;
            }
            comparison.out.truncate(mark);
            self.work = work;
        }
        self.charge(0);
        put_operation(comparison.out, Kind::Replace, &self.path, &[old_text, new_text]);
    }

    fn equal(&mut self, old: &[u8], new: &[u8]) -> bool {
        self.compared += comparison_cost(old, new);
        old == new
    }

    fn check(&self, comparison: &Comparison<'_>, limit: usize) -> Result<(), TooLong> {
        if comparison.out.len() > limit || self.exhausted() { Err(TooLong) } else { Ok(()) }
    }

    /// Puts the children of both containers behind those of the containers around them.
    fn open(&mut self, comparison: &Comparison<'_>, old: u32, new: u32) -> (Range<usize>, Range<usize>) {
        let start = self.children.len();
        self.children.extend(self.old.children(comparison.old, old));
        let middle = self.children.len();
        self.children.extend(self.new.children(comparison.new, new));
        (start..middle, middle..self.children.len())
    }

    fn object(
        &mut self,
        comparison: &mut Comparison<'_>,
        old: u32,
        new: u32,
        limit: usize,
    ) -> Result<(), TooLong> {
        let (mut olds, mut news) = self.open(comparison, old, new);
        let members = olds.len() + news.len();
        loop {
            let order = match (self.children[olds.clone()].first(), self.children[news.clone()].first()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(&old), Some(&new)) => {
                    let (old, new) = (self.old.text(comparison.old, old), self.new.text(comparison.new, new));
                    key_order(body(old), body(new))
                }
            };
            match order {
                Ordering::Less => {
                    let key = self.children[olds.start];
                    let (name, text) =
                        (self.old.text(comparison.old, key), self.old.text(comparison.old, key + 1));
                    self.moving(comparison, Kind::Remove, PathStep::Key(body(name)), text, members);
                }
                Ordering::Greater => {
                    let key = self.children[news.start];
                    let (name, text) =
                        (self.new.text(comparison.new, key), self.new.text(comparison.new, key + 1));
                    self.moving(comparison, Kind::Add, PathStep::Key(body(name)), text, members);
                }
                Ordering::Equal => {
                    let (old, new) = (self.children[olds.start], self.children[news.start]);
                    let mark = self.path.enter(PathStep::Key(body(self.old.text(comparison.old, old))));
                    self.value(comparison, old + 1, new + 1);
                    self.path.leave(mark);
                }
            }
            self.check(comparison, limit)?;
            olds.start += usize::from(order.is_le());
            news.start += usize::from(order.is_ge());
        }
    }

    fn array(
        &mut self,
        comparison: &mut Comparison<'_>,
        old: u32,
        new: u32,
        limit: usize,
    ) -> Result<(), TooLong> {
        let (olds, news) = self.open(comparison, old, new);
        if let Some(member) = comparison.keyed.member(self.path.path()) {
            let old_keys = sorted_keys(&self.old, comparison.old, &self.children[olds.clone()], member);
            let new_keys = sorted_keys(&self.new, comparison.new, &self.children[news.clone()], member);
            if let (Some(old_keys), Some(new_keys)) = (old_keys, new_keys) {
                let partners = partners(&old_keys, &new_keys);
                return self.keyed_array(comparison, olds, news, &partners, limit);
            }
        }
        let hunks = self.array_hunks(comparison, &olds, &news).ok_or(TooLong)?;
        self.hunks(comparison, olds, news, hunks, limit)
    }

    /// The stretches in which two arrays differ; looking for them may cost eight looks at everything.
    fn array_hunks(
        &mut self,
        comparison: &Comparison<'_>,
        olds: &Range<usize>,
        news: &Range<usize>,
    ) -> Option<Vec<Hunk>> {
        let old = |at: usize| self.old.text(comparison.old, self.children[olds.start + at]);
        let new = |at: usize| self.new.text(comparison.new, self.children[news.start + at]);
        let texts = (0..olds.len()).map(old).chain((0..news.len()).map(new));
        let allowance = 4096 + 8 * texts.map(|text| comparison_cost(text, text)).sum::<u64>();
        let spent = Cell::new(0);
        let equal = |a: usize, b: usize| {
            let (a, b) = (old(a), new(b));
            spent.set(spent.get() + comparison_cost(a, b));
            a == b
        };
        let hunks = hunks(olds.len(), news.len(), equal, || spent.get() > allowance);
        self.compared += spent.get();
        hunks
    }

    /// Within a stretch, elements at the same place are paired; what is left over on one side is removed or
    /// added behind them.
    fn hunks(
        &mut self,
        comparison: &mut Comparison<'_>,
        olds: Range<usize>,
        news: Range<usize>,
        hunks: Vec<Hunk>,
        limit: usize,
    ) -> Result<(), TooLong> {
        let elements = olds.len() + news.len();
        for Hunk { old, new } in hunks {
            let paired = old.len().min(new.len());
            for at in 0..paired {
                let (a, b) =
                    (self.children[olds.start + old.start + at], self.children[news.start + new.start + at]);
                self.element(comparison, a, b, new.start + at);
                self.check(comparison, limit)?;
            }
            // All before the hunk is as in the new array, so its positions are the indexes.
            for at in old.start + paired..old.end {
                let text = self.old.text(comparison.old, self.children[olds.start + at]);
                self.moving(comparison, Kind::Remove, PathStep::Index(new.end), text, elements);
                self.check(comparison, limit)?;
            }
            for at in new.start + paired..new.end {
                let text = self.new.text(comparison.new, self.children[news.start + at]);
                self.moving(comparison, Kind::Add, PathStep::Index(at), text, elements);
                self.check(comparison, limit)?;
            }
        }
        Ok(())
    }

    /// `partners[new] = Some(old)` where both have an element of that key.
    fn keyed_array(
        &mut self,
        comparison: &mut Comparison<'_>,
        olds: Range<usize>,
        news: Range<usize>,
        partners: &[Option<u32>],
        limit: usize,
    ) -> Result<(), TooLong> {
        let elements = olds.len() + news.len();
        let matched = partners.iter().flatten().copied().collect::<Vec<_>>();
        let mut stays = vec![false; olds.len()];
        for (&old, keeps) in matched.iter().zip(keeps_order(&matched)) {
            stays[old as usize] = keeps;
        }
        // From the end, so that what is still to be removed keeps its index.
        for at in (0..olds.len()).rev().filter(|&at| !stays[at]) {
            let text = self.old.text(comparison.old, self.children[olds.start + at]);
            self.moving(comparison, Kind::Remove, PathStep::Index(at), text, elements);
            self.check(comparison, limit)?;
        }
        for (at, partner) in partners.iter().enumerate() {
            let new = self.children[news.start + at];
            match partner.filter(|&old| stays[old as usize]) {
                Some(old) => {
                    let old = self.children[olds.start + old as usize];
                    self.element(comparison, old, new, at);
                }
                None => {
                    let text = self.new.text(comparison.new, new);
                    self.moving(comparison, Kind::Add, PathStep::Index(at), text, elements);
                }
            }
            self.check(comparison, limit)?;
        }
        Ok(())
    }

    fn element(&mut self, comparison: &mut Comparison<'_>, old: u32, new: u32, index: usize) {
        let mark = self.path.enter(PathStep::Index(index));
        self.value(comparison, old, new);
        self.path.leave(mark);
    }

    /// Writes that something enters or leaves a container, where it moves what stands behind.
    fn moving(
        &mut self,
        comparison: &mut Comparison<'_>,
        kind: Kind,
        step: PathStep<'_>,
        text: &[u8],
        container: usize,
    ) {
        self.charge(container);
        let mark = self.path.enter(step);
        put_operation(comparison.out, kind, &self.path, &[text]);
        self.path.leave(mark);
    }
}

/// For each element of the new array the element of the old one with the same key.
fn partners(old: &[(&[u8], u32)], new: &[(&[u8], u32)]) -> Vec<Option<u32>> {
    let mut partners = vec![None; new.len()];
    let mut old = old.iter().peekable();
    for (key, position) in new {
        while old.next_if(|(other, _)| other < key).is_some() {}
        partners[*position as usize] = old.next_if(|(other, _)| other == key).map(|(_, position)| *position);
    }
    partners
}

/// What telling two texts apart costs; texts of different lengths are not read.
fn comparison_cost(a: &[u8], b: &[u8]) -> u64 {
    if a.len() == b.len() { 1 + a.len() as u64 / 64 } else { 1 }
}

fn body(quoted: &[u8]) -> &[u8] {
    &quoted[1..quoted.len() - 1]
}

fn is_container_pair(old: &[u8], new: &[u8]) -> bool {
    matches!((old.first(), new.first()), (Some(b'{'), Some(b'{')) | (Some(b'['), Some(b'[')))
}
