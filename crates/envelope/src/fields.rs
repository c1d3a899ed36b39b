//! Length-prefixed fields, laid side by side without a trip to the heap.

/// What is authenticated beside a record, or hashed into its id, usually fits here.
const ON_STACK: usize = 256;

/// A message built from fields. Every field of variable length carries its length (u32, big-endian),
/// so that no two lists of fields make the same message.
pub(crate) struct Fields {
    stack: [u8; ON_STACK],
    used: usize,
    /// Takes over, whole, once the stack is too small.
    spill: Vec<u8>,
}

impl Fields {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { stack: [0; ON_STACK], used: 0, spill: Vec::new() }
    }

    /// Appends bytes whose length the format fixes.
    #[inline]
    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        if end <= ON_STACK {
            self.stack[self.used..end].copy_from_slice(bytes);
            self.used = end;
        } else {
            self.append_to_spill(bytes);
        }
    }

    /// Appends bytes, their length first. None come near 4 GiB: gRPC counts a message in 32 bits.
    #[inline]
    pub(crate) fn prefixed(&mut self, bytes: &[u8]) {
        self.fixed(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.fixed(bytes);
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.spill.is_empty() { &self.stack[..self.used] } else { &self.spill }
    }

    #[cold]
    fn append_to_spill(&mut self, bytes: &[u8]) {
        if self.spill.is_empty() {
            self.spill.extend_from_slice(&self.stack[..self.used]);
            // From here on nothing fits the stack.
            self.used = ON_STACK;
        }
        self.spill.extend_from_slice(bytes);
    }
}
