//! From the bytes of a contract document to a [`Contract`], or to all that is wrong with them.

use std::sync::{Arc, LazyLock};

use intelgraph_json::{Limits, Pointer};
use jsonschema::{Draft, PatternOptions, Retrieve, ValidationError, ValidationOptions, Validator};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::contract::Contract;
use crate::document::{Document, EntityRef, Mapping, TimeRef};
use crate::error::{ContractError, ContractErrors};
use crate::fields::Fields;
use crate::fix::{fix, meant};
use crate::record_schema::{escaped, survey};
use crate::tape_json::TapeJson;

/// A contract document is at most this long and this deep.
const DOCUMENT_LIMITS: Limits = Limits { max_bytes: 256 * 1024, max_depth: 64 };
/// Bytes that one compiled pattern may take.
const PATTERN_SIZE: usize = 1 << 20;

/// The schema for contract documents, `ig.contract.v1`, for editors and for the curious.
pub const DOCUMENT_SCHEMA: &str = include_str!("../schema/ig.contract.v1.schema.json");

struct DocumentForm {
    schema: Value,
    validator: Validator,
}

static DOCUMENT_FORM: LazyLock<DocumentForm> = LazyLock::new(|| {
    let schema = serde_json::from_str(DOCUMENT_SCHEMA).expect("the schema in this crate is JSON");
    let validator = jsonschema::draft202012::options().offline().build(&schema);
    DocumentForm { schema, validator: validator.expect("the schema in this crate is a schema") }
});

/// How schemas of records are compiled: 2020-12, formats asserted, patterns in linear time, nothing fetched.
pub(crate) fn options() -> ValidationOptions<'static, Arc<dyn Retrieve>, TapeJson> {
    jsonschema::options_for::<TapeJson>()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE))
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .offline()
}

impl Contract {
    /// Compiles a contract document, or says what is wrong with it: first with its form, then with the schema,
    /// then with the mapping.
    pub fn compile(document: &[u8]) -> Result<Self, ContractErrors> {
        let canonical = intelgraph_json::jcs(document, DOCUMENT_LIMITS)
            .map_err(|error| ContractError::new("", error.kind.reason(), error.to_string()))?;
        let tree = serde_json::from_slice(&canonical).map_err(unreadable)?;
        check_form(&tree)?;
        let document: Document = serde_json::from_value(tree).map_err(unreadable)?;
        check_is_schema(&document.schema)?;
        let survey = survey(&document.schema)?;
        let validator = options().build(&document.schema).map_err(|error| {
            let pointer = format!("/schema{}", error.schema_path());
            let fix = "let every $ref lead to a definition within the schema";
            ContractError::new(pointer, "SCHEMA_REF_UNRESOLVED", fix)
        })?;
        check_mapping(&document)?;
        Ok(Self {
            fields: Fields::of(&document.schema, &survey),
            declared: survey.declared,
            visits: survey.visits,
            completeness: completeness_fields(&document.mapping),
            digest: Sha256::digest(&canonical).into(),
            document,
            canonical,
            validator,
        })
    }
}

/// A missing event time counts against completeness.
fn completeness_fields(mapping: &Mapping) -> Vec<Pointer> {
    let time = mapping.event_time.iter().map(|time| &time.pointer);
    let time = time.filter(|time| !mapping.completeness.contains(time));
    mapping.completeness.iter().chain(time).cloned().collect()
}

fn unreadable(error: serde_json::Error) -> ContractError {
    ContractError::new("", "DOCUMENT_INVALID", error.to_string())
}

/// The header and the other closed parts.
fn check_form(tree: &Value) -> Result<(), ContractErrors> {
    let form = &*DOCUMENT_FORM;
    let errors = form.validator.iter_errors(tree).flat_map(|error| {
        let limit = form.schema.pointer(error.schema_path().as_str());
        faults_of(&error, "", limit)
    });
    ContractErrors::unless_empty(errors.collect())?;
    let version = tree.get("version").and_then(Value::as_str).unwrap_or_default();
    semver::Version::parse(version).map(drop).map_err(|_| {
        ContractError::new(
            "/version",
            "VERSION_INVALID",
            "write a semantic version such as 1.4.0 (semver.org)",
        )
        .into()
    })
}

/// The schema of the records against the meta-schema.
fn check_is_schema(schema: &Value) -> Result<(), ContractErrors> {
    let meta = jsonschema::draft202012::meta::validator();
    let errors = meta.iter_errors(schema).flat_map(|error| faults_of(&error, "/schema", None));
    ContractErrors::unless_empty(errors.collect())?;
    let admits_objects = match &schema["type"] {
        Value::String(name) => name == "object",
        Value::Array(names) => names.iter().any(|name| name == "object"),
        _ => true,
    };
    if !admits_objects {
        let fix = "let the schema accept objects: a record is one";
        return Err(ContractError::new("/schema/type", "SCHEMA_NOT_OF_RECORDS", fix).into());
    }
    Ok(())
}

fn faults_of(error: &ValidationError<'_>, root: &str, limit: Option<&Value>) -> Vec<ContractError> {
    use jsonschema::error::ValidationErrorKind as Fault;
    let at = format!("{root}{}", error.instance_path());
    let keyword = error.kind().keyword();
    let kind = if error.instance().is_null() { "null" } else { "" };
    let broken = |at: String, fix: String| ContractError::new(at, keyword, fix);
    match error.kind() {
        Fault::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![broken(
                format!("{at}/{}", escaped(name)),
                "write the member; ig.contract.v1 requires it".into(),
            )]
        }
        Fault::AdditionalProperties { unexpected } => {
            let siblings = limit_siblings(error.schema_path().as_str());
            let fault = |name: &String| {
                let fix = match meant(name, siblings.iter().map(String::as_str)) {
                    Some(meant) => format!("write {meant}"),
                    None => "remove the member; ig.contract.v1 is closed".into(),
                };
                broken(format!("{at}/{}", escaped(name)), fix)
            };
            unexpected.iter().map(fault).collect()
        }
        _ if root.is_empty() => vec![broken(at, fix("write", keyword, limit, kind))],
        _ => vec![broken(at, "write what JSON Schema 2020-12 allows here".into())],
    }
}

/// The names that `properties` declares beside the `additionalProperties` at `path` of the document schema.
fn limit_siblings(path: &str) -> Vec<String> {
    let holder =
        path.strip_suffix("/additionalProperties").and_then(|path| DOCUMENT_FORM.schema.pointer(path));
    let names = holder.and_then(|holder| holder["properties"].as_object());
    names.into_iter().flat_map(|names| names.keys().cloned()).collect()
}

/// What the mapping and the placement say beyond their form.
fn check_mapping(document: &Document) -> Result<(), ContractErrors> {
    let Document { schema, mapping, placement, .. } = document;
    let mut errors = Vec::new();
    let mut reach = |pointer: &Pointer, at: String| {
        if !is_reachable(schema, pointer) {
            let fix = "point to a member that the schema declares, or let the schema accept it";
            errors.push(ContractError::new(at, "POINTER_UNREACHABLE", fix));
        }
    };
    let mut entity = |entity: &EntityRef, at: &str| {
        entity.key.iter().enumerate().for_each(|(part, pointer)| reach(pointer, format!("{at}/key/{part}")));
    };
    entity(&mapping.entity, "/mapping/entity");
    for (number, relation) in mapping.relations.iter().enumerate() {
        let at = format!("/mapping/relations/{number}");
        relation.source.iter().for_each(|source| entity(source, &format!("{at}/source")));
        entity(&relation.target, &format!("{at}/target"));
    }
    let mut time = |time: &Option<TimeRef>, at: String| {
        time.iter().for_each(|time| reach(&time.pointer, format!("{at}/pointer")));
    };
    time(&mapping.event_time, "/mapping/eventTime".into());
    for (number, relation) in mapping.relations.iter().enumerate() {
        time(&relation.since, format!("/mapping/relations/{number}/since"));
        time(&relation.until, format!("/mapping/relations/{number}/until"));
    }
    let listed = [("pii", &mapping.pii), ("completeness", &mapping.completeness)];
    for (name, pointers) in listed {
        pointers.iter().enumerate().for_each(|(at, pointer)| reach(pointer, format!("/mapping/{name}/{at}")));
    }
    for array in &mapping.keyed_arrays {
        let name = array.pointer.to_string();
        reach(&array.pointer, format!("/mapping/keyedArrays/{}", escaped(&name)));
    }
    if !placement.allowed_regions.is_empty() && !placement.allowed_regions.contains(&placement.home_region) {
        let fix = "list homeRegion among allowedRegions";
        errors.push(ContractError::new("/placement/allowedRegions", "REGION_HOME_NOT_ALLOWED", fix));
    }
    ContractErrors::unless_empty(errors)
}

/// Whether a record that satisfies `schema` can have a value at `pointer`. Says no only where closed objects on
/// the way rule it out.
fn is_reachable(schema: &Value, pointer: &Pointer) -> bool {
    let mut at = schema;
    for token in pointer.tokens() {
        let Some(next) = at["properties"].get(token) else {
            let open = at.get("patternProperties").is_some()
                || at.get("additionalProperties") != Some(&false.into());
            return open;
        };
        at = next;
    }
    at != &Value::Bool(false)
}
