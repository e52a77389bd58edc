//! Runs on this node: the machine of `protocol::round` with a network, a disk and a trainer.
//!
//! ```text
//! gossip, requests --> inputs --> driver (owns Round) --> effects --> journal, gossip, jobs
//!                        ^                                                          |
//!                        +------------------ answers -------------------------------+
//! ```
//!
//! Invariants: one driver task owns a run's state; jobs run beside it and answer by id; what a
//! message or answer needs on disk is there before it leaves.
//! What it is not: the rules of a round (see `protocol::round`).

mod audit;
mod begin;
mod book;
mod certificates;
mod chain;
mod closing;
mod create;
mod desk;
mod driver;
mod evaluation;
mod export;
mod fork;
mod heard;
mod inspect;
mod jobs;
mod journal;
mod lists;
mod log;
mod models;
mod parts;
mod proof;
mod publish;
mod records;
mod refusal;
mod residual;
mod retrain;
mod say;
mod show;
mod slices;
mod spec_file;
mod spec_sections;
mod tape;
mod task;
mod view;

pub(crate) use audit::audit;
pub(crate) use book::{RunBook, RunError, TakeRunError};
pub(crate) use create::{CreateError, create};
pub(crate) use desk::Means;
pub(crate) use driver::Driver;
pub(crate) use evaluation::evaluate_table;
pub(crate) use export::{Exported, export};
pub(crate) use proof::prove_round;
pub(crate) use say::has_say;
pub(crate) use view::announced_view;
