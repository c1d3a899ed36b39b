//! Contract documents around a schema.

use serde_json::{Value, json};

/// A contract document around a schema of records whose key is `/id`.
pub fn document(schema: &Value) -> Vec<u8> {
    json!({
        "datasetId": "things", "version": "1.0.0", "tenantId": "acme", "license": "MIT-OK", "purpose": ["test"],
        "retention": "short-30d", "sla": {}, "schema": schema,
        "mapping": {"entity": {"type": "thing", "key": ["/id"]}},
        "placement": {"homeRegion": "eu-west-1", "classification": "internal"},
    })
    .to_string()
    .into_bytes()
}
