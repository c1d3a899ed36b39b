//! Rules on elements: how many, and what each of them is.

use std::ops::RangeInclusive;

use intelgraph_json::Value;
use serde_json::{Map, Value as Tree};

use super::{Rules, take_count};

/// What is asked of an array.
pub(super) struct ElementRules {
    count: RangeInclusive<u64>,
    each: Rules,
}

impl ElementRules {
    /// Where nothing else looks at which elements have been looked at.
    pub(super) const KEYWORDS: [&str; 3] = ["items", "minItems", "maxItems"];

    /// Takes the keywords; `None` where the library does not compile a subschema.
    pub(super) fn take(keywords: &mut Map<String, Tree>) -> Option<Self> {
        let (least, most) = (take_count(keywords, "minItems"), take_count(keywords, "maxItems"));
        let each = keywords.remove("items").unwrap_or(Tree::Bool(true));
        Some(Self { count: least.unwrap_or(0)..=most.unwrap_or(u64::MAX), each: Rules::of(&each)? })
    }

    pub(super) fn accept(&self, array: &Value<'_>) -> bool {
        self.count.contains(&(array.len() as u64))
            && array.elements().all(|element| self.each.accept(&element))
    }
}
