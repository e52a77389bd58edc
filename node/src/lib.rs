//! Accord's node: network, disk, runs, the local API and the command line.
//!
//! Role: the only crate that does IO; it drives the machines of `protocol`, keeps the ledger of
//! `consent` and gives work to `trainer`.
//!
//! Invariants: one owner task per stateful thing, bounded queues, every task ends with the node;
//! nothing is acknowledged before it is durable. What it is not: a place for rules that other nodes
//! must agree on.

mod announce;
pub mod api;
pub mod cli;
mod clock;
mod collections;
pub mod daemon;
pub mod demo;
mod durable;
mod files;
pub mod home;
pub mod identity;
mod inbox;
mod ledger;
mod likeness;
pub mod log;
pub mod net;
mod policy_file;
mod recent;
mod repo;
mod room;
mod run;
mod scan;
mod seen;
mod service;
mod signals;
mod store;
mod table;
mod works;
