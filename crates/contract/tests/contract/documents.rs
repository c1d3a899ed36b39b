//! What a contract document may say, and what is told about one that may not.

use intelgraph_contract::{Classification, Contract, ContractErrors, License, Retention, TimeFormat};
use intelgraph_json::Limits;
use serde_json::{Value as Tree, json};

/// A document that uses every member.
fn full() -> Tree {
    json!({
        "datasetId": "acme.flights",
        "version": "1.4.0-rc.1",
        "tenantId": "acme",
        "license": "Restricted-TOS",
        "purpose": ["operations", "research"],
        "retention": "standard-365d",
        "sla": {
            "ingestLatencyMs": 1500.5, "quantile": 0.99, "completenessPct": 99.9, "dedupe": true, "futureSkewMs": 1000,
        },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "required": ["carrier", "number"],
            "properties": {
                "carrier": {"type": "string"}, "number": {"type": "integer"}, "at": {"type": "string"},
                "until": {"type": ["integer", "null"]}, "tail": {"type": "string", "x-owner": "fleet"},
                "crew": {"type": "array", "items": {"$ref": "#/$defs/person"}},
            },
            "$defs": {"person": {"type": "object", "properties": {"id": {"type": "string"}}}},
        },
        "mapping": {
            "entity": {"type": "flight", "key": ["/carrier", "/number"]},
            "eventTime": {"pointer": "/at", "format": "rfc3339"},
            "relations": [{
                "type": "OPERATES",
                "source": {"type": "carrier", "key": ["/carrier"]},
                "target": {"type": "aircraft", "key": ["/tail"]},
                "since": {"pointer": "/at", "format": "rfc3339"},
                "until": {"pointer": "/until", "format": "unix-ms"},
            }],
            "pii": ["/crew"],
            "completeness": ["/tail", "/at"],
            "keyedArrays": {"/crew": "id"},
        },
        "placement": {
            "homeRegion": "eu-west-1", "allowedRegions": ["eu-west-1", "eu-central-1"], "classification": "confidential",
        },
    })
}

fn compile(document: &Tree) -> Result<Contract, ContractErrors> {
    Contract::compile(document.to_string().as_bytes())
}

/// Pointer and rule of every fault.
fn faults(document: &Tree) -> Vec<(String, String)> {
    let Err(errors) = compile(document) else { return Vec::new() };
    let shown = errors.to_string();
    for error in errors.iter() {
        assert!(!error.fix.is_empty() && shown.contains(&error.fix), "{error}");
    }
    errors.iter().map(|error| (error.pointer.clone(), error.rule.clone())).collect()
}

/// The document with another value at a pointer; `None` removes what is there.
fn with(pointer: &str, value: Option<Tree>) -> Tree {
    let mut document = full();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match value {
        Some(value) if parent.is_object() => parent[name] = value,
        Some(value) => parent[name.parse::<usize>().unwrap()] = value,
        None => drop(parent.as_object_mut().unwrap().remove(name).unwrap()),
    }
    document
}

#[test]
fn every_member_is_read() {
    let contract = compile(&full()).unwrap();
    let document = contract.document();
    assert_eq!((document.dataset_id.as_str(), document.tenant_id.as_str()), ("acme.flights", "acme"));
    assert_eq!(document.version.to_string(), "1.4.0-rc.1");
    assert_eq!((document.license, document.retention.days()), (License::RestrictedTos, Some(365)));
    assert_eq!(document.purpose, ["operations", "research"]);
    assert_eq!((document.sla.ingest_latency_ms, document.sla.quantile), (Some(1500.5), 0.99));
    assert_eq!(
        (document.sla.completeness_pct, document.sla.dedupe, document.sla.future_skew_ms),
        (Some(99.9), true, 1000)
    );
    let mapping = &document.mapping;
    assert_eq!((mapping.entity.entity_type.as_str(), mapping.entity.key.len()), ("flight", 2));
    assert_eq!(mapping.event_time.as_ref().unwrap().format, TimeFormat::Rfc3339);
    let relation = &mapping.relations[0];
    assert_eq!(relation.source.as_ref().unwrap().entity_type, "carrier");
    assert_eq!(relation.target.key[0].to_string(), "/tail");
    assert_eq!(relation.until.as_ref().unwrap().format, TimeFormat::UnixMillis);
    assert_eq!((mapping.pii[0].to_string(), mapping.keyed_arrays[0].member.as_str()), ("/crew".into(), "id"));
    let fields: Vec<String> = contract.completeness_fields().iter().map(ToString::to_string).collect();
    assert_eq!(fields, ["/tail", "/at"]);
    assert_eq!(document.placement.classification, Classification::Confidential);
    assert!(document.placement.allows("eu-central-1") && !document.placement.allows("us-east-1"));
}

#[test]
fn defaults_are_those_of_the_design() {
    let mut document = full();
    document["sla"] = json!({});
    document["mapping"] = json!({"entity": {"type": "flight", "key": ["/number"]}});
    document["placement"] = json!({"homeRegion": "eu-west-1", "classification": "public"});
    let contract = compile(&document).unwrap();
    let (sla, placement) = (&contract.document().sla, &contract.document().placement);
    assert_eq!((sla.quantile, sla.dedupe, sla.future_skew_ms), (0.95, false, 300_000));
    assert_eq!((sla.ingest_latency_ms, sla.completeness_pct), (None, None));
    assert!(placement.allows("eu-west-1") && !placement.allows("eu-central-1"));
    assert_eq!(contract.completeness_fields(), []);
    assert_eq!(Retention::LegalHold.days(), None);
}

#[test]
fn identity_is_the_digest_of_the_canonical_form() {
    let document = full();
    let written_otherwise = serde_json::to_string_pretty(&document).unwrap().replace("1500.5", "15005e-1");
    let (one, other) =
        (compile(&document).unwrap(), Contract::compile(written_otherwise.as_bytes()).unwrap());
    assert_eq!(one.digest(), other.digest());
    assert_eq!(
        one.canonical(),
        intelgraph_json::jcs(document.to_string().as_bytes(), Limits::default()).unwrap()
    );
    let changed = compile(&with("/purpose/1", Some(json!("audit")))).unwrap();
    assert_ne!(one.digest(), changed.digest());
}

#[test]
fn the_form_is_closed() {
    let missing = [
        "datasetId",
        "version",
        "tenantId",
        "license",
        "purpose",
        "retention",
        "sla",
        "schema",
        "mapping",
        "placement",
    ];
    for name in missing {
        let pointer = format!("/{name}");
        assert_eq!(faults(&with(&pointer, None)), [(pointer.clone(), "required".into())]);
    }
    for at in [
        "",
        "/sla",
        "/mapping",
        "/mapping/entity",
        "/mapping/eventTime",
        "/mapping/relations/0",
        "/placement",
    ] {
        let mut document = full();
        document.pointer_mut(at).unwrap()["extra/more"] = json!(1);
        assert_eq!(faults(&document), [(format!("{at}/extra~1more"), "additionalProperties".into())]);
    }
    let errors = compile(&with("/datasetID", Some(json!("x")))).unwrap_err();
    assert_eq!(
        errors.to_string().lines().nth(1),
        Some("  /datasetID: additionalProperties: write datasetId")
    );
}

#[test]
fn members_are_checked() {
    for (pointer, value, rule) in [
        ("/datasetId", json!("a b"), "pattern"),
        ("/datasetId", json!(""), "pattern"),
        ("/version", json!("1.0"), "pattern"),
        ("/version", json!("01.0.0"), "pattern"),
        ("/version", json!("1.0.0-01"), "VERSION_INVALID"),
        ("/version", json!("1.0.0+build"), "pattern"),
        ("/tenantId", json!("Acme"), "pattern"),
        ("/license", json!("GPL"), "enum"),
        ("/purpose", json!([]), "minItems"),
        ("/purpose/0", json!(" "), "pattern"),
        ("/purpose/1", json!("operations"), "uniqueItems"),
        ("/retention", json!("forever"), "enum"),
        ("/sla/ingestLatencyMs", json!(-1), "minimum"),
        ("/sla/quantile", json!(95), "maximum"),
        ("/sla/completenessPct", json!(101), "maximum"),
        ("/sla/dedupe", json!("yes"), "type"),
        ("/sla/futureSkewMs", json!(0.5), "type"),
        ("/schema", json!(true), "type"),
        ("/mapping/entity/type", json!("1"), "pattern"),
        ("/mapping/entity/key", json!([]), "minItems"),
        ("/mapping/entity/key/0", json!(""), "pattern"),
        ("/mapping/entity/key/0", json!("carrier"), "pattern"),
        ("/mapping/entity/key/0", json!("/a~2"), "pattern"),
        ("/mapping/entity/key/0", json!("/number"), "uniqueItems"),
        ("/mapping/eventTime/format", json!("iso"), "enum"),
        ("/mapping/pii", json!("/crew"), "type"),
        ("/mapping/keyedArrays", json!({"/crew": ""}), "minLength"),
        ("/placement/homeRegion", json!("EU"), "pattern"),
        ("/placement/classification", json!("secret"), "enum"),
        ("/placement/allowedRegions", json!(["eu-central-1"]), "REGION_HOME_NOT_ALLOWED"),
    ] {
        let found = faults(&with(pointer, Some(value.clone())));
        assert_eq!(found.len(), 1, "{pointer} {value}: {found:?}");
        // Some rules speak of the whole that the member belongs to, some of a part of it.
        let (at, broken) = &found[0];
        let near = pointer.starts_with(at.as_str()) || at.starts_with(pointer);
        assert!(near && broken == rule, "{pointer} {value}: {found:?}");
    }
}

#[test]
fn what_is_no_document_is_named_as_such() {
    for (bytes, rule) in [
        (&b""[..], "JSON_EMPTY"),
        (b"{", "JSON_SYNTAX"),
        (b"{\"sla\":{},\"sla\":{}}", "JSON_DUPLICATE_KEY"),
        (b"\xff", "JSON_INVALID_UTF8"),
        (b"{\"sla\":9007199254740993}", "NUMBER_RANGE"),
        (&[b'['; 100], "JSON_TOO_DEEP"),
        (&[b' '; 300_000], "JSON_TOO_LARGE"),
    ] {
        let errors = Contract::compile(bytes).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.rule.as_str()).collect::<Vec<_>>(), [rule]);
    }
    assert_eq!(faults(&json!([])), [(String::new(), "type".into())]);
}

#[test]
fn pointers_lead_to_what_a_record_can_hold() {
    for pointer in [
        "/mapping/entity/key/1",
        "/mapping/relations/0/source/key/0",
        "/mapping/relations/0/target/key/0",
        "/mapping/pii/0",
        "/mapping/completeness/1",
    ] {
        assert_eq!(
            faults(&with(pointer, Some(json!("/tial")))),
            [(pointer.into(), "POINTER_UNREACHABLE".into())]
        );
    }
    for pointer in [
        "/mapping/eventTime/pointer",
        "/mapping/relations/0/since/pointer",
        "/mapping/relations/0/until/pointer",
    ] {
        assert_eq!(
            faults(&with(pointer, Some(json!("/tial")))),
            [(pointer.into(), "POINTER_UNREACHABLE".into())]
        );
    }
    let arrays = with("/mapping/keyedArrays", Some(json!({"/a/b": "id"})));
    assert_eq!(faults(&arrays), [("/mapping/keyedArrays/~1a~1b".into(), "POINTER_UNREACHABLE".into())]);
    // An open object may hold anything.
    let mut open = with("/mapping/pii/0", Some(json!("/tial")));
    open["schema"].as_object_mut().unwrap().remove("additionalProperties");
    assert!(compile(&open).is_ok());
}

#[test]
fn a_schema_means_what_it_says() {
    for (schema, pointer, rule) in [
        (json!({"type": "array"}), "/schema/type", "SCHEMA_NOT_OF_RECORDS"),
        (json!({"type": "strin"}), "/schema/type", "anyOf"),
        (json!({"required": "id"}), "/schema/required", "type"),
        (json!({"properties": {"id": {"minLength": -1}}}), "/schema/properties/id/minLength", "minimum"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/schema/$schema", "SCHEMA_DIALECT"),
        (json!({"requird": []}), "/schema/requird", "SCHEMA_KEYWORD_UNKNOWN"),
        (json!({"dependencies": {}}), "/schema/dependencies", "SCHEMA_KEYWORD_UNKNOWN"),
        (
            json!({"properties": {"a/b": {"nullable": true}}}),
            "/schema/properties/a~1b/nullable",
            "SCHEMA_KEYWORD_UNKNOWN",
        ),
        (
            json!({"properties": {"id": {"format": "int32"}}}),
            "/schema/properties/id/format",
            "SCHEMA_FORMAT_UNKNOWN",
        ),
        (
            json!({"properties": {"id": {"pattern": "(?=a)b"}}}),
            "/schema/properties/id/pattern",
            "SCHEMA_PATTERN_UNSUPPORTED",
        ),
        (
            json!({"properties": {"id": {"pattern": "(a)\\1"}}}),
            "/schema/properties/id/pattern",
            "SCHEMA_PATTERN_UNSUPPORTED",
        ),
        (
            json!({"properties": {"id": {"pattern": "((a{100}){100}){100}"}}}),
            "/schema/properties/id/pattern",
            "SCHEMA_PATTERN_UNSUPPORTED",
        ),
        (
            json!({"patternProperties": {"(?!a)": {}}}),
            "/schema/patternProperties/(?!a)",
            "SCHEMA_PATTERN_UNSUPPORTED",
        ),
        (json!({"$ref": "https://example.org/s.json"}), "/schema/$ref", "SCHEMA_REF_REMOTE"),
        (json!({"$ref": "other.json"}), "/schema/$ref", "SCHEMA_REF_REMOTE"),
        (json!({"$ref": "file:///etc/passwd"}), "/schema/$ref", "SCHEMA_REF_REMOTE"),
        (json!({"$ref": "#/$defs/none"}), "/schema/$ref", "SCHEMA_REF_UNRESOLVED"),
        (json!({"$ref": "#none"}), "/schema/$ref", "SCHEMA_REF_UNRESOLVED"),
        (json!({"$ref": "#/x-hidden", "x-hidden": {"requird": []}}), "/schema/$ref", "SCHEMA_REF_UNRESOLVED"),
        (json!({"$defs": {"x": {"$id": "x.json"}}}), "/schema/$defs/x/$id", "SCHEMA_ID_NESTED"),
    ] {
        let mut document = full();
        document["schema"] = schema.clone();
        let found = faults(&document);
        assert_eq!(found, [(pointer.to_owned(), rule.to_owned())], "{schema}");
    }
    let mut document = full();
    document["schema"] = json!({"requird": ["id"]});
    assert!(compile(&document).unwrap_err().to_string().contains("write required, or prefix"));
    document["schema"] =
        json!({"$ref": "#thing", "$defs": {"a b%": {"$anchor": "thing"}, "c": {"$ref": "#/$defs/a%20b%25"}}});
    assert_eq!(faults(&document), []);
}

#[test]
fn large_schemas_are_refused_by_number() {
    let mut document = full();
    let properties: serde_json::Map<_, _> =
        (0..5000).map(|number| (format!("p{number}"), json!({}))).collect();
    document["schema"] = json!({"properties": properties});
    assert_eq!(
        faults(&document).iter().map(|(_, rule)| rule.as_str()).collect::<Vec<_>>(),
        ["SCHEMA_TOO_LARGE"]
    );
}

#[test]
fn many_faults_are_listed_up_to_a_bound() {
    let mut document = full();
    let unknown: serde_json::Map<_, _> =
        (0..200).map(|number| (format!("unknown{number}"), json!(1))).collect();
    document["schema"] = unknown.into();
    assert_eq!(faults(&document).len(), ContractErrors::MOST);
}
