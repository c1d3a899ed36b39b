//! The ledger: what its public log holds, and what proves it.
//!
//! No I/O, no clock, no Python.

#![forbid(unsafe_code)]

mod commitment;

pub use commitment::{Commitment, Part, SALT_LEN, Salt, leaf};
