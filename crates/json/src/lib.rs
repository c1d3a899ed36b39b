//! Strict JSON documents on a flat tape, and their canonical form.
//!
//! Scope: RFC 8259 documents taken from a larger buffer (a batch), refused as a whole when a key repeats
//! within one object, when the bytes are not UTF-8, when an escape is not a Unicode scalar value, or when a
//! number does not survive. What is left on the [`Tape`] are 16-byte nodes that point into the buffer; no
//! string is copied and no tree is built.
//!
//! Not in scope: streaming, lenient dialects, writing anything but the canonical form.
//!
//! ```
//! use intelgraph_json::{Limits, Parser, Tape, write_canonical};
//!
//! let batch = br#"{"tail":"N14228","seats":149.0} {"tail":"N24211"}"#;
//! let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
//! let plane = parser.parse(&mut tape, batch, 0..31)?;
//! let plane = tape.value(batch, plane);
//! assert_eq!(plane.get("tail").and_then(|tail| tail.as_str()).as_deref(), Some("N14228"));
//!
//! let mut canonical = Vec::new();
//! write_canonical(plane, &mut canonical);
//! assert_eq!(canonical, br#"{"seats":149,"tail":"N14228"}"#);
//! # Ok::<(), intelgraph_json::ParseError>(())
//! ```
#![forbid(unsafe_code)]

mod canonical;
mod error;
mod key;
mod limits;
mod members;
mod number;
mod parser;
mod pointer;
mod scan;
mod shape;
mod shape_cache;
mod string;
mod tape;
mod value;

pub use canonical::{canonical, jcs, write_canonical};
pub use error::{ParseError, ParseErrorKind};
pub use key::Key;
pub use limits::Limits;
pub use members::{Elements, Members, SortedMembers};
pub use number::Number;
pub use parser::Parser;
pub use pointer::{Pointer, PointerError};
pub use shape::{Keys, Shape};
pub use tape::{Root, Tape};
pub use value::{Kind, Value};
