//! Repos: named sets of files, shared as shards and fetched from whoever has them.
//!
//! Invariants: a revision is complete before it is announced or reported as here; what is written
//! outside the node appears under its name whole and verified, or not at all.
//! What it is not: the transfer of a single blob (see `net`).

mod cut;
mod fetch;
mod heads;
mod share;

pub(crate) use fetch::{GetError, fetch, revision_view, write_out};
pub(crate) use heads::{HeadBook, HeadError, Resolved};
pub(crate) use share::{ShareError, share};
