//! Versions that come later than one that is true from a later time: they stand beside the chain, each whole.

use intelgraph_envelope::reserve_header;
use intelgraph_temporal::{Operation, SALT_LEN, absence, commitment};

use super::warned::{Conflict, begin_change, conflict};
use super::{GroupDiffer, Verdict};
use crate::copy::{self, ChangeRow, OpenField};
use crate::error::PipelineError;
use crate::fetch::Supplied;
use crate::group::{Change, Place};
use crate::heads::Content;
use crate::prepare::{Item, ItemContent, Prepared};

impl GroupDiffer<'_> {
    /// A record older than the head.
    pub(super) fn late(
        &mut self,
        batch: &Prepared,
        item: &Item,
        at: i64,
        supplied: &Supplied,
    ) -> Result<Verdict, PipelineError> {
        let content = self.content(batch, item)?;
        let versions = self.versions_at(item, at, supplied);
        if versions.contains(&content) {
            return Ok(Verdict::Duplicate);
        }
        let conflict = if versions.is_empty() { Conflict::Not } else { conflict(batch, item) };
        let warning = match &conflict {
            Conflict::Not => batch.warning(item),
            Conflict::Stored(warning) => Some(warning),
            Conflict::Quarantined => return Ok(Verdict::Conflict),
        };
        let operation = if content.is_some() { Operation::LateUpsert } else { Operation::LateDelete };
        let version = versions.len() as u32 + 1;
        let change = self.change(batch, item, version, operation);
        let row = ChangeRow::open(&mut self.rows, &change);
        let sealed = OpenField::open(&mut self.rows);
        let plaintext = reserve_header(&mut self.rows);
        let salt = self.salt()?;
        begin_change(&salt, warning, &mut self.rows);
        match item.content {
            ItemContent::Upsert(root) => {
                let seed = self.index_key.content_hash_seed();
                self.bench.differ.diff(None, batch.value(root), &batch.stream.keyed, seed, &mut self.rows)?;
            }
            ItemContent::Delete => absence(&mut self.rows),
        }
        let commitment = commitment(&salt, &self.rows[plaintext + SALT_LEN..]);
        let context = self.context(batch, item, version, operation, at);
        self.seal.seal_in_place(&context, &mut self.rows, plaintext)?;
        sealed.close(&mut self.rows);
        copy::null(&mut self.rows);
        let place = Place::Sealed { row, valid_at: at };
        self.changes.push(Change { key: item.key, operation, commitment, place });
        self.note(batch, warning);
        self.heads.add_late(item.key, self.ticket, at, content);
        Ok(Verdict::Accepted)
    }

    /// Contents of the versions at `at`, committed or not.
    pub(super) fn versions_at(&self, item: &Item, at: i64, supplied: &Supplied) -> Vec<Content> {
        let committed = supplied.versions.get(&(item.key, at)).map_or(&[][..], |(_, contents)| contents);
        let pending = self.heads.pending(&item.key).map_or(&[][..], |pending| &pending.versions);
        let pending = pending.iter().filter(|version| version.0 == at).map(|version| version.1);
        committed.iter().copied().chain(pending).collect()
    }
}
