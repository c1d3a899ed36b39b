//! Rules on members, each by its name.
//!
//! Objects of the same keys come again and again, so where their members' rules are is remembered by the keys: then
//! one comparison of all of them takes the place of a look-up for each.

use std::sync::OnceLock;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use intelgraph_json::{Key, Shape, Value};
use serde_json::{Map, Value as Tree};

use super::Rules;
use crate::fields::quoted;

/// Sets of keys that are remembered at one place of a schema. Others are looked up by name.
const ARRANGEMENTS: usize = 8;

/// What `properties`, `required` and `additionalProperties` ask of an object.
pub(crate) struct MemberRules {
    /// Places in `named`, by the name in quotes as the canonical form writes it: what a key shows without being read.
    places: HashMap<Box<[u8]>, usize, FixedState>,
    named: Vec<Member>,
    /// For members that are not named.
    others: Rules,
    required: usize,
    arrangements: [OnceLock<Arrangement>; ARRANGEMENTS],
}

struct Member {
    rules: Rules,
    required: bool,
}

/// The members of an object that was accepted. All of them are named, so what is remembered is bounded by the
/// contract, and the required ones are among them.
struct Arrangement {
    /// [`Shape::prefixes`], which equal objects of any parser have in common.
    prefixes: Box<[u8]>,
    /// In the order of the shape.
    places: Box<[usize]>,
}

impl MemberRules {
    /// Where nothing else looks at which members have been looked at.
    pub(crate) const KEYWORDS: [&str; 3] = ["properties", "required", "additionalProperties"];

    /// Takes the keywords, whose subschemas `compile` reads; `None` where that refuses.
    pub(crate) fn take(
        keywords: &mut Map<String, Tree>,
        mut compile: impl FnMut(&Tree) -> Option<Rules>,
    ) -> Option<Self> {
        let [properties, required, others] = Self::KEYWORDS.map(|keyword| keywords.remove(keyword));
        let others = others.unwrap_or(Tree::Bool(true));
        let (mut places, mut named) = (HashMap::default(), Vec::new());
        for (name, schema) in properties.iter().filter_map(Tree::as_object).flatten() {
            places.insert(quoted(name), named.len());
            named.push(Member { rules: compile(schema)?, required: false });
        }
        for name in required.iter().filter_map(Tree::as_array).flatten().filter_map(Tree::as_str) {
            let place = *places.entry(quoted(name)).or_insert(named.len());
            if place == named.len() {
                named.push(Member { rules: compile(&others)?, required: false });
            }
            named[place].required = true;
        }
        Some(Self {
            required: named.iter().filter(|member| member.required).count(),
            others: compile(&others)?,
            arrangements: Default::default(),
            places,
            named,
        })
    }

    /// The verdict on an object.
    pub(crate) fn accept(&self, object: &Value<'_>) -> bool {
        let Some((shape, values)) = object.shaped_values() else { return self.accept_by_name(object, None) };
        let Some(Arrangement { places, .. }) = self.arrangement(shape) else {
            return self.accept_by_name(object, Some(shape));
        };
        for (place, value) in places.iter().zip(values) {
            if !self.named[*place].rules.accept(&value) {
                return false;
            }
        }
        true
    }

    fn accept_by_name(&self, object: &Value<'_>, shape: Option<&Shape>) -> bool {
        let (mut named, mut required) = (0, 0);
        for (key, value) in object.members() {
            let rules = match self.named(key) {
                Some(member) => {
                    named += 1;
                    required += usize::from(member.required);
                    &member.rules
                }
                None => &self.others,
            };
            if !rules.accept(&value) {
                return false;
            }
        }
        // Keys do not repeat within an object, so each required one was counted once.
        if required < self.required {
            return false;
        }
        if let Some(shape) = shape.filter(|shape| shape.len() == named) {
            self.remember(shape);
        }
        true
    }

    #[inline]
    fn arrangement(&self, shape: &Shape) -> Option<&Arrangement> {
        let mut known = self.arrangements.iter().map_while(OnceLock::get);
        known.find(|known| *known.prefixes == *shape.prefixes())
    }

    /// Remembers the keys of an object that was accepted, while there is room.
    fn remember(&self, shape: &Shape) {
        let Some(free) = self.arrangements.iter().find(|known| known.get().is_none()) else { return };
        let place = |key: Key<'_>| self.places.get(&*key.quoted()).copied();
        if let Some(places) = shape.keys().map(place).collect() {
            // Where another thread comes first, the next object of these keys tries again.
            let _ = free.set(Arrangement { prefixes: shape.prefixes().into(), places });
        }
    }

    fn named(&self, key: Key<'_>) -> Option<&Member> {
        self.places.get(&*key.quoted()).map(|place| &self.named[*place])
    }

    /// The verdict on one member.
    pub(crate) fn accept_member(&self, key: Key<'_>, value: &Value<'_>) -> bool {
        self.named(key).map_or(&self.others, |member| &member.rules).accept(value)
    }

    /// Whether an object must have a member of that name.
    pub(crate) fn require(&self, name: &str) -> bool {
        self.places.get(&quoted(name)).is_some_and(|place| self.named[*place].required)
    }
}
