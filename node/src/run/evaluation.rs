//! Evaluating models: a round's on the run's held-out table, any model on a table of the user's.
//!
//! Invariants: every row passes the gate for evaluation first; a result is this node's own finding
//! and never part of what is agreed on, since floats differ between machines.
//! What it is not: a signed report for others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use consent::Policy;
use consent::permit::Evaluate;
use protocol::limits::HELD_OUT_BYTES_MAX;
use protocol::round::Tip;
use protocol::weights::Weights;
use trainer::{Device, ModelConfig, Table};

use super::desk::{Desk, DeskError};
use crate::api::dto::EvalView;
use crate::ledger::LedgerBook;

/// The note under which a round's evaluation is kept.
pub(super) const EVAL_NOTE: &str = "evaluation";

/// Why a model could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvalError {
    /// The table cannot be read for this model.
    #[error(transparent)]
    Table(#[from] trainer::TableError),
    /// No row may be used, or the model does not fit.
    #[error(transparent)]
    Evaluate(#[from] trainer::EvaluateError),
}

/// Evaluates a model on a table, rows refused by the gate left out and counted.
pub(crate) fn evaluate_table(
    config: &ModelConfig,
    weights: &Weights,
    table: &Path,
    ledger: &LedgerBook,
    policy: &Policy,
    device: &Device,
) -> Result<(EvalView, u64), EvalError> {
    let table = Table::open(table, &config.table_options())?;
    let (_, admission) =
        ledger.with_gate(policy, |gate| table.admit::<Evaluate>(|work| gate.decide(work)));
    let excluded = admission.denials.len() as u64;
    let found = trainer::evaluate(config, weights, admission.admitted, device)?;
    let view =
        EvalView { samples: found.samples, correct: found.correct, loss_micro: found.loss_micro };
    Ok((view, excluded))
}

/// Evaluates a round's model on the run's held-out table and notes the result.
pub(super) async fn evaluate_round(desk: &Arc<Desk>, tip: Tip) {
    let round = tip.round;
    if let Err(error) = try_evaluate_round(desk, tip).await {
        tracing::warn!(round, %error, "no evaluation");
    }
}

async fn try_evaluate_round(desk: &Arc<Desk>, tip: Tip) -> Result<(), DeskError> {
    let Some(table) = held_out(desk).await? else { return Ok(()) };
    let config = desk.config().await?;
    let weights = desk.weights_at(&tip).await?;
    let worker = Arc::clone(desk);
    let work = move || {
        let means = &worker.means;
        evaluate_table(&config, &weights, &table, &means.ledger, &worker.policy, &means.device)
    };
    let (view, _) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| DeskError::Work(format!("evaluating stopped: {e}")))?
        .map_err(|e| DeskError::Work(e.to_string()))?;
    Ok(desk.means.store.keep_note(desk.run, tip.round, EVAL_NOTE, &view)?)
}

/// The run's held-out table as a file, fetched if it is not here.
async fn held_out(desk: &Desk) -> Result<Option<PathBuf>, DeskError> {
    let Some(hash) = desk.spec.value().model.held_out else { return Ok(None) };
    let path = desk.means.dir.join(format!("{hash}.csv"));
    let written = desk.held_out_written.get_or_try_init(|| async {
        // Fetched whole and verified before it appears under its name; what an earlier start left
        // there is not trusted.
        desk.bytes("the held-out table", hash, HELD_OUT_BYTES_MAX, &[]).await?;
        std::fs::create_dir_all(&desk.means.dir).map_err(|e| {
            DeskError::Data(format!("cannot make {}: {e}", desk.means.dir.display()))
        })?;
        desk.means.net.blobs().export(hash, &path).await?;
        Ok::<_, DeskError>(())
    });
    written.await?;
    Ok(Some(path))
}
