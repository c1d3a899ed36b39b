//! The checks seen from outside. One binary, so that one link serves all.

mod directory;
mod tampering;
#[cfg(feature = "cli")]
mod verbs;
