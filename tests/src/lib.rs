//! What the crates are tested with beyond their own unit tests.
//!
//! Role: the deterministic simulator of whole runs (`sim`) and the list of decoders that are fuzzed
//! (`decoders`, with some of what they take in `samples`); the tests themselves are in `tests/`.
//!
//! Invariants: the simulator reads no clock, no environment and no entropy, and never sleeps.
//!
//! What it is not: part of the product. Nothing but tests depends on this crate.

pub mod decoders;
pub mod samples;
pub mod sim;
