//! The work that a round asks for: train, check, build, verify.
//!
//! Invariants: a job answers with exactly the input that its effect names; what an answer refers to
//! is stored and served before the answer is given. What it is not: in charge of when.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use consent::permit::TrainOther;
use consent::{Denial, commit_data};
use protocol::limits::COMMIT_BYTES_MAX;
use protocol::round::check::{self, Outcome};
use protocol::round::{
    Accepted, Input, Rejected, RoundRecord, Tip, Trained, UpdateCommit, Verdict, commit_id,
};
use protocol::update::Update;
use protocol::{FileHash, Frontier, PublicKey, Signed};
use tokio_util::sync::CancellationToken;
use trainer::data::{Admitted, Table};
use trainer::{LocalOptions, LocalResult};

use super::desk::{Desk, DeskError};
use super::lists::DataLists;
use super::refusal::none_admitted;
use crate::api::dto::OwnView;
use crate::clock::now_ms;

/// The note under which a round's own training is kept.
pub(super) const OWN_NOTE: &str = "own";

/// This node's data in a run, and what its updates have not yet said.
#[derive(Debug)]
pub(super) struct Part {
    table: Table,
    /// What quantising lost, added to the next update. Zero after a restart: the loss is then at
    /// most half a step of one round.
    residual: Mutex<Vec<f32>>,
}

impl Part {
    pub(super) fn new(table: Table) -> Self {
        Self { table, residual: Mutex::default() }
    }
}

/// Trains one round's update. Nothing if training came to nothing; the reason is in the result.
pub(super) async fn train(
    desk: &Arc<Desk>,
    part: &Arc<Part>,
    trainer: PublicKey,
    round: u64,
    tip: Tip,
    cancel: CancellationToken,
) -> Result<Trained, DeskError> {
    let base = desk.base(&tip).await?;
    desk.reach(&base.required).await?;
    let config = desk.config().await?;
    let (frontier, admission) = desk
        .means
        .ledger
        .with_gate(&desk.policy, |gate| part.table.admit::<TrainOther>(|work| gate.decide(work)));
    if admission.admitted.is_empty() {
        return Err(DeskError::Work(none_admitted(&admission.denials)));
    }
    let works: Vec<_> = admission.admitted.works().collect();
    let frontier = keep_frontier(desk, &frontier).await?;
    let data = commit_data(&works, &admission.denials, frontier, &desk.policy);
    let lists = DataLists::new(desk.means.lists());
    if let Err(error) =
        tokio::task::block_in_place(|| lists.keep(&data, &works, &admission.denials))
    {
        tracing::warn!(%error, "what this round leaves out cannot be proved later");
    }
    let options = local_options(desk, trainer, round);
    let job = (Arc::clone(desk), Arc::clone(part), Arc::clone(&base));
    let work =
        move || run_local(&job.0, &job.1, &job.2, &config, admission.admitted, &options, &cancel);
    let (update, result) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| DeskError::Work(format!("training stopped: {e}")))??;
    let bytes = update.to_bytes();
    let update_bytes = bytes.len() as u64;
    let update = desk.keep(bytes).await?;
    let own = own_view(&data, &admission.denials, &result, update_bytes);
    desk.means.store.keep_note(desk.run, round, OWN_NOTE, &own)?;
    Ok(Trained { update, update_bytes, data })
}

fn run_local(
    desk: &Desk,
    part: &Part,
    base: &check::Base,
    config: &trainer::ModelConfig,
    admitted: Admitted<TrainOther>,
    options: &LocalOptions,
    cancel: &CancellationToken,
) -> Result<(Update, LocalResult), DeskError> {
    let progress = |_| {
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let result =
        trainer::train(config, &base.weights, admitted, options, &desk.means.device, progress)
            .map_err(|e| DeskError::Work(e.to_string()))?;
    // Whoever comes too late must not touch what the next training starts from.
    if cancel.is_cancelled() {
        return Err(DeskError::Work("another training has taken its place".into()));
    }
    let mut residual = part.residual.lock().unwrap_or_else(PoisonError::into_inner);
    residual.resize(result.delta.len(), 0.0);
    Ok((Update::quantise(&result.delta, &mut residual), result))
}

/// The seed is this trainer's for this round, so the same data give the same update again.
fn local_options(desk: &Desk, trainer: PublicKey, round: u64) -> LocalOptions {
    let local = &desk.spec.value().local;
    let mut seed = blake3::Hasher::new();
    seed.update(desk.run.as_bytes()).update(trainer.as_bytes()).update(&round.to_le_bytes());
    let mut word = [0u8; 8];
    seed.finalize_xof().fill(&mut word);
    LocalOptions::new(local, u64::from_le_bytes(word))
}

fn own_view(
    data: &protocol::round::DataCommit,
    denials: &[Denial],
    result: &LocalResult,
    update_bytes: u64,
) -> OwnView {
    let mut excluded_by = std::collections::BTreeMap::new();
    for denial in denials {
        let by = denial.records.first().map_or_else(|| "silence".into(), ToString::to_string);
        *excluded_by.entry(by).or_default() += 1;
    }
    OwnView {
        used: data.used,
        excluded: data.excluded,
        excluded_by,
        loss_micro: result.loss_micro,
        update_bytes,
    }
}

/// Keeps the commits heard, and fetches those of `accepted` that were not.
pub(super) async fn keep_commits(
    desk: &Desk,
    heard: Vec<Vec<u8>>,
    accepted: &[Accepted],
) -> Result<(), DeskError> {
    for commit in heard {
        desk.keep(commit).await?;
    }
    for entry in accepted {
        let hash = FileHash::from_bytes(*entry.commit.as_bytes());
        desk.bytes("a commit", hash, COMMIT_BYTES_MAX as u64, &[]).await?;
    }
    Ok(())
}

/// Looks at a commit.
pub(super) async fn check(desk: &Desk, commit: Signed<UpdateCommit>, tip: Tip) -> Input {
    let id = commit_id(&commit);
    let verdict = match judge(desk, commit, tip).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::info!(commit = %id.short(), %error, "a commit cannot be checked yet");
            Verdict::Unavailable
        }
    };
    Input::Checked { commit: id, verdict }
}

async fn judge(desk: &Desk, commit: Signed<UpdateCommit>, tip: Tip) -> Result<Verdict, DeskError> {
    desk.keep(commit.bytes().to_vec()).await?;
    if let Err(reason) = check::check_terms(desk.spec.value(), &commit) {
        return Ok(Verdict::Bad(reason));
    }
    let base = desk.base(&tip).await?;
    let evidence = desk.evidence(commit).await?;
    match check::check_evidence(desk.spec.value(), &evidence, &base.required) {
        Ok(_) => Ok(Verdict::Good),
        Err(reason) => Ok(Verdict::Bad(reason)),
    }
}

/// Aggregates a record to propose.
pub(super) async fn build(
    desk: &Desk,
    tip: Tip,
    accepted: Vec<Accepted>,
    rejected: Vec<Rejected>,
) -> Result<RoundRecord, DeskError> {
    let base = desk.base(&tip).await?;
    let parameters = desk.spec.value().model.parameters as usize;
    let update_max = protocol::update::bytes_max(parameters) as u64;
    let mut updates = Vec::with_capacity(accepted.len());
    for entry in accepted {
        let bytes = desk.bytes("an update", entry.update, update_max, &[entry.trainer]).await?;
        let update =
            Update::from_bytes(&bytes, parameters).map_err(|e| super::desk::bad("an update", e))?;
        updates.push((entry, update));
    }
    let bound = desk.means.ledger.frontier().merge(&base.required);
    let frontier = keep_frontier(desk, &bound).await?;
    let (run, spec, threads) = (desk.run, desk.spec.value(), desk.means.threads);
    let outcome = tokio::task::block_in_place(|| {
        check::build(run, spec, &base, updates, rejected, frontier, threads)
    })
    .map_err(|e| DeskError::Work(e.to_string()))?;
    keep_outcome(desk, outcome, bound).await
}

/// Recomputes a proposed record; nothing if bytes are missing.
pub(super) async fn verify(desk: &Desk, tip: Tip, record: &RoundRecord) -> Option<bool> {
    match recompute(desk, tip, record).await {
        Ok(holds) => Some(holds),
        Err(error) => {
            tracing::info!(round = record.round, %error, "a proposal cannot be recomputed yet");
            None
        }
    }
}

async fn recompute(desk: &Desk, tip: Tip, record: &RoundRecord) -> Result<bool, DeskError> {
    let base = desk.base(&tip).await?;
    let accepted = record.accepted.iter().map(|entry| (entry.commit, entry.trainer));
    let rejected = record.rejected.iter().map(|entry| (entry.commit, entry.trainer));
    let evidence = desk.evidence_for(accepted.chain(rejected)).await?;
    let bound = desk.frontier(record.frontier, &[]).await?;
    // Heads that nobody can show would keep every trainer out of the next round.
    desk.reach(&bound).await?;
    let (run, spec, threads) = (desk.run, desk.spec.value(), desk.means.threads);
    let outcome = tokio::task::block_in_place(|| {
        check::verify(run, spec, &base, record, &evidence, &bound, threads)
    });
    match outcome {
        Ok(outcome) => keep_outcome(desk, outcome, bound).await.map(|_| true),
        Err(error) => {
            tracing::warn!(round = record.round, %error, "a proposed record does not hold");
            Ok(false)
        }
    }
}

/// Stores a round's model and outer state, so that a vote for it means that it can be had here.
async fn keep_outcome(
    desk: &Desk,
    outcome: Outcome,
    bound: Frontier,
) -> Result<RoundRecord, DeskError> {
    let Outcome { record, weights, outer } = outcome;
    desk.keep(weights.to_bytes()).await?;
    desk.keep(outer.to_bytes()).await?;
    let tip = Tip::of(&record);
    desk.keep_base(Arc::new(check::Base { tip, weights, outer, required: bound }));
    Ok(record)
}

async fn keep_frontier(desk: &Desk, frontier: &Frontier) -> Result<FileHash, DeskError> {
    desk.keep(frontier.to_bytes()).await
}

/// The moment a round was certified here.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct CertifiedNote {
    /// In milliseconds since 1970.
    pub at_ms: u64,
}

impl CertifiedNote {
    pub(super) fn now() -> Self {
        Self { at_ms: now_ms() }
    }
}
