//! The rules by which an update counts and a record holds, as functions of bytes.
//!
//! Every steward before it votes, every auditor and the simulator call exactly these.
//!
//! Invariants: the outcome depends on nothing but the arguments, so all who have the bytes agree; bytes
//! are looked at in pieces, wherever they are. What it is not: fetching. A caller that lacks bytes has
//! no verdict.

mod alike;
mod entries;
mod evidence;
mod record;
mod slices;

pub use evidence::{Evidence, Finding, check_evidence, check_head, check_terms};
pub use record::{Base, BuildError, Counted, Draft, Exhibits, RecordError, build, verify};
pub use slices::{Division, charges, compared_in_update, unfit, work_out};
