//! A second opinion on JSON: `serde_json` for the grammar, arithmetic on text for the numbers, a set for the
//! keys. Slow, and shares no code with the parser. Also compiled into the fuzz target.

pub mod agreement;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A document, independent of how it was written. Keys are UTF-16, so that they sort as RFC 8785 asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(Decimal),
    String(String),
    Array(Vec<Tree>),
    Object(BTreeMap<Vec<u16>, Tree>),
}

/// ±digits × 10^power without zeros at either end; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    pub negative: bool,
    pub digits: String,
    pub power: i128,
}

/// The document, if it keeps every rule of records.
pub fn read(bytes: &[u8], max_depth: usize) -> Option<Tree> {
    std::str::from_utf8(bytes).ok()?;
    tree(serde_json::from_slice(bytes).ok()?, max_depth)
}

fn tree(raw: &RawValue, depth_left: usize) -> Option<Tree> {
    let text = raw.get();
    match text.as_bytes()[0] {
        b'n' => Some(Tree::Null),
        b't' => Some(Tree::Bool(true)),
        b'f' => Some(Tree::Bool(false)),
        b'"' => serde_json::from_str(text).ok().map(Tree::String),
        b'[' => {
            let depth_left = depth_left.checked_sub(1)?;
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            elements
                .into_iter()
                .map(|element| tree(element, depth_left))
                .collect::<Option<_>>()
                .map(Tree::Array)
        }
        b'{' => {
            let depth_left = depth_left.checked_sub(1)?;
            let Members(members) = serde_json::from_str(text).ok()?;
            let members = members.into_iter().map(|(key, member)| Some((key, tree(member, depth_left)?)));
            members.collect::<Option<_>>().map(Tree::Object)
        }
        _ => number(text).map(Tree::Number),
    }
}

struct Members<'a>(BTreeMap<Vec<u16>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object whose keys differ")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.insert(key.encode_utf16().collect(), value).is_some() {
                        return Err(A::Error::custom("a key occurs twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn number(token: &str) -> Option<Decimal> {
    if !token.contains(['.', 'e', 'E']) {
        let fits = token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok();
        return fits.then(|| decimal(token));
    }
    let float: f64 = token.parse().ok()?;
    let written = decimal(token);
    (float.is_finite() && written == kept(float)).then_some(written)
}

/// The shortest decimal that reads as this float; of two equally near ones the even one, as in ECMAScript.
/// (Rust's own formatting takes the odd one at times: 1270269569687045.25.)
pub fn kept(float: f64) -> Decimal {
    decimal(&serde_json::to_string(&float).expect("a float can be written"))
}

/// What a number token denotes.
pub fn decimal(token: &str) -> Decimal {
    let (negative, size) = token.strip_prefix('-').map_or((false, token), |size| (true, size));
    let (mantissa, power) = size.split_once(['e', 'E']).unwrap_or((size, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Decimal { negative: false, digits: String::new(), power: 0 };
    }
    // Tokens of fuzzers have powers of any length; beyond these sizes they only need to differ from floats.
    let power: i128 = power.parse().unwrap_or(if power.starts_with('-') { -(1 << 100) } else { 1 << 100 });
    let power = power - fraction.len() as i128 + (digits.len() - significant.len()) as i128;
    Decimal { negative, digits: significant.into(), power }
}
