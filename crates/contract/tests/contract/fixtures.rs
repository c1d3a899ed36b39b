//! Contract documents around a schema, and records on a tape.

use intelgraph_contract::Contract;
use intelgraph_json::{Limits, Parser, Tape, Value};
use serde_json::{Value as Tree, json};

/// A contract document around a schema of records whose key is `/a`.
pub fn document(schema: &Tree) -> Vec<u8> {
    document_with(schema, json!({"entity": {"type": "thing", "key": ["/a"]}}), json!({}))
}

/// A contract document around a schema, a mapping and service levels.
pub fn document_with(schema: &Tree, mapping: Tree, sla: Tree) -> Vec<u8> {
    json!({
        "datasetId": "things", "version": "1.0.0", "tenantId": "acme", "license": "MIT-OK", "purpose": ["test"],
        "retention": "short-30d", "sla": sla, "schema": schema, "mapping": mapping,
        "placement": {"homeRegion": "eu-west-1", "classification": "internal"},
    })
    .to_string()
    .into_bytes()
}

/// Compiles, or fails with what is wrong.
pub fn compiled(document: &[u8]) -> Contract {
    Contract::compile(document).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Shows a text to `look` as a record.
pub fn on_tape<T>(text: &str, look: impl FnOnce(Value<'_>) -> T) -> T {
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let root =
        parser.parse(&mut tape, text.as_bytes(), 0..text.len()).unwrap_or_else(|error| panic!("{error}"));
    look(tape.value(text.as_bytes(), root))
}
