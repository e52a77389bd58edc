//! The transparency log and the witness that a node can run.
//!
//! Role: `place` is a log's directory, `writer` grows it, `keeper` has it cosigned and shown, `submit`
//! asks witnesses, `witness` is one, `serve` is HTTP for the public. `docs/transparency.md` has the
//! formats.
//!
//! Invariants: what is served here anyone may see; log and witness have keys of their own, never the
//! node's. What it is not: the ledger. A log that stops stops no record.

mod keeper;
mod place;
mod serve;
mod submit;
mod witness;
mod writer;

pub use keeper::LogBook;
pub use place::{LogDir, LogDirError, WitnessAddress};
pub use serve::LogServer;
pub use witness::{FollowedView, WitnessDir, WitnessError};
pub use writer::{LogError, Verified, verify};

pub(crate) use witness::WitnessBook;
