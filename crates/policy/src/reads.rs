//! Which parts of the input a policy can read.

use std::collections::BTreeSet;

/// The parts of an input, each read or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    pub permission: bool,
    pub tenant: bool,
    pub subject: bool,
    pub roles: bool,
    pub attributes: Attributes,
    pub machine: bool,
    pub platform: bool,
    pub resource_tenant: bool,
    pub resource_dataset: bool,
}

/// Which attributes are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// These.
    Named(BTreeSet<String>),
    /// All, or ones whose names only the rules know.
    All,
}

impl Default for Attributes {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl Reads {
    /// Adds what lies at `path` below the input, and all that lies below that. What no input has adds nothing: it is
    /// undefined whoever asks.
    pub fn add(&mut self, path: &[&str]) {
        match path {
            [] => {
                for part in ["permission", "identity", "resource"] {
                    self.add(&[part]);
                }
            }
            ["permission", ..] => self.permission = true,
            ["identity"] => {
                for part in ["tenant", "subject", "roles", "attributes", "machine", "platform"] {
                    self.add(&["identity", part]);
                }
            }
            ["identity", "tenant", ..] => self.tenant = true,
            ["identity", "subject", ..] => self.subject = true,
            ["identity", "roles", ..] => self.roles = true,
            ["identity", "machine", ..] => self.machine = true,
            ["identity", "platform", ..] => self.platform = true,
            ["identity", "attributes"] => self.attributes = Attributes::All,
            ["identity", "attributes", name, ..] => {
                if let Attributes::Named(names) = &mut self.attributes {
                    names.insert((*name).to_owned());
                }
            }
            ["resource"] => {
                self.resource_tenant = true;
                self.resource_dataset = true;
            }
            ["resource", "tenant", ..] => self.resource_tenant = true,
            ["resource", "dataset", ..] => self.resource_dataset = true,
            _ => {}
        }
    }
}
