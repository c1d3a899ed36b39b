//! Documents, separated by NUL, in one buffer and given to one parser twice: it must agree with the
//! reference while it learns their shapes and when it knows them.
#![no_main]

#[path = "../../crates/json/tests/reference/mod.rs"]
mod reference;

use intelgraph_json::{Limits, Parser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let documents: Vec<&[u8]> = bytes.split(|&byte| byte == 0).take(16).collect();
    reference::agreement::check(&mut Parser::new(Limits::default()), &documents);
});
