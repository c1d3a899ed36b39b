//! Writing a new head from an old one: what lies unchanged between two changes is copied at once.

use intelgraph_json::Value;
use zeroize::Zeroize;

use crate::error::DiffError;
use crate::head::{Head, Member};
use crate::walk::canonical_text;

/// A head in the making. Reused from document to document; overwritten when it is dropped.
///
/// Members are kept, replaced, added and removed in canonical key order.
#[derive(Default)]
pub(crate) struct HeadRewrite {
    text: Vec<u8>,
    offsets: Vec<u32>,
    /// Up to where the old text is accounted for: copied, replaced or left out.
    done: usize,
}

impl HeadRewrite {
    pub fn begin(&mut self) {
        self.text.clear();
        self.offsets.clear();
        self.done = 0;
    }

    #[inline]
    pub fn keep(&mut self, member: &Member<'_>) {
        // It moves by what has been written less what that stands for, once the rest has been copied.
        let place = |offset: usize| (self.text.len() + offset - self.done) as u32;
        self.offsets.extend([place(member.start), place(member.end)]);
    }

    #[inline]
    pub fn replace(&mut self, member: &Member<'_>, value: &[u8]) {
        self.copy(member.text, member.start);
        self.value(value);
        self.done = member.end;
    }

    /// Adds a member before the place `before` of the old text, where a separator stands.
    pub fn add(&mut self, old: &[u8], before: usize, prefix: &[u8], value: &[u8]) {
        self.copy(old, before);
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        self.text.extend_from_slice(prefix);
        self.value(value);
    }

    /// Adds a member behind all others; `write` appends its value.
    pub fn append(&mut self, body: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.text.extend_from_slice(if self.text.is_empty() { b"{\"" } else { b",\"" });
        self.text.extend_from_slice(body);
        self.text.extend_from_slice(b"\":");
        let start = self.text.len();
        write(&mut self.text);
        self.offsets.extend([start as u32, self.text.len() as u32]);
    }

    pub fn remove(&mut self, member: &Member<'_>) {
        self.copy(member.text, member.separator);
        self.done = member.end;
    }

    /// Copies the old text to `end`, behind its last member, and closes the object.
    pub fn close(&mut self, old: &[u8], end: usize) {
        self.copy(old, end);
        self.text.extend_from_slice(if self.text.is_empty() { b"{}" } else { b"}" });
    }

    /// Writes a whole document.
    pub fn document(&mut self, document: Value<'_>, canonical: &mut Vec<u8>) -> Result<(), DiffError> {
        if document.kind() != intelgraph_json::Kind::Object {
            return Err(DiffError::NotADocument);
        }
        self.begin();
        for (key, value) in document.sorted_members() {
            self.add(&[], 0, &key.prefix(), canonical_text(value, canonical));
        }
        self.close(&[], 0);
        Ok(())
    }

    /// The head that was written.
    pub fn finish(&self) -> Result<Head, DiffError> {
        Head::assemble(&self.text, &self.offsets)
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What is copied begins with the separator before a member, which depends on where it comes to stand.
    #[inline]
    fn copy(&mut self, old: &[u8], to: usize) {
        if to > self.done {
            let at = self.text.len();
            self.text.extend_from_slice(&old[self.done..to]);
            self.text[at] = if at == 0 { b'{' } else { b',' };
            self.done = to;
        }
    }

    #[inline]
    fn value(&mut self, value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(value);
        self.offsets.extend([start as u32, self.text.len() as u32]);
    }
}

impl Zeroize for HeadRewrite {
    fn zeroize(&mut self) {
        self.text.zeroize();
        self.offsets.clear();
    }
}

impl Drop for HeadRewrite {
    fn drop(&mut self) {
        self.zeroize();
    }
}
