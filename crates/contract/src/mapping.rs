//! From a record to its entity key and its event time.

use intelgraph_json::{Kind, Pointer, Value, write_canonical};

use crate::contract::Contract;
use crate::document::EntityRef;
use crate::event_time;
use crate::violation::{Rule, Violation};

const STRING: u8 = 1;
const NUMBER: u8 = 2;
const BOOLEAN: u8 = 3;

impl Contract {
    /// Appends the typed key of the record's entity to `out`, without allocating otherwise.
    ///
    /// Each part is a type (1 string, 2 number, 3 boolean), the length of its canonical JSON token as
    /// big-endian u32, and the token. So `"1"` is not `1`, `("a", "bc")` is not `("ab", "c")`, and equal values
    /// give equal keys however they were written. Violations: `ENTITY_KEY_MISSING`, `ENTITY_KEY_NOT_SCALAR`;
    /// what was appended until then is removed.
    pub fn entity_key(&self, record: Value<'_>, out: &mut Vec<u8>) -> Result<(), Box<Violation>> {
        let start = out.len();
        write_key(&self.document().mapping.entity, record, out)
            .inspect_err(|_| out.truncate(start))
            .map_err(|fault| fault.violation())
    }

    /// The same key from what a delete names: an object that holds the members of the key where a record holds
    /// them, or the bare value of a key with one part. Gives the very bytes of [`Contract::entity_key`].
    pub fn entity_key_of_delete(&self, key: Value<'_>, out: &mut Vec<u8>) -> Result<(), Box<Violation>> {
        if key.kind() == Kind::Object {
            return self.entity_key(key, out);
        }
        let [pointer] = &self.document().mapping.entity.key[..] else {
            return Err(
                Violation::of_rule(Rule::EntityKeyMissing, "", "/mapping/entity/key", Some(key)).into()
            );
        };
        write_part(0, pointer, Some(key), out).map_err(|fault| fault.violation())
    }

    /// The event time of a record in microseconds since the Unix epoch; `None` where the contract names none,
    /// or the record has none or null. `now_us` is the time of receipt. Violations: `EVENT_TIME_INVALID`,
    /// `EVENT_TIME_FUTURE`.
    pub fn event_time(&self, record: Value<'_>, now_us: i64) -> Result<Option<i64>, Box<Violation>> {
        let Some(time) = &self.document().mapping.event_time else { return Ok(None) };
        let Some(value) = record.pointer(&time.pointer).filter(|value| value.kind() != Kind::Null) else {
            return Ok(None);
        };
        let broken =
            |rule, schema| Box::new(Violation::of_rule(rule, time.pointer.to_string(), schema, Some(value)));
        let event_us = event_time::read(value, time.format)
            .ok_or_else(|| broken(Rule::EventTimeInvalid, "/mapping/eventTime/format"))?;
        let skew_us = i64::from(self.document().sla.future_skew_ms) * 1000;
        if event_us > now_us.saturating_add(skew_us) {
            return Err(broken(Rule::EventTimeFuture, "/sla/futureSkewMs"));
        }
        Ok(Some(event_us))
    }

    /// The conflict of a record whose entity already has another content at its event time. For contracts
    /// with `sla.dedupe`, after a look into the log.
    pub fn dedupe_conflict(&self, record: Value<'_>) -> Violation {
        let time = self.document().mapping.event_time.as_ref().map(|time| &time.pointer);
        let found = time.and_then(|pointer| record.pointer(pointer)).unwrap_or(record);
        let instance = time.map(Pointer::to_string).unwrap_or_default();
        Violation::of_rule(Rule::DedupeConflict, instance, "/sla/dedupe", Some(found))
    }
}

/// A part of a key that cannot be taken.
struct KeyFault<'a> {
    rule: Rule,
    part: usize,
    pointer: &'a Pointer,
    found: Option<Value<'a>>,
}

impl KeyFault<'_> {
    #[cold]
    fn violation(self) -> Box<Violation> {
        let schema = format!("/mapping/entity/key/{}", self.part);
        Violation::of_rule(self.rule, self.pointer.to_string(), &schema, self.found).into()
    }
}

fn write_key<'a>(entity: &'a EntityRef, record: Value<'a>, out: &mut Vec<u8>) -> Result<(), KeyFault<'a>> {
    entity
        .key
        .iter()
        .enumerate()
        .try_for_each(|(part, pointer)| write_part(part, pointer, record.pointer(pointer), out))
}

fn write_part<'a>(
    part: usize,
    pointer: &'a Pointer,
    found: Option<Value<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), KeyFault<'a>> {
    let fault = |rule| KeyFault { rule, part, pointer, found };
    let value = found.ok_or_else(|| fault(Rule::EntityKeyMissing))?;
    let tag = match value.kind() {
        Kind::String => STRING,
        Kind::Number => NUMBER,
        Kind::True | Kind::False => BOOLEAN,
        Kind::Null => return Err(fault(Rule::EntityKeyMissing)),
        Kind::Object | Kind::Array => return Err(fault(Rule::EntityKeyNotScalar)),
    };
    out.push(tag);
    let length = out.len();
    out.extend_from_slice(&[0; 4]);
    write_canonical(value, out);
    // A token is shorter than its document, and that is below 4 GiB.
    let size = (out.len() - length - 4) as u32;
    out[length..length + 4].copy_from_slice(&size.to_be_bytes());
    Ok(())
}
