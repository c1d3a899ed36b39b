//! Arrays whose elements have a name of their own.

use std::fmt;

use intelgraph_json::Pointer;

use crate::encoded::{Path, PathStep};
use crate::key_order::escape;
use crate::spans::Spans;

/// Which arrays of a dataset's documents are keyed: their elements are objects that one member tells apart,
/// so that they are compared by that member and not by position. The contract names them.
#[derive(Clone, Default)]
pub struct KeyedArrays {
    arrays: Vec<KeyedArray>,
}

#[derive(Clone)]
struct KeyedArray {
    /// Keys as canonical text writes them between its quotes.
    steps: Vec<Vec<u8>>,
    /// The member's name, in the same form.
    member: Vec<u8>,
}

impl KeyedArrays {
    /// Says that the elements of the array at `array` are told apart by their member `member`. In the pointer
    /// `-` stands for every element of an array (and for a member of that name): `/orders/-/lines`.
    pub fn insert(&mut self, array: &Pointer, member: &str) {
        let steps = array.tokens().map(escape).collect();
        self.arrays.push(KeyedArray { steps, member: escape(member) });
    }

    /// The member that tells the elements of the array at `path` apart.
    pub(crate) fn member(&self, path: Path<'_>) -> Option<&[u8]> {
        let array = self.arrays.iter().find(|array| {
            array.steps.len() == path.steps().len()
                && path.steps().zip(&array.steps).all(|(step, token)| match step {
                    PathStep::Key(body) => body == token,
                    PathStep::Index(_) => token == b"-",
                })
        })?;
        Some(&array.member)
    }
}

impl fmt::Debug for KeyedArrays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedArrays").field("arrays", &self.arrays.len()).finish_non_exhaustive()
    }
}

/// The keys of an array's elements, sorted, each with the element's position; `None` unless every element
/// has one that is a string, number, boolean or null and no two have the same.
pub(crate) fn sorted_keys<'t>(
    spans: &Spans,
    text: &'t [u8],
    elements: &[u32],
    member: &[u8],
) -> Option<Vec<(&'t [u8], u32)>> {
    let mut keys = Vec::with_capacity(elements.len());
    for (position, &element) in elements.iter().enumerate() {
        if text[spans.get(element).start as usize] != b'{' {
            return None;
        }
        let key = spans.children(text, element).find(|&key| {
            let quoted = spans.text(text, key);
            &quoted[1..quoted.len() - 1] == member
        })?;
        let value = spans.text(text, key + 1);
        if matches!(value[0], b'{' | b'[') {
            return None;
        }
        keys.push((value, position as u32));
    }
    keys.sort_unstable();
    keys.windows(2).all(|pair| pair[0].0 != pair[1].0).then_some(keys)
}
