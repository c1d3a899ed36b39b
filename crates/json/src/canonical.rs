//! The canonical form of a document.
//!
//! Both forms sort keys by UTF-16 code units, drop whitespace and keep only the escapes that are needed
//! (RFC 8785 §3.2). They differ in numbers. [`jcs`] is RFC 8785 unchanged: every number is an `f64`.
//! [`canonical`], the form of records, keeps integers exact up to 64 bits where RFC 8785 would round them
//! beyond 2^53 and hide a change, refuses decimals that `f64` would round, and therefore writes floats of 64
//! bits or more with an exponent (`1e+20`), since an integer of that size is refused.

use crate::error::ParseError;
use crate::limits::Limits;
use crate::number::NumberRule;
use crate::parser::Parser;
use crate::string;
use crate::tape::Tape;
use crate::value::{Kind, Value};

/// Appends the canonical form of a record, or of a value within one.
pub fn write_canonical(value: Value<'_>, out: &mut Vec<u8>) {
    write(value, NumberRule::Record, out);
}

/// The canonical form of a record.
///
/// # Errors
/// The rule that the document breaks.
pub fn canonical(source: &[u8], limits: Limits) -> Result<Vec<u8>, ParseError> {
    rewrite(source, limits, NumberRule::Record)
}

/// The form of RFC 8785, for contract documents and other small texts within I-JSON (RFC 7493).
///
/// # Errors
/// The rule that the document breaks; [`NumberRange`](crate::ParseErrorKind::NumberRange) for a number that
/// would be written as an integer beyond ±2^53.
pub fn jcs(source: &[u8], limits: Limits) -> Result<Vec<u8>, ParseError> {
    rewrite(source, limits, NumberRule::IJson)
}

fn rewrite(source: &[u8], limits: Limits, rule: NumberRule) -> Result<Vec<u8>, ParseError> {
    let mut tape = Tape::default();
    let root = Parser::with_numbers(limits, rule).parse(&mut tape, source, 0..source.len())?;
    let mut out = Vec::with_capacity(source.len());
    write(tape.value(source, root), rule, &mut out);
    Ok(out)
}

fn write(value: Value<'_>, rule: NumberRule, out: &mut Vec<u8>) {
    if value.is_canonical() {
        return out.extend_from_slice(value.raw());
    }
    match value.kind() {
        Kind::Object => {
            out.push(b'{');
            for (position, (key, member)) in value.sorted_members().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&key.prefix());
                write(member, rule, out);
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for (position, element) in value.elements().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write(element, rule, out);
            }
            out.push(b']');
        }
        Kind::String => string::write(&value.as_str().unwrap_or_default(), out),
        Kind::Number => {
            if let Some(number) = value.number() {
                number.write(rule, out);
            }
        }
        Kind::True | Kind::False | Kind::Null => out.extend_from_slice(value.raw()),
    }
}
