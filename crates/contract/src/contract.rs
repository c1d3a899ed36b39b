//! A compiled contract: what it says of itself, and its verdict on records.

use std::collections::HashSet;
use std::fmt;

use intelgraph_json::{Key, Kind, Pointer, Value};
use jsonschema::Validator;

use crate::document::Document;
use crate::fields::Fields;
use crate::fix::meant;
use crate::tape_json::{TapeJson, TapeNode};
use crate::visits::Visits;

/// A compiled contract. Immutable and shared between threads.
pub struct Contract {
    pub(crate) document: Document,
    pub(crate) canonical: Vec<u8>,
    pub(crate) digest: [u8; 32],
    pub(crate) validator: Validator<TapeJson>,
    pub(crate) fields: Option<Fields>,
    pub(crate) declared: HashSet<Box<str>>,
    pub(crate) completeness: Vec<Pointer>,
    pub(crate) visits: Visits,
}

impl Contract {
    /// The document, typed.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The document in its canonical form (RFC 8785).
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// SHA-256 of [`Contract::canonical`]: what the contract is, whatever it is called.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The fields that count for completeness: those of the mapping, and the event time.
    pub fn completeness_fields(&self) -> &[Pointer] {
        &self.completeness
    }

    /// Whether a record is an object that satisfies the schema. Entity key and event time are asked for apart.
    pub fn is_valid(&self, record: Value<'_>) -> bool {
        record.kind() == Kind::Object
            && match &self.fields {
                Some(fields) => fields.accept(record),
                None => self.validator.is_valid(TapeNode(record)),
            }
    }

    /// Whether a record is valid, given that it differs from a record that satisfied *this* contract (by digest)
    /// only in top-level members: those in `set` were added or have another value, those in `removed` went away.
    /// `None` where the schema couples members, so that [`Contract::is_valid`] must be asked; always or never for
    /// one contract.
    pub fn is_valid_changed<'a, 'n>(
        &self,
        set: impl IntoIterator<Item = (Key<'a>, Value<'a>)>,
        removed: impl IntoIterator<Item = &'n str>,
    ) -> Option<bool> {
        let fields = self.fields.as_ref()?;
        Some(
            removed.into_iter().all(|name| fields.may_lack(name))
                && set.into_iter().all(|(key, value)| fields.accept_member(key, value)),
        )
    }

    /// Whether [`Contract::is_valid_changed`] answers.
    pub fn is_decomposable(&self) -> bool {
        self.fields.is_some()
    }

    /// Whether the schema declares a member of that name anywhere.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    /// The declared name that `name` was probably meant to be.
    pub(crate) fn meant(&self, name: &str) -> Option<&str> {
        meant(name, self.declared.iter().map(|name| &**name))
    }
}

/// Shows dataset, version and digest.
impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("dataset", &self.document.dataset_id)
            .field("version", &self.document.version.to_string())
            .field("digest", &crate::report::digest_text(&self.digest))
            .finish_non_exhaustive()
    }
}
