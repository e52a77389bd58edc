//! What people said may be done with their works, and the one gate that answers for it.
//!
//! Role: records and the feeds they form, the ledger over all feeds, policies, and the gate that
//! turns ledger, policy and time into a [`Permit`] or a [`Denial`].
//!
//! Invariants: no IO, no clock, no randomness; the answer depends on the set of records, never on
//! the order in which they came; doubt, forks and stolen daily keys only ever make it stricter.
//!
//! What it is not: a network, or a store. Callers bring records that
//! [`protocol::Signed::open`] opened, and keep the envelopes.

pub mod code;
pub mod data_commit;
pub mod denial;
pub mod fingerprint;
pub mod gate;
pub mod hamming;
pub mod identity;
pub mod ledger;
pub mod payload;
pub mod permit;
pub mod policy;
pub mod proof;
pub mod record;
pub mod remark;
pub mod reopening;
pub mod row;
pub mod standing;
pub mod statement;
pub mod subject;
pub mod subject_map;
pub mod terms;
pub mod use_atom;
pub mod work;

pub use code::CodeKind;
pub use data_commit::commit_data;
pub use denial::{Denial, DenialReason};
pub use gate::{Gate, Reach, SetAside};
pub use identity::{Identity, RootKey, head_at};
pub use ledger::{
    Admitted, CatchUp, Claim, ClaimState, FeedKeys, Fork, ForkProof, GivingDoubt, InsertError,
    Inserted, Leave, Ledger, RecordState, Replay, TableSeed,
};
pub use payload::{Genesis, Lift, Payload, Rotation};
pub use permit::{Permit, Usage};
pub use policy::{Likeness, Policy, Silence};
pub use record::{Record, record_id};
pub use remark::{Remark, RemarkError};
pub use reopening::{Reopener, Reopening, Restriction};
pub use row::{RowError, RowForm, file_content_id, row_content_id};
pub use standing::Standing;
pub use statement::{Behalf, Origin, Remedy, Statement, Terms};
pub use subject::{Collection, Subject};
pub use use_atom::{Use, Value};
pub use work::{Marks, Match, Work};
