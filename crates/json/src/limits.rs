//! How large and how deep a document may be.

/// Bounds that a document must keep; checked before and while it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the document in bytes, whitespace included. Default 1 MiB.
    pub max_bytes: u32,
    /// Containers inside each other: `[[1]]` has depth 2. Default 64. Values above [`Limits::DEEPEST`]
    /// count as that.
    pub max_depth: u16,
}

impl Limits {
    /// Parsing and writing recurse once per level; this many levels fit the stack of any thread.
    pub const DEEPEST: u16 = 512;

    pub(crate) fn depth(self) -> u16 {
        self.max_depth.min(Self::DEEPEST)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 64 }
    }
}
