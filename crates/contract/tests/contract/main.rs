//! Contracts from outside: documents in, verdicts, keys and reports out.

mod bounds;
mod documents;
mod fixtures;
mod keys;
mod nycflights13;
mod reports;
mod spelling;
mod verdicts;
