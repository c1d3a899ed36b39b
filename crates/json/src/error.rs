//! Why a document was refused: the rule, the place and the fix, never the content.

use std::fmt;

/// The rule that a document broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// No bytes, or nothing but whitespace.
    Empty,
    /// Not a document of RFC 8259.
    Syntax,
    /// A key occurs twice in one object, compared after unescaping.
    DuplicateKey,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// An unknown escape, or a `\u` escape that is half of a surrogate pair.
    InvalidEscape,
    /// More containers inside each other than [`Limits::max_depth`](crate::Limits::max_depth).
    TooDeep,
    /// More bytes than [`Limits::max_bytes`](crate::Limits::max_bytes).
    TooLarge,
    /// An integer beyond 64 bits (for [`jcs`](crate::jcs): beyond ±2^53), or a number beyond `f64`.
    NumberRange,
    /// A decimal with more digits than `f64` keeps.
    NumberPrecision,
}

impl ParseErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Empty,
        Self::Syntax,
        Self::DuplicateKey,
        Self::InvalidUtf8,
        Self::InvalidEscape,
        Self::TooDeep,
        Self::TooLarge,
        Self::NumberRange,
        Self::NumberPrecision,
    ];

    /// The stable reason, as it stands in `google.rpc.ErrorInfo.reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "JSON_EMPTY",
            Self::Syntax => "JSON_SYNTAX",
            Self::DuplicateKey => "JSON_DUPLICATE_KEY",
            Self::InvalidUtf8 => "JSON_INVALID_UTF8",
            Self::InvalidEscape => "JSON_INVALID_ESCAPE",
            Self::TooDeep => "JSON_TOO_DEEP",
            Self::TooLarge => "JSON_TOO_LARGE",
            Self::NumberRange => "NUMBER_RANGE",
            Self::NumberPrecision => "NUMBER_PRECISION",
        }
    }

    /// What the producer can do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Empty => "send one JSON document per record",
            Self::Syntax => "send one complete RFC 8259 document, with nothing before or after it",
            Self::DuplicateKey => "write each key of an object once",
            Self::InvalidUtf8 => "encode the document as UTF-8",
            Self::InvalidEscape => "use the escapes of RFC 8259 and write surrogates only as a pair",
            Self::TooDeep => "flatten the document, or ask for a greater depth limit",
            Self::TooLarge => "split the document, or ask for a greater size limit",
            Self::NumberRange => "send the number as a string",
            Self::NumberPrecision => "round the number to what a 64-bit float keeps, or send it as a string",
        }
    }
}

/// A refused document. [`Display`](fmt::Display) names the rule, the offset and the fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// The rule that was broken.
    pub kind: ParseErrorKind,
    /// Byte offset from the start of the document.
    pub offset: u32,
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self { kind, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.kind.reason(), self.offset, self.kind.fix())
    }
}
