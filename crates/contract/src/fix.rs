//! From a broken keyword of JSON Schema to what the sender can do about it.
//!
//! Only the contract is quoted, never the value: limits, patterns and allowed values are the contract's own.

use serde_json::Value;

/// Longer quotes from the contract are left out.
const LONGEST_QUOTE: usize = 160;

/// The fix for a broken `keyword` whose value in the schema is `limit`. `kind` is the type that was found, as
/// in [`crate::ValueShape::kind`]. `does` is what the reader does with the value: send it, or write it.
pub(crate) fn fix(does: &str, keyword: &str, limit: Option<&Value>, kind: &str) -> String {
    let limit = limit.unwrap_or(&Value::Null);
    let quote = quoted(limit);
    let quote = quote.as_deref().unwrap_or("what the contract says");
    let what = match keyword {
        "type" if kind == "null" => {
            format!("{} instead of null, or let the contract accept null", types(limit))
        }
        "type" => types(limit),
        "required" => "the member, or make it optional in the contract".into(),
        "enum" => format!("one of {quote}"),
        "const" => quote.into(),
        "pattern" => format!("text that matches {quote}"),
        "format" => format!("text in the format {quote}"),
        "minimum" => format!("a number of at least {quote}"),
        "maximum" => format!("a number of at most {quote}"),
        "exclusiveMinimum" => format!("a number above {quote}"),
        "exclusiveMaximum" => format!("a number below {quote}"),
        "multipleOf" => format!("a multiple of {quote}"),
        "minLength" => format!("at least {quote} characters"),
        "maxLength" => format!("at most {quote} characters"),
        "minItems" => format!("at least {quote} elements"),
        "maxItems" => format!("at most {quote} elements"),
        "uniqueItems" => "each element once".into(),
        "contains" => "the elements that the contract asks for, as many as it asks for".into(),
        "minProperties" => format!("at least {quote} members"),
        "maxProperties" => format!("at most {quote} members"),
        "propertyNames" => "member names as the contract asks for them".into(),
        "anyOf" => "a value that one of the contract's alternatives accepts".into(),
        "oneOf" => "a value that exactly one of the contract's alternatives accepts".into(),
        "not" => "a value that the contract does not exclude".into(),
        "additionalProperties" | "unevaluatedProperties" => {
            return "remove the member, or declare it in the contract".into();
        }
        "unevaluatedItems" => return "remove the element, or declare it in the contract".into(),
        "falseSchema" => return "remove the value; the contract allows none here".into(),
        _ => "a value that the contract accepts".into(),
    };
    format!("{does} {what}")
}

/// `name`, or the declared name that it was probably meant to be.
pub(crate) fn meant<'a>(name: &str, declared: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in short names, two in longer ones; a difference in case or separators is no slip at all.
    let folded = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let name = folded(name);
    let slips = if name.chars().count() > 5 { 2 } else { 1 };
    declared
        .map(|known| (strsim::damerau_levenshtein(&name, &folded(known)), known))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, known)| known)
}

fn quoted(limit: &Value) -> Option<String> {
    let text = match limit {
        Value::String(text) => text.clone(),
        limit => limit.to_string(),
    };
    (!limit.is_null() && text.len() <= LONGEST_QUOTE).then_some(text)
}

fn types(limit: &Value) -> String {
    let article = |name: &str| match name {
        "null" => "null".into(),
        "integer" | "array" | "object" => format!("an {name}"),
        name => format!("a {name}"),
    };
    match limit {
        Value::String(name) => article(name),
        Value::Array(names) => {
            let names: Vec<String> = names.iter().filter_map(Value::as_str).map(article).collect();
            names.join(" or ")
        }
        _ => "a value of the declared type".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_the_contract() {
        assert_eq!(
            fix("send", "type", Some(&json!("string")), "null"),
            "send a string instead of null, or let the contract accept null"
        );
        assert_eq!(
            fix("send", "type", Some(&json!(["integer", "null"])), "string"),
            "send an integer or null"
        );
        assert_eq!(fix("send", "pattern", Some(&json!("^N")), "string"), "send text that matches ^N");
        assert_eq!(fix("send", "enum", Some(&json!(["A", "U"])), "string"), r#"send one of ["A","U"]"#);
        assert_eq!(
            fix("send", "pattern", Some(&json!("x".repeat(200))), "string"),
            "send text that matches what the contract says"
        );
    }

    #[test]
    fn guesses_what_was_meant() {
        let declared = ["tailnum", "origin", "dest"];
        assert_eq!(meant("tail_num", declared.into_iter()), Some("tailnum"));
        assert_eq!(meant("TailNum", declared.into_iter()), Some("tailnum"));
        assert_eq!(meant("orgin", declared.into_iter()), Some("origin"));
        assert_eq!(meant("carrier", declared.into_iter()), None);
    }
}
