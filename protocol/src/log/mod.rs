//! A transparency log over consent records: one history, shown to everyone.
//!
//! Role: what a log's operator, a witness and a verifier compute. An entry is the exact envelope
//! bytes of a consent record. [`tree`] hashes entries into one root and [`audit`] proves what is
//! under it; [`tile`] cuts the tree into files that can be served and mirrored; [`checkpoint`]
//! commits to a size and root in a signed [`note`]; [`witness`] cosigns growth that is consistent, and
//! [`fork`] keeps the proof when it is not;
//! [`policy`] says whose word is enough, [`proof`] is one file that shows a record's inclusion to
//! someone offline. [`map`] adds what a log alone cannot show: that there is no record for a key.
//!
//! Invariants: the C2SP formats to the byte (signed-note, tlog-checkpoint, tlog-tiles,
//! tlog-cosignature, tlog-witness, tlog-policy, tlog-proof) with SHA-256 and Ed25519, so that
//! foreign witnesses and verifiers work with them; no IO, no clock, no randomness.
//!
//! What it is not: the blake3 ids and feeds of the ledger; what a record means is the ledger's to
//! say. Nothing is fetched or stored here.

pub mod audit;
pub mod base64;
pub mod checkpoint;
pub mod cosignature;
pub mod fork;
pub mod map;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod vkey;
pub mod witness;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use note::Note;
pub use tree::TreeHash;
pub use vkey::{SigningKey, VerifierKey};
