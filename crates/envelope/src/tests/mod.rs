//! What only shows with the keys laid open.

mod debug_output;
mod two_keys;
