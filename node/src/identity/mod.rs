//! Identities as a node keeps them: their files, their keys over time, and what opens them.
//!
//! Role: `keyring` is an identity's keys in memory, `file` its file, `seal` the passphrase's part,
//! `store` the directory, `speaker` an opened identity that can sign, `rotate` the change of keys.
//! What it is not: what identities say (see the `consent` crate), or the ledger.

mod error;
mod file;
mod keyring;
mod rotate;
mod seal;
mod speaker;
mod store;
#[cfg(test)]
mod tests;

pub use error::IdentityError;
pub(crate) use keyring::Keyring;
pub(crate) use rotate::rotate;
pub(crate) use speaker::{Access, Speaker};
pub(crate) use store::{Identities, is_sealed, read_away, read_recovery, write_away};
