//! Whole runs in one thread under a seed: stewards, trainers, contributors, a bad network, crashes, liars.
//!
//! ```text
//!            Plan: faults by index (crash, split, lie, ...)
//!                 |
//!   Queue --> World --> Node: Round + journal + blobs + ledger + jobs
//!     ^                   |  effects, packets, timers
//!     +----- Bus: Network, Mesh, Checker, Trace
//! ```
//!
//! Every node runs the `Round`, the checks, the aggregation and the gate of the product; only bytes,
//! time and training are made up. The checker looks at everything that is written and sent.
//!
//! Invariants: a run is a function of the scenario and the seed; all randomness comes from the seed
//! tree, all time from the queue, and nothing iterates in an order that memory addresses decide.
//! What it is not: a model of throughput. Latencies are drawn to be nasty, not to be true.

mod bus;
mod byzantine;
mod checker;
mod clock;
mod contributor;
mod counts;
mod event;
mod facts;
mod false_work;
mod fault;
mod hardware;
mod inbox;
mod job;
mod liar;
mod liars;
mod library;
mod mesh;
mod minimise;
mod needs;
mod network;
mod node;
mod opened;
mod packet;
mod partition;
mod plan;
mod providers;
mod recompute;
mod replay;
mod report;
mod scenario;
mod script;
mod seed;
mod slices;
mod stage;
mod trace;
mod traffic;
mod twin;
mod work;
mod world;

pub use byzantine::Lie;
pub use counts::Counts;
pub use minimise::{Minimised, minimise};
pub use partition::{Cut, NodeSet, Shape};
pub use plan::{Fault, Plan, Wrong};
pub use replay::{Replay, Step};
pub use report::{Case, Failure, Report, Rule, Violation};
pub use scenario::{Cast, Defect, Scenario, Trouble};
pub use script::{Mishap, Script, What};
pub use stage::{Stage, Training, play};
pub use trace::Trail;
pub use traffic::{Flow, Plane, Traffic};
pub use world::{measure, plan_of, run, run_case, run_plan};
