//! Whose word counts: each rule of the ledger's `power`, `feed` and `claim` and of the gate, one by one.
//!
//! Every test builds a small scene of people who sign records, and looks at claims and answers.
//! `replicas.rs` has the same rules under random records; here each has a name.

mod behalf;
mod doubt;
mod keys;
mod place;
mod reopening;
mod replay;
mod scene;
mod similar;
mod witness;
