//! A document, NUL, and a JSON Patch: neither panics nor grows without bound, and what results is a document.
#![no_main]

use intelgraph_json::{Limits, canonical};
use intelgraph_temporal::apply_json_patch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (document, patch) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let limits = Limits { max_bytes: 1 << 16, max_depth: 32 };
    if let Ok(patched) = apply_json_patch(document, patch, limits) {
        assert!(canonical(&patched, limits).is_ok_and(|text| text == patched));
    }
});
