//! From one version of a document to the next.

use intelgraph_json::Value;

use crate::encoded::{self, Kind, put_member_operation, put_operation};
use crate::error::DiffError;
use crate::head::{Head, body};
use crate::keyed::KeyedArrays;
use crate::nested::{Comparison, Nested};
use crate::rewrite::HeadRewrite;
use crate::walk::{Step, walk};
use crate::wipe::wipe;

/// What became of a top-level member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has another value.
    Replaced,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// A top-level member that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedMember {
    /// What became of it.
    pub change: Change,
    /// Its position in canonical key order, for [`Head::member`]: of the old head where it was removed, of the
    /// new head otherwise.
    pub position: u32,
}

/// What a comparison found.
#[derive(Debug)]
pub enum Outcome<'d> {
    /// The document is the head; nothing was written.
    Unchanged,
    /// The diff was written.
    Changed {
        /// The head that the document becomes.
        head: Head,
        /// The changed members in canonical key order.
        changed: &'d [ChangedMember],
    },
}

/// Compares documents with heads. Holds the buffers that this needs, so that nothing is allocated for a
/// record but its new head; one per thread.
#[derive(Default)]
pub struct Differ {
    rewrite: HeadRewrite,
    /// The canonical form of a value that was written otherwise.
    canonical: Vec<u8>,
    changed: Vec<ChangedMember>,
    nested: Nested,
}

impl Differ {
    /// Compares a document with the head of its entity (`None`: there is none, or it was deleted) and appends
    /// the encoded diff to `out`; a diff from nothing carries the whole document. `seed` is that of the
    /// heads' [hash](Head::hash).
    ///
    /// # Errors
    /// [`DiffError::NotADocument`]; `out` is then as it was.
    pub fn diff(
        &mut self,
        old: Option<&Head>,
        new: Value<'_>,
        keyed: &KeyedArrays,
        seed: u64,
        out: &mut Vec<u8>,
    ) -> Result<Outcome<'_>, DiffError> {
        if new.kind() != intelgraph_json::Kind::Object {
            return Err(DiffError::NotADocument);
        }
        let start = out.len();
        let written = match old {
            Some(old) => self.update(old, new, keyed, out),
            None => self.insertion(new, out).map(|()| true),
        };
        match written.and_then(|differs| differs.then(|| self.rewrite.finish()).transpose()) {
            Ok(Some(head)) => {
                encoded::set_hash(out, start, head.hash(seed));
                Ok(Outcome::Changed { head, changed: &self.changed })
            }
            Ok(None) => {
                out.truncate(start);
                Ok(Outcome::Unchanged)
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// Appends the diff that ends a document; it carries the document, so that it can be reverted.
    pub fn deletion(&mut self, old: &Head, out: &mut Vec<u8>) {
        encoded::begin(out);
        self.nested.begin();
        put_operation(out, Kind::Remove, &self.nested.path, &[old.json()]);
    }

    /// Units of comparison, of up to 64 bytes each, that nested values have cost since the differ was made.
    pub fn comparisons(&self) -> u64 {
        self.nested.compared
    }

    /// Overwrites what is left of the documents compared so far. Dropping the differ does so too; a differ
    /// that is kept calls it where plaintext may not outlive the batch.
    pub fn wipe(&mut self) {
        self.rewrite.wipe();
        wipe(&mut self.canonical);
        self.nested.wipe();
    }

    fn insertion(&mut self, new: Value<'_>, out: &mut Vec<u8>) -> Result<(), DiffError> {
        self.rewrite.document(new, &mut self.canonical)?;
        encoded::begin(out);
        self.nested.begin();
        put_operation(out, Kind::Add, &self.nested.path, &[self.rewrite.text()]);
        let added = |position| ChangedMember { change: Change::Added, position };
        self.changed.clear();
        self.changed.extend((0..new.len() as u32).map(added));
        Ok(())
    }

    /// Writes the diff and the new head; `false` where nothing differs.
    fn update(
        &mut self,
        old: &Head,
        new: Value<'_>,
        keyed: &KeyedArrays,
        out: &mut Vec<u8>,
    ) -> Result<bool, DiffError> {
        let start = encoded::begin(out);
        let Self { rewrite, canonical, changed, nested } = self;
        rewrite.begin();
        nested.begin();
        changed.clear();
        let members = old.members().len() + new.len();
        let mut failed = Ok(());
        let end = walk(old, new, canonical, |at, step| match step {
            Step::Replaced(member, _, _, value) => {
                rewrite.replace(old, at, &member, value);
                let mut comparison = Comparison { old: member.value(), new: value, keyed, out };
                if let Err(error) = nested.member(member.body(), &mut comparison) {
                    failed = Err(error);
                }
                changed.push(ChangedMember { change: Change::Replaced, position: at.new as u32 });
            }
            Step::Added(key, _, value) => {
                let prefix = key.prefix();
                rewrite.add(old, at, &prefix, value);
                nested.charge(members);
                put_member_operation(out, Kind::Add, body(&prefix), &[value]);
                changed.push(ChangedMember { change: Change::Added, position: at.new as u32 });
            }
            Step::Removed(member) => {
                rewrite.remove(old, at, &member);
                nested.charge(members);
                put_member_operation(out, Kind::Remove, member.body(), &[member.value()]);
                changed.push(ChangedMember { change: Change::Removed, position: at.old as u32 });
            }
        });
        failed?;
        if changed.is_empty() {
            return Ok(false);
        }
        rewrite.close(old, &end);
        if nested.exhausted() {
            out.truncate(start + encoded::HEADER);
            put_operation(out, Kind::Replace, &nested.path, &[old.json(), rewrite.text()]);
        }
        Ok(true)
    }
}

/// Appends the diff of a late delete: no operation, no document. (A late upsert is an insertion.)
pub fn absence(out: &mut Vec<u8>) {
    encoded::begin(out);
}

impl Drop for Differ {
    fn drop(&mut self) {
        self.wipe();
    }
}
