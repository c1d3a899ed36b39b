//! The crate seen from outside. One binary, so that one link serves all.

mod checkpoints;
mod foreign_proofs;
mod notes;
mod proof_files;
mod proofs;
mod reference;
mod stretch;
mod tree;
mod writer;
