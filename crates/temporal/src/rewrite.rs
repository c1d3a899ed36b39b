//! Writing a new head from an old one: what lies unchanged between two changes is copied at once.

use intelgraph_json::Value;

use crate::error::DiffError;
use crate::head::{Head, Member};
use crate::member_table::MemberTableBuf;
use crate::walk::{Progress, canonical_text};
use crate::wipe::wipe;

/// A head in the making. Reused from document to document; overwritten when it is dropped.
///
/// Members are replaced, added and removed as the [walk](crate::walk) comes by; those between are kept.
#[derive(Default)]
pub(crate) struct HeadRewrite {
    text: Vec<u8>,
    table: MemberTableBuf,
    /// Members of the old head that are accounted for: copied, replaced or left out.
    done: usize,
    /// Where they end in its text.
    done_offset: usize,
}

impl HeadRewrite {
    /// Room for a text of about that length.
    pub fn with_capacity(text: usize) -> Self {
        let mut rewrite = Self::default();
        rewrite.text.reserve(text);
        rewrite
    }

    pub fn begin(&mut self) {
        self.text.clear();
        self.table.clear();
        (self.done, self.done_offset) = (0, 0);
    }

    /// Puts another value in the place of the member that the walk has come to.
    #[inline]
    pub fn replace(&mut self, old: &Head, at: &Progress, member: &Member<'_>, value: &[u8]) {
        self.keep(old, at.old, member.start);
        self.text.extend_from_slice(value);
        self.table.push(member.start - member.separator - 1, value.len());
        (self.done, self.done_offset) = (at.old + 1, member.end);
    }

    /// Adds a member before the one that the walk has come to.
    pub fn add(&mut self, old: &Head, at: &Progress, prefix: &[u8], value: &[u8]) {
        self.keep(old, at.old, at.offset);
        self.append(prefix, value);
    }

    /// Leaves out the member that the walk has come to.
    pub fn remove(&mut self, old: &Head, at: &Progress, member: &Member<'_>) {
        self.keep(old, at.old, at.offset);
        (self.done, self.done_offset) = (at.old + 1, member.end);
    }

    /// Keeps the rest of the old head.
    pub fn close(&mut self, old: &Head, end: &Progress) {
        self.keep(old, end.old, end.offset);
        self.end();
    }

    /// Adds a member behind all others; `prefix` is the quoted key with its colon.
    #[inline]
    fn append(&mut self, prefix: &[u8], value: &[u8]) {
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        self.text.extend_from_slice(prefix);
        self.text.extend_from_slice(value);
        self.table.push(prefix.len(), value.len());
    }

    /// Adds a member behind all others; `body` is what stands between the quotes of its key, and `write`
    /// appends its value.
    pub fn append_written(&mut self, body: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.text.extend_from_slice(if self.text.is_empty() { b"{\"" } else { b",\"" });
        self.text.extend_from_slice(body);
        self.text.extend_from_slice(b"\":");
        let start = self.text.len();
        write(&mut self.text);
        self.table.push(body.len() + 3, self.text.len() - start);
    }

    /// Closes the object.
    pub fn end(&mut self) {
        self.text.extend_from_slice(if self.text.is_empty() { b"{}" } else { b"}" });
    }

    /// Writes a whole document.
    pub fn document(&mut self, document: Value<'_>, canonical: &mut Vec<u8>) -> Result<(), DiffError> {
        if document.kind() != intelgraph_json::Kind::Object {
            return Err(DiffError::NotADocument);
        }
        self.begin();
        for (key, value) in document.sorted_members() {
            let value = canonical_text(value, canonical);
            self.append(&key.prefix(), value);
        }
        self.end();
        Ok(())
    }

    /// Overwrites the text.
    pub fn wipe(&mut self) {
        wipe(&mut self.text);
        self.begin();
    }

    /// The head that was written.
    pub fn finish(&mut self) -> Result<Head, DiffError> {
        Head::assemble(&mut self.table, &self.text)
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Copies the members before `position` that are not accounted for, and the text up to `offset`.
    #[inline]
    fn keep(&mut self, old: &Head, position: usize, offset: usize) {
        let (table, text) = old.parts();
        if position > self.done {
            self.table.copy(&table, self.done..position);
        }
        if offset > self.done_offset {
            let start = self.text.len();
            self.text.extend_from_slice(&text[self.done_offset..offset]);
            // What is copied begins with a separator; which of the two depends on where that now stands.
            self.text[start] = if start == 0 { b'{' } else { b',' };
        }
        (self.done, self.done_offset) = (position, offset);
    }
}

impl Drop for HeadRewrite {
    fn drop(&mut self) {
        self.wipe();
    }
}
