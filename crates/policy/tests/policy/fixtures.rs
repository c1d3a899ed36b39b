//! The bundle that ships, and questions to it.

use std::path::Path;

use intelgraph_policy::{Bundle, Identity, Input, Resource, Source};

/// The files of the platform's bundle.
pub fn platform_sources() -> Vec<Source> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/intelgraph/policy/bundle");
    let files = std::fs::read_dir(directory).expect("the bundle is there");
    files
        .map(|file| {
            let path = file.expect("readable").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            Source::new(name, std::fs::read_to_string(&path).expect("text"))
        })
        .filter(|source| source.name.ends_with(".rego"))
        .collect()
}

/// The platform's bundle.
pub fn platform() -> Bundle {
    Bundle::load(platform_sources()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A tenant's one file with a test of its own.
pub fn rules(body: &str) -> Vec<Source> {
    let test = "test_nothing if count(deny) >= 0 with input as {}";
    vec![Source::new("own.rego", format!("package tenant.acme\n\n{body}\n\n{test}\n"))]
}

/// Whether a caller of `acme` with these roles may.
pub fn question<'a>(permission: &'a str, roles: &[&'a str]) -> Input<'a> {
    Input {
        permission,
        identity: Identity {
            tenant: "acme",
            subject: "ada",
            roles: roles.iter().copied().collect(),
            ..Identity::default()
        },
        resource: Resource::default(),
    }
}
