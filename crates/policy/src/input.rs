//! The question: who wants to do what, to what.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use sha2::{Digest, Sha256};

use crate::reads::{Attributes, Reads};

/// A question. As Rego sees it:
///
/// ```json
/// {"permission": "entity.read",
///  "identity": {"tenant": "acme", "subject": "ada", "roles": ["analyst"], "attributes": {"site": "ewr"},
///               "machine": false, "platform": false},
///  "resource": {"tenant": "acme", "dataset": "flights"}}
/// ```
#[derive(Clone, Debug, Default)]
pub struct Input<'a> {
    /// What the method needs, as `area.verb`.
    pub permission: &'a str,
    /// Who calls.
    pub identity: Identity<'a>,
    /// What the request names.
    pub resource: Resource<'a>,
}

/// Who calls.
#[derive(Clone, Debug, Default)]
pub struct Identity<'a> {
    /// Name of the caller's tenant.
    pub tenant: &'a str,
    /// The caller.
    pub subject: &'a str,
    /// Its roles; Rego sees them in order.
    pub roles: BTreeSet<&'a str>,
    /// What its issuer says of it besides.
    pub attributes: BTreeMap<&'a str, &'a str>,
    /// Whether no person stands behind the call.
    pub machine: bool,
    /// Whether the tenant is the one that administers the gateway.
    pub platform: bool,
}

/// What the request names. What it does not name is undefined in Rego.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a> {
    /// Name of a tenant.
    pub tenant: Option<&'a str>,
    /// Name of a dataset.
    pub dataset: Option<&'a str>,
}

impl Input<'_> {
    pub(crate) fn to_value(&self) -> Value {
        let identity = &self.identity;
        let attributes = identity.attributes.iter().map(|(name, value)| (*name, Value::from(*value)));
        let roles: Vec<Value> = identity.roles.iter().map(|role| Value::from(*role)).collect();
        let resource = [("tenant", self.resource.tenant), ("dataset", self.resource.dataset)];
        object([
            ("permission", Value::from(self.permission)),
            (
                "identity",
                object([
                    ("tenant", Value::from(identity.tenant)),
                    ("subject", Value::from(identity.subject)),
                    ("roles", Value::from(roles)),
                    ("attributes", object(attributes)),
                    ("machine", Value::from(identity.machine)),
                    ("platform", Value::from(identity.platform)),
                ]),
            ),
            (
                "resource",
                object(resource.into_iter().filter_map(|(name, value)| Some((name, Value::from(value?))))),
            ),
        ])
    }

    /// SHA-256 of what `reads` names of it, under the bundle's revision. Every part has its tag and its length, so that
    /// no two questions that differ in what is read have one digest.
    pub(crate) fn digest(&self, reads: &Reads, revision: &[u8; 32]) -> [u8; 32] {
        let identity = &self.identity;
        let mut hash = Parts(Sha256::new());
        hash.0.update(revision);
        hash.text(reads.permission, 0, Some(self.permission));
        hash.text(reads.tenant, 1, Some(identity.tenant));
        hash.text(reads.subject, 2, Some(identity.subject));
        hash.flag(reads.machine, 3, identity.machine);
        hash.flag(reads.platform, 4, identity.platform);
        hash.text(reads.resource_tenant, 5, self.resource.tenant);
        hash.text(reads.resource_dataset, 6, self.resource.dataset);
        if reads.roles {
            hash.0.update((identity.roles.len() as u64).to_be_bytes());
            identity.roles.iter().for_each(|role| hash.text(true, 7, Some(role)));
        }
        match &reads.attributes {
            Attributes::Named(names) => {
                for name in names {
                    hash.text(true, 8, identity.attributes.get(name.as_str()).copied());
                }
            }
            Attributes::All => {
                hash.0.update((identity.attributes.len() as u64).to_be_bytes());
                for (name, value) in &identity.attributes {
                    hash.text(true, 9, Some(name));
                    hash.text(true, 10, Some(value));
                }
            }
        }
        hash.0.finalize().into()
    }
}

struct Parts(Sha256);

impl Parts {
    fn text(&mut self, read: bool, tag: u8, value: Option<&str>) {
        if read {
            let length = value.map_or(u64::MAX, |value| value.len() as u64);
            self.0.update([tag]);
            self.0.update(length.to_be_bytes());
            self.0.update(value.unwrap_or_default());
        }
    }

    fn flag(&mut self, read: bool, tag: u8, value: bool) {
        if read {
            self.0.update([tag, u8::from(value)]);
        }
    }
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members: BTreeMap<Value, Value> =
        members.into_iter().map(|(name, value)| (Value::from(name), value)).collect();
    Value::from(members)
}
