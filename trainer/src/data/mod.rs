//! Data from the user's files: tables, their works, their splits, and what a gate let through.
//!
//! Invariants: the only way from a row to its numbers is [`Table::admit`]. What it is not: a
//! decision about consent.

mod batch;
mod error;
mod records;
mod sample;
pub mod split;
mod table;
mod works;

pub(crate) use batch::{Batch, Scaling};
pub use error::{TableError, TableFault};
pub use records::Records;
pub use sample::{Admission, Admitted};
pub(crate) use sample::{Draw, Names};
pub use table::{Table, TableOptions};
pub use works::{works, write_rows};
