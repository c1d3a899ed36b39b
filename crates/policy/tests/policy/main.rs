//! The crate from outside, with the bundle that ships.

mod decisions;
mod depth;
mod fixtures;
mod limits;
mod loading;
mod remembering;
mod weakening;
