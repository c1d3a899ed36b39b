//! The buffers that one thread needs for one batch at a time, kept from batch to batch.

use std::sync::{Mutex, PoisonError};

use intelgraph_json::{Limits, Parser};
use intelgraph_temporal::Differ;

/// Parser, differ and scratch space. The parser keeps the key shapes it has seen.
pub(crate) struct Workbench {
    pub parser: Parser,
    pub differ: Differ,
    /// Canonical form of a value that was written otherwise.
    pub canonical: Vec<u8>,
    /// The typed key of an entity.
    pub key: Vec<u8>,
}

/// Workbenches that are not in use; at most one per thread that ever worked at once.
pub(crate) struct Workbenches {
    limits: Limits,
    idle: Mutex<Vec<Workbench>>,
}

impl Workbenches {
    pub fn new(limits: Limits) -> Self {
        Self { limits, idle: Mutex::default() }
    }

    /// Lends a workbench to `work`. Plaintext that it leaves there is wiped.
    pub fn with<T>(&self, work: impl FnOnce(&mut Workbench) -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bench = idle.unwrap_or_else(|| Workbench {
            parser: Parser::new(self.limits),
            differ: Differ::default(),
            canonical: Vec::new(),
            key: Vec::new(),
        });
        let done = work(&mut bench);
        bench.differ.wipe();
        zeroize::Zeroize::zeroize(&mut bench.canonical);
        zeroize::Zeroize::zeroize(&mut bench.key);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
        done
    }
}
