//! Repos: named sets of files, shared as shards and fetched from whoever has them.
//!
//! Invariants: a revision is complete before it is announced or reported as here; what is written
//! outside the node appears under its name whole and verified, or not at all.
//! What it is not: the transfer of a single blob (see `net`).

mod cut;
mod fetch;
mod heads;
mod keys;
mod model;
mod providers;
mod room;
mod share;
mod write;

pub(crate) use fetch::{GetError, fetch, revision_view};
pub(crate) use heads::{HeadBook, HeadError, Resolved};
pub(crate) use model::{ModelFiles, read_model};
pub(crate) use providers::{PEERS_EVERY, first_peer_deadline, hint};
pub(crate) use share::{ShareError, share};
pub(crate) use write::{Present, write_out};
