//! What Accord's nodes say to each other and what they must agree on.
//!
//! Role: identities and envelopes, the bytes of every message, exact aggregation, and the round
//! state machine. Everything here is a pure function of its arguments.
//!
//! Invariants: no IO, no clock, no randomness; every byte from outside enters through
//! [`Signed::open`] or [`codec::decode`], which bound, decode, verify and check in that order.
//!
//! What it is not: it knows no network, no disk and no consent rule (see `consent`).

pub mod aggregate;
pub mod codec;
pub mod envelope;
pub mod exchange;
pub mod frontier;
pub mod id;
mod kernel;
pub mod key;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod merkle;
mod reader;
pub mod reconcile;
pub mod round;
pub mod run;
pub mod update;
pub mod weights;
mod writer;

pub use envelope::{Message, OpenError, Signed};
pub use frontier::{FeedHead, FeedId, Frontier};
pub use id::{CommitId, ContentId, FileHash, RecordId, RevisionId, RoundId, RunId};
pub use key::{PublicKey, SecretKey};
