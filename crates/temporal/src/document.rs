//! A document that operations are applied to.
//!
//! Values stay the text that they are until an operation reaches inside; only what lies on its path is taken
//! apart, one level at a time.

use crate::encoded::{Kind, MAX_WORK, Operation, PathStep};
use crate::error::DiffError;
use crate::head::Head;
use crate::key_order::key_order;
use crate::rewrite::HeadRewrite;
use crate::spans::Spans;

/// A document, or the absence of one.
pub(crate) struct Document<'a> {
    root: Option<Node<'a>>,
    spans: Spans,
    work: u64,
    /// What the document may have grown to: its length and that of all that was put into it.
    length: usize,
}

enum Node<'a> {
    /// Canonical text that nobody has looked into.
    Text(&'a [u8]),
    /// Members in canonical key order; keys as the text writes them between their quotes.
    Object(Vec<(&'a [u8], Node<'a>)>),
    Array(Vec<Node<'a>>),
}

impl<'a> Document<'a> {
    pub fn of_head(head: Option<&'a Head>) -> Self {
        let members =
            |head: &'a Head| head.members().map(|member| (member.body(), Node::Text(member.value())));
        let root = head.map(|head| Node::Object(members(head).collect()));
        Self { root, spans: Spans::default(), work: 0, length: head.map_or(0, |head| head.json().len()) }
    }

    /// Whether there is a document.
    pub fn exists(&self) -> bool {
        self.root.is_some()
    }

    /// Allows the work of one more diff.
    pub fn begin_diff(&mut self) {
        self.work = 0;
    }

    /// Applies one operation; `number` is its ordinal, for the error.
    pub fn apply(&mut self, number: usize, operation: &Operation<'a>) -> Result<(), DiffError> {
        if operation.kind != Kind::Remove {
            self.spans.check(operation.new)?;
            self.length += operation.new.len();
        }
        let no_place = DiffError::NoSuchPlace { operation: number };
        let mut steps = operation.path.steps();
        let Some(mut step) = steps.next() else { return self.apply_to_root(number, operation) };
        let mut node = self.root.as_mut().ok_or(no_place)?;
        for next in steps {
            node = node.child(step, &mut self.spans)?.ok_or(no_place)?;
            step = next;
        }
        node.open(&mut self.spans)?;
        self.work += 1 + if operation.kind == Kind::Replace { 0 } else { node.len() as u64 };
        if self.work > MAX_WORK {
            return Err(DiffError::TooMuchWork);
        }
        match operation.kind {
            Kind::Add => node.add(step, Node::Text(operation.new)).ok_or(no_place),
            Kind::Remove => {
                node.child(step, &mut self.spans)?.ok_or(no_place)?.expect(number, operation.old)?;
                node.remove(step).ok_or(no_place)
            }
            Kind::Replace => {
                let child = node.child(step, &mut self.spans)?.ok_or(no_place)?;
                child.expect(number, operation.old)?;
                *child = Node::Text(operation.new);
                Ok(())
            }
        }
    }

    fn apply_to_root(&mut self, number: usize, operation: &Operation<'a>) -> Result<(), DiffError> {
        match (&self.root, operation.kind) {
            (None, Kind::Add) => {}
            (Some(root), Kind::Remove | Kind::Replace) => root.expect(number, operation.old)?,
            _ => return Err(DiffError::NoSuchPlace { operation: number }),
        }
        self.root = (operation.kind != Kind::Remove).then_some(Node::Text(operation.new));
        Ok(())
    }

    /// The head of the document as it is now.
    pub fn head(&self) -> Result<Option<Head>, DiffError> {
        let members = match &self.root {
            None => return Ok(None),
            Some(Node::Text(text)) => return Head::of_canonical(text).map(Some),
            Some(Node::Array(_)) => return Err(DiffError::NotADocument),
            Some(Node::Object(members)) => members,
        };
        let mut head = HeadRewrite::with_capacity(self.length);
        for (body, value) in members {
            head.append_written(body, |out| value.write(out));
        }
        head.end();
        head.finish().map(Some)
    }
}

impl<'a> Node<'a> {
    /// Takes the text of a container apart.
    fn open(&mut self, spans: &mut Spans) -> Result<(), DiffError> {
        let Self::Text(text) = *self else { return Ok(()) };
        match text.first() {
            Some(b'{') => {
                spans.scan(text)?;
                let member = |key| {
                    let quoted = spans.text(text, key);
                    (&quoted[1..quoted.len() - 1], Self::Text(spans.text(text, key + 1)))
                };
                *self = Self::Object(spans.children(text, 0).map(member).collect());
            }
            Some(b'[') => {
                spans.scan(text)?;
                let element = |index| Self::Text(spans.text(text, index));
                *self = Self::Array(spans.children(text, 0).map(element).collect());
            }
            _ => {}
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(_) => 0,
            Self::Object(members) => members.len(),
            Self::Array(elements) => elements.len(),
        }
    }

    fn child(&mut self, step: PathStep<'a>, spans: &mut Spans) -> Result<Option<&mut Self>, DiffError> {
        self.open(spans)?;
        Ok(match (self, step) {
            (Self::Object(members), PathStep::Key(body)) => {
                position(members, body).ok().map(|at| &mut members[at].1)
            }
            (Self::Array(elements), PathStep::Index(index)) => elements.get_mut(index),
            _ => None,
        })
    }

    /// Inserts a value where there is none; `None` where it has no place.
    fn add(&mut self, step: PathStep<'a>, value: Self) -> Option<()> {
        match (self, step) {
            (Self::Object(members), PathStep::Key(body)) => {
                let at = position(members, body).err()?;
                members.insert(at, (body, value));
            }
            (Self::Array(elements), PathStep::Index(index)) if index <= elements.len() => {
                elements.insert(index, value);
            }
            _ => return None,
        }
        Some(())
    }

    fn remove(&mut self, step: PathStep<'a>) -> Option<()> {
        match (self, step) {
            (Self::Object(members), PathStep::Key(body)) => {
                members.remove(position(members, body).ok()?);
            }
            (Self::Array(elements), PathStep::Index(index)) if index < elements.len() => {
                elements.remove(index);
            }
            _ => return None,
        }
        Some(())
    }

    /// Checks that the value is the one that the diff was made from.
    fn expect(&self, number: usize, text: &[u8]) -> Result<(), DiffError> {
        let mut rest = text;
        let is_text = self.each_piece(&mut |piece| match rest.strip_prefix(piece) {
            Some(behind) => {
                rest = behind;
                true
            }
            None => false,
        });
        let equal = is_text && rest.is_empty();
        if equal { Ok(()) } else { Err(DiffError::OldValueDiffers { operation: number }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.each_piece(&mut |piece| {
            out.extend_from_slice(piece);
            true
        });
    }

    /// Visits the canonical text piece by piece for as long as the visitor asks for more.
    fn each_piece(&self, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Text(text) => visit(text),
            Self::Object(members) => {
                visit(b"{")
                    && members.iter().enumerate().all(|(at, (body, value))| {
                        visit(if at == 0 { b"\"" } else { b",\"" })
                            && visit(body)
                            && visit(b"\":")
                            && value.each_piece(visit)
                    })
                    && visit(b"}")
            }
            Self::Array(elements) => {
                visit(b"[")
                    && elements
                        .iter()
                        .enumerate()
                        .all(|(at, value)| (at == 0 || visit(b",")) && value.each_piece(visit))
                    && visit(b"]")
            }
        }
    }
}

/// Where a key is among members, or where it would stand.
fn position(members: &[(&[u8], Node<'_>)], body: &[u8]) -> Result<usize, usize> {
    members.binary_search_by(|(other, _)| key_order(other, body))
}
