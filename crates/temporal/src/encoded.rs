//! The stored form of a diff: how it is written and read.
//!
//! ```text
//! diff  = format(1) ‖ hash(16, big-endian) ‖ operation*
//! operation = 'r' ‖ path ‖ old ‖ new | 'a' ‖ path ‖ new | 'd' ‖ path ‖ old
//! path  = varint(steps) ‖ step*
//! step  = varint(length << 1) ‖ key, as canonical JSON writes it between its quotes
//!       | varint(index << 1 | 1)
//! old, new = varint(length) ‖ canonical JSON
//! varint = LEB128 of at most 32 bits
//! ```
//! The hash is that of the document that results, all zero where none does. Operations apply one after the
//! other: an index counts in the array as the operations before have left it; `a` inserts before the element
//! at its index or behind the last, `d` closes the gap. A path without steps is the document itself: `a`
//! begins it, `d` ends it. Each operation carries all that its inverse needs.

use crate::error::DiffError;
use crate::spans::is_string_body;
use crate::wipe::wipe;

/// The format that this version writes and reads.
pub const DIFF_FORMAT: u8 = 1;

/// Length of format and hash.
pub(crate) const HEADER: usize = 1 + 16;

/// The deepest change that gets operations of its own; what lies deeper is replaced together with its
/// surroundings. The default depth limit of documents.
pub(crate) const MAX_STEPS: usize = 64;

/// What a diff may cost those who apply it: one unit an operation, and one for every element or member of a
/// container into or out of which an operation moves something. Beyond it the differ replaces the container,
/// and reading refuses: 2^26 element moves are about a quarter of a second.
pub const MAX_WORK: u64 = 1 << 26;

/// What an operation does at its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Replace,
    Add,
    Remove,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Replace => b'r',
            Self::Add => b'a',
            Self::Remove => b'd',
        }
    }
}

/// The path to where the differ is.
#[derive(Default)]
pub(crate) struct PathBuf {
    bytes: Vec<u8>,
    steps: usize,
}

impl PathBuf {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.steps = 0;
    }

    pub fn wipe(&mut self) {
        wipe(&mut self.bytes);
        self.steps = 0;
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Steps into a member or an element; gives what [`leave`](Self::leave) needs.
    pub fn enter(&mut self, step: PathStep<'_>) -> usize {
        let mark = self.bytes.len();
        match step {
            PathStep::Key(body) => {
                put_varint(&mut self.bytes, body.len() << 1);
                self.bytes.extend_from_slice(body);
            }
            PathStep::Index(index) => put_varint(&mut self.bytes, index << 1 | 1),
        }
        self.steps += 1;
        mark
    }

    pub fn leave(&mut self, mark: usize) {
        self.bytes.truncate(mark);
        self.steps -= 1;
    }

    pub fn path(&self) -> Path<'_> {
        Path { bytes: &self.bytes, steps: self.steps }
    }
}

/// Begins a diff whose hash is not known yet; gives its place for [`set_hash`].
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.push(DIFF_FORMAT);
    out.extend_from_slice(&[0; 16]);
    start
}

pub(crate) fn set_hash(out: &mut [u8], start: usize, hash: u128) {
    out[start + 1..start + HEADER].copy_from_slice(&hash.to_be_bytes());
}

/// Writes an operation; the texts are old and new, as the kind has them.
#[inline]
pub(crate) fn put_operation(out: &mut Vec<u8>, kind: Kind, path: &PathBuf, texts: &[&[u8]]) {
    out.push(kind.tag());
    put_varint(out, path.steps);
    out.extend_from_slice(&path.bytes);
    for text in texts {
        put_varint(out, text.len());
        out.extend_from_slice(text);
    }
}

/// Writes an operation on a top-level member.
#[inline]
pub(crate) fn put_member_operation(out: &mut Vec<u8>, kind: Kind, body: &[u8], texts: &[&[u8]]) {
    out.extend_from_slice(&[kind.tag(), 1]);
    put_varint(out, body.len() << 1);
    out.extend_from_slice(body);
    for text in texts {
        put_varint(out, text.len());
        out.extend_from_slice(text);
    }
}

/// Length of a replacement as [`put_operation`] writes it.
pub(crate) fn replacement_len(path: &PathBuf, old: &[u8], new: &[u8]) -> usize {
    let varints = [path.steps, old.len(), new.len()].map(varint_len).iter().sum::<usize>();
    1 + path.bytes.len() + old.len() + new.len() + varints
}

#[inline]
fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: usize) -> usize {
    (value.max(1).ilog2() as usize) / 7 + 1
}

/// An encoded diff with its header read.
#[derive(Clone, Copy)]
pub struct EncodedDiff<'a> {
    hash: u128,
    bytes: &'a [u8],
}

impl<'a> EncodedDiff<'a> {
    /// Reads the header. Operations are read as they are applied.
    ///
    /// # Errors
    /// [`DiffError::Format`], [`DiffError::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DiffError> {
        let malformed = DiffError::Malformed { at: bytes.len() };
        let (&[format], rest) = bytes.split_first_chunk().ok_or(malformed)?;
        if format != DIFF_FORMAT {
            return Err(DiffError::Format(format));
        }
        let (&hash, _) = rest.split_first_chunk().ok_or(malformed)?;
        u32::try_from(bytes.len()).map_err(|_| malformed)?;
        Ok(Self { hash: u128::from_be_bytes(hash), bytes })
    }

    /// The [hash](crate::Head::hash) of the document that results; 0 where none does.
    pub fn resulting_hash(self) -> u128 {
        self.hash
    }

    pub(crate) fn operations(self) -> Operations<'a> {
        Operations { bytes: self.bytes, at: HEADER }
    }

    /// The operations from the last to the first.
    pub(crate) fn operations_reversed(self) -> Result<impl Iterator<Item = Operation<'a>>, DiffError> {
        let (mut starts, mut operations) = (Vec::new(), self.operations());
        loop {
            let at = operations.at;
            match operations.next() {
                Some(Ok(_)) => starts.push(at as u32),
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        let read = move |at: u32| Operations { bytes: self.bytes, at: at as usize }.next()?.ok();
        Ok(starts.into_iter().rev().filter_map(read))
    }
}

/// One operation. Which texts are there is a matter of the kind; the other is empty.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub kind: Kind,
    pub path: Path<'a>,
    pub old: &'a [u8],
    pub new: &'a [u8],
}

impl Operation<'_> {
    /// What undoes the operation.
    pub fn inverted(self) -> Self {
        let kind = match self.kind {
            Kind::Replace => Kind::Replace,
            Kind::Add => Kind::Remove,
            Kind::Remove => Kind::Add,
        };
        Self { kind, old: self.new, new: self.old, ..self }
    }
}

/// A path that has been read and found well-formed.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    bytes: &'a [u8],
    steps: usize,
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathStep<'a> {
    Key(&'a [u8]),
    Index(usize),
}

impl<'a> Path<'a> {
    pub fn steps(self) -> impl ExactSizeIterator<Item = PathStep<'a>> {
        let mut reader = Reader { bytes: self.bytes, at: 0 };
        // Read once already, so that a step cannot fail.
        (0..self.steps).map(move |_| reader.step().unwrap_or(PathStep::Index(usize::MAX)))
    }
}

/// The operations of a diff in order; ends after the first that cannot be read.
pub(crate) struct Operations<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Operations<'a> {
    type Item = Result<Operation<'a>, DiffError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let mut reader = Reader { bytes: self.bytes, at: self.at };
        let operation = reader.operation();
        self.at = if operation.is_ok() { reader.at } else { self.bytes.len() };
        Some(operation)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn operation(&mut self) -> Result<Operation<'a>, DiffError> {
        let kind = match self.take(1)? {
            b"r" => Kind::Replace,
            b"a" => Kind::Add,
            b"d" => Kind::Remove,
            _ => return Err(DiffError::Malformed { at: self.at - 1 }),
        };
        let path = self.path()?;
        let old = if kind == Kind::Add { &[] } else { self.text()? };
        let new = if kind == Kind::Remove { &[] } else { self.text()? };
        Ok(Operation { kind, path, old, new })
    }

    fn path(&mut self) -> Result<Path<'a>, DiffError> {
        let at = self.at;
        let steps = self.varint()?;
        if steps > MAX_STEPS {
            return Err(DiffError::Malformed { at });
        }
        let start = self.at;
        for _ in 0..steps {
            let at = self.at;
            if matches!(self.step()?, PathStep::Key(body) if !is_string_body(body)) {
                return Err(DiffError::Malformed { at });
            }
        }
        Ok(Path { bytes: &self.bytes[start..self.at], steps })
    }

    fn step(&mut self) -> Result<PathStep<'a>, DiffError> {
        let head = self.varint()?;
        Ok(if head & 1 == 1 { PathStep::Index(head >> 1) } else { PathStep::Key(self.take(head >> 1)?) })
    }

    fn text(&mut self) -> Result<&'a [u8], DiffError> {
        let length = self.varint()?;
        self.take(length)
    }

    fn varint(&mut self) -> Result<usize, DiffError> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value)
                    .map(|value| value as usize)
                    .map_err(|_| DiffError::Malformed { at: self.at });
            }
        }
        Err(DiffError::Malformed { at: self.at })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DiffError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(DiffError::Malformed { at: self.at })?;
        self.at += length;
        Ok(taken)
    }
}
