//! The crate seen from outside. One binary, so that one link and one set of random documents serve all.

mod arrays;
mod chain;
mod documents;
mod json_patch_suite;
mod leaf;
mod properties;
mod stored_form;
