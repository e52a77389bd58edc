//! What people said may be done with their works, and the one gate that answers for it.
//!
//! Role: records and the feeds they form, the ledger over all feeds, policies, and the gate that
//! turns ledger, policy and time into a [`Permit`] or a [`Denial`].
//!
//! Invariants: no IO, no clock, no randomness; the answer depends on the set of records, never on
//! the order in which they came; doubt, forks and stolen daily keys only ever make it stricter.
//!
//! What it is not: a finder of similar works, a network, or a store. Callers bring records that
//! [`protocol::Signed::open`] opened, and keep the envelopes.

mod author;
pub mod claim;
pub mod data_commit;
mod feed;
pub mod fork;
pub mod gate;
mod held;
pub mod identity;
pub mod ledger;
pub mod payload;
pub mod permit;
pub mod policy;
pub mod record;
pub mod reopening;
pub mod row;
pub mod statement;
pub mod subject;
mod sync;
pub mod use_atom;

pub use claim::{Claim, ClaimState};
pub use data_commit::commit_data;
pub use fork::{Fork, ForkProof};
pub use gate::{Denial, DenialReason, Gate};
pub use identity::{Identity, head_at};
pub use ledger::{InsertError, Inserted, Ledger};
pub use payload::{Genesis, Lift, Payload, Rotation};
pub use permit::{Permit, Usage};
pub use policy::{Policy, Silence};
pub use record::{Record, record_id};
pub use reopening::Reopening;
pub use row::{RowError, RowForm, file_content_id, row_content_id};
pub use statement::{Origin, Remedy, Statement};
pub use subject::Subject;
pub use use_atom::{Use, Value};
