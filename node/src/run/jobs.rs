//! The work that a round asks of a trainer, and the look at a commit.
//!
//! Invariants: a job answers with exactly the input that its effect names; what an answer refers to
//! is stored and served before the answer is given. What it is not: in charge of when.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use consent::permit::TrainOther;
use consent::{Denial, commit_data};
use protocol::limits::COMMIT_BYTES_MAX;
use protocol::round::check::{self, Finding};
use protocol::round::{
    Accepted, Committee, DataCommit, Input, Tip, Trained, UpdateCommit, Verdict, commit_id,
};
use protocol::run::LocalSpec;
use protocol::update::Update;
use protocol::weights::Weights;
use protocol::{ContentId, FileHash, PublicKey, RunId, Signed};
use tokio_util::sync::CancellationToken;
use trainer::data::{Admitted, Table};
use trainer::{LocalOptions, LocalResult, Session, TrainError};

use super::desk::{Desk, DeskError};
use super::lists::DataLists;
use super::records;
use super::refusal::none_admitted;
use super::residual::{self, Residuals};
use super::show::{ShowError, TraceDir, Tracing};
use crate::api::dto::OwnView;
use crate::clock::now_ms;

/// The note under which a round's own training is kept.
pub(super) const OWN_NOTE: &str = "own";

/// This node's data in a run, and what admits it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) table: Table,
    /// Where the table is, if this node shows its work.
    shows: Option<PathBuf>,
    /// The envelope of an invitation, if it has one.
    pub(super) invitation: Option<Vec<u8>>,
}

impl Part {
    pub(super) fn new(table: Table, shows: Option<PathBuf>, invitation: Option<Vec<u8>>) -> Self {
        Self { table, shows, invitation }
    }

    /// Begins to show a round's work, if this node does that.
    fn tracing(
        &self,
        desk: &Desk,
        round: u64,
        used: &[ContentId],
        data: &DataCommit,
    ) -> Option<Tracing> {
        let source = self.shows.as_ref()?;
        let dir = TraceDir::new(&desk.means.traces(), desk.run, round);
        let begun = dir.begin(source, &self.table, used, data, &desk.policy);
        begun.inspect_err(|error| tracing::warn!(%error, "this round's work is not shown")).ok()
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
    let base = desk.weights_at(&tip).await?;
    desk.reach(&desk.frontier(tip.frontier, &[]).await?).await?;
    let config = desk.config().await?;
    let (frontier, admission) = desk
        .means
        .ledger
        .with_gate(&desk.policy, |gate| part.table.admit::<TrainOther>(|work| gate.decide(work)));
    if admission.admitted.is_empty() {
        return Err(DeskError::Work(none_admitted(&admission.denials)));
    }
    let works: Vec<_> = admission.admitted.works().collect();
    let frontier = records::keep_frontier(desk, &frontier).await?;
    let data = commit_data(&works, &admission.denials, frontier, &desk.policy);
    let lists = DataLists::new(desk.means.lists());
    if let Err(error) =
        tokio::task::block_in_place(|| lists.keep(&data, &works, &admission.denials))
    {
        tracing::warn!(%error, "what this round leaves out cannot be proved later");
    }
    let options = local_options(&desk.spec.value().local, desk.run, trainer, round);
    let (worker, part) = (Arc::clone(desk), Arc::clone(part));
    let named = data.clone();
    let work = move || {
        let mut tracing = part.tracing(&worker, round, &works, &named);
        let local = Local { base: &base, config: &config, options: &options, cancel: &cancel };
        let result = local.run(&worker, admission.admitted, &mut tracing)?;
        let update = write_update(&worker, trainer, round, &result, &mut tracing);
        let trace = tracing.map(Tracing::finish).transpose();
        let trace = trace.inspect_err(|error| tracing::warn!(%error, "this work is not shown"));
        Ok::<_, DeskError>((update, trace.ok().flatten(), result))
    };
    let (update, trace, result) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| DeskError::Work(format!("training stopped: {e}")))??;
    let (update_bytes, norm) = (update.bytes().len() as u64, update.norm());
    let update = desk.keep(update.bytes().to_vec()).await?;
    let own = own_view(&data, &admission.denials, &result, update_bytes);
    desk.means.store.keep_note(desk.run, round, OWN_NOTE, &own)?;
    let trace = trace.map(|bytes| FileHash::of(&bytes));
    Ok(Trained { update, update_bytes, norm, data, trace })
}

/// One round's training.
struct Local<'a> {
    base: &'a Weights,
    config: &'a trainer::ModelConfig,
    options: &'a LocalOptions,
    cancel: &'a CancellationToken,
}

impl Local<'_> {
    /// Trains to the end, by way of what is shown; a trace that fails is given up.
    fn run(
        &self,
        desk: &Desk,
        admitted: Admitted<TrainOther>,
        tracing: &mut Option<Tracing>,
    ) -> Result<LocalResult, DeskError> {
        let (config, device) = (self.config, &desk.means.device);
        let failed = |error: TrainError| DeskError::Work(error.to_string());
        let session = Session::new(config, self.base, admitted, self.options, device);
        let mut session = session.map_err(failed)?;
        if let Some(kept) = tracing {
            match kept.follow(&mut session, |session, to| self.advance(session, to)) {
                Ok(()) => {}
                Err(ShowError::Train(error)) => return Err(failed(error)),
                Err(error) => {
                    tracing::warn!(%error, "this round's work is not shown");
                    *tracing = None;
                }
            }
        }
        let steps = session.steps();
        self.advance(&mut session, steps).map_err(failed)?;
        // Whoever comes too late must not touch what the next training starts from.
        if self.cancel.is_cancelled() {
            return Err(DeskError::Work("another training has taken its place".into()));
        }
        session.result(self.base).map_err(failed)
    }

    fn advance(&self, session: &mut Session, to: u64) -> Result<(), TrainError> {
        session.advance(to, &mut |_| match self.cancel.is_cancelled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }
}

/// Compresses what was learnt; what that loses is kept for the next round.
fn write_update(
    desk: &Desk,
    trainer: PublicKey,
    round: u64,
    result: &LocalResult,
    tracing: &mut Option<Tracing>,
) -> Update {
    let form = desk.spec.value().update_form();
    let residuals = Residuals::new(desk.means.residuals(), desk.run);
    let mut residual = residuals.before(round, form.parameters);
    let shown = tracing.as_mut().map(|kept| kept.residual(&residual::to_bytes(&residual)));
    if let Some(Err(error)) = shown {
        tracing::warn!(%error, "this round's work is not shown");
        *tracing = None;
    }
    let update = Update::make(&form, trainer, &result.delta, &mut residual);
    if let Err(error) = residuals.keep(round, &residual) {
        tracing::warn!(%error, "what this round leaves unsaid is not kept");
    }
    update
}

/// The seed is this trainer's for this round, so the same data give the same update again.
pub(super) fn local_options(
    local: &LocalSpec,
    run: RunId,
    trainer: PublicKey,
    round: u64,
) -> LocalOptions {
    let mut seed = blake3::Hasher::new();
    seed.update(run.as_bytes()).update(trainer.as_bytes()).update(&round.to_le_bytes());
    let mut word = [0u8; 8];
    seed.finalize_xof().fill(&mut word);
    LocalOptions::new(local, u64::from_le_bytes(word))
}

fn own_view(
    data: &DataCommit,
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
    let (id, base) = (commit_id(&commit), tip.id);
    let verdict = match judge(desk, commit, tip).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::info!(commit = %id.short(), %error, "a commit cannot be checked yet");
            Verdict::Unavailable
        }
    };
    Input::Checked { commit: id, base, verdict }
}

async fn judge(desk: &Desk, commit: Signed<UpdateCommit>, tip: Tip) -> Result<Verdict, DeskError> {
    desk.keep(commit.bytes().to_vec()).await?;
    if let Err(reason) = check::check_terms(desk.spec.value(), &tip, &commit) {
        return Ok(Verdict::Bad(reason));
    }
    let required = desk.frontier(tip.frontier, &[]).await?;
    let spec = desk.spec.value();
    let found = if Committee::of(spec, &tip).is_some() {
        let evidence = desk.evidence_of_head(&tip, commit).await?;
        check::check_head(spec, &tip, &required, &evidence)
    } else {
        let evidence = desk.evidence(&tip, commit, &[]).await?;
        tokio::task::block_in_place(|| check::check_evidence(spec, &tip, &required, &evidence))
    };
    match found.map_err(DeskError::Tape)? {
        Finding::Counts => Ok(Verdict::Good),
        Finding::Rejected(reason) => Ok(Verdict::Bad(reason)),
        Finding::Missing => Ok(Verdict::Unavailable),
    }
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
