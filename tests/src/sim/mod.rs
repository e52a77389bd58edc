//! Whole runs in one thread under a seed: stewards, trainers, contributors, a bad network, crashes.
//!
//! ```text
//!            Act (crash, split, deny, ...)
//!                 |
//!   Queue --> World --> Node: Round + journal + blobs + ledger + jobs
//!     ^                   |  effects, packets, timers
//!     +----- Bus: Network, Checker, Trace
//! ```
//!
//! Every node runs the `Round`, the checks, the aggregation and the gate of the product; only bytes,
//! time and training are made up. The checker looks at everything that is written and sent.
//!
//! Invariants: a run is a function of the scenario and the seed; all randomness comes from the seed
//! tree, all time from the queue, and nothing iterates in an order that memory addresses decide.
//! What it is not: a model of throughput. Latencies are drawn to be nasty, not to be true.

mod bus;
mod checker;
mod contributor;
mod event;
mod facts;
mod fault;
mod inbox;
mod job;
mod library;
mod network;
mod node;
mod packet;
mod report;
mod scenario;
mod seed;
mod trace;
mod twin;
mod work;
mod world;

pub use report::{Failure, Report, Rule, Violation};
pub use scenario::{Cast, Defect, Scenario};
pub use world::{Trail, run};
