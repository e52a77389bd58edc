//! Accord's trainer: tables and models in, updates and scores out.
//!
//! Role: reads data and weights from files, trains one round locally with burn, measures models.
//!
//! Invariants: a value of a row reaches a tensor, or a statistic, only out of
//! [`data::Admitted`], which holds one [`consent::Permit`] a row; equal input and seed give the
//! equal result on one machine. What it is not: it knows no network, decides no consent (the
//! caller's gate does) and aggregates nothing (see `protocol::aggregate`).

pub mod data;
pub mod device;
pub mod evaluate;
pub mod local;
pub mod model;
mod momentum;
pub mod session;
pub mod snapshot;

pub use data::{Admission, Admitted, Table, TableError, TableFault, TableOptions};
pub use device::{Device, DeviceError};
pub use evaluate::{ClassScore, EvaluateError, Evaluation, evaluate};
pub use local::{LocalOptions, LocalResult, Progress, TrainError, train};
pub use model::{ConfigError, Model, ModelConfig, ModelError};
pub use session::{Session, State};
pub use snapshot::{SnapshotError, pickle_reason, read_weights};
