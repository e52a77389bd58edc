//! An audit of another trainer's work: its update on samples of this node's own, and a part of its training
//! once more, where it shows it.
//!
//! Invariants: samples pass this node's gate, for evaluation and for training; what is said is what was
//! measured here. What it is not: a verdict, nor equal on every machine: floats differ in their last digits.

use std::sync::Arc;
use std::time::Duration;

use consent::permit::{Evaluate, TrainOther};
use protocol::limits::{
    COMMIT_BYTES_MAX, HELD_OUT_BYTES_MAX, HOLDOUT_SAMPLES_MAX, TRACE_BYTES_MAX,
};
use protocol::round::{
    Accepted, Assignment, Audited, Holdout, Outcome, Retraining, RoundRecord, Trace, UpdateCommit,
};
use protocol::update::Update;
use protocol::weights::Weights;
use protocol::{ContentId, FileHash, Signed};
use trainer::data::{Table, split};

use super::desk::{Desk, DeskError, bad};
use super::jobs::Part;
use super::retrain::{Shown, Terms, Work};
use super::show::used_root;

/// How often a trainer is asked for what shows its work: it shares that when it hears who drew it.
const TRIES_MAX: u32 = 5;

/// An update that this node was drawn to look at, with what it was made from.
pub(super) struct Inspection {
    pub(super) record: Box<RoundRecord>,
    pub(super) assignment: Assignment,
    /// The round's base.
    pub(super) base: Arc<Weights>,
}

impl Inspection {
    /// Looks; nothing if nothing can be said.
    pub(super) async fn make(
        self,
        desk: &Arc<Desk>,
        part: &Arc<Part>,
    ) -> Result<Option<Audited>, DeskError> {
        let holdout = self.holdout(desk, part).await?;
        let retraining = self.retraining(desk).await?;
        let (round, record) = (self.record.round, self.record.id());
        let commit = self.assignment.update.commit;
        let says = holdout.is_some() || retraining.is_some();
        Ok(says.then_some(Audited { round, record, commit, holdout, retraining }))
    }

    /// The base with an update at the share that the audited one has.
    async fn with(&self, desk: &Desk, entry: &Accepted) -> Result<Weights, DeskError> {
        let (form, hints) = (desk.spec.value().update_form(), [entry.trainer]);
        let bytes = desk.bytes("an update", entry.update, form.update_bytes(), &hints).await?;
        let update = Update::open(bytes, &form, entry.trainer).map_err(|e| bad("an update", e))?;
        let share = self.assignment.share_micro as f32 / 1e6;
        let pairs = self.base.values().iter().zip(update.values(&form));
        let values = pairs.map(|(base, delta)| base + share * delta).collect();
        let with = Weights::from_flat(self.base.layout().to_vec(), values);
        with.map_err(|e| bad("an update", e))
    }

    /// The loss on samples drawn from this node's rows: of the base, with the update, and with another.
    async fn holdout(
        &self,
        desk: &Arc<Desk>,
        part: &Arc<Part>,
    ) -> Result<Option<Holdout>, DeskError> {
        let after = self.with(desk, &self.assignment.update).await?;
        let control = match &self.assignment.control {
            Some(entry) => Some(self.with(desk, entry).await?),
            None => None,
        };
        let (config, worker, part) = (desk.config().await?, Arc::clone(desk), Arc::clone(part));
        let (base, seed) = (Arc::clone(&self.base), self.assignment.samples_seed());
        blocking(move || {
            let means = &worker.means;
            let table = part.drawn(seed, HOLDOUT_SAMPLES_MAX as usize);
            let loss = |weights: &Weights| {
                let (_, admission) = means.ledger.with_gate(&worker.policy, |gate| {
                    table.admit::<Evaluate>(|work| gate.decide(work))
                });
                let works: Vec<_> = admission.admitted.works().collect();
                let found = trainer::evaluate(&config, weights, admission.admitted, &means.device);
                found.ok().map(|found| (works, found.loss_micro))
            };
            let (before, after) = (loss(&base), loss(&after));
            let Some(((works, before_micro), (same, after_micro))) = before.zip(after) else {
                return Ok(None);
            };
            let control = control.and_then(|control| loss(&control));
            // The gate may have changed its mind in between: then they say nothing together.
            let agrees = |other: &[ContentId]| works == *other;
            if !agrees(&same) || control.as_ref().is_some_and(|(other, _)| !agrees(other)) {
                return Ok(None);
            }
            Ok(Some(Holdout {
                samples_root: used_root(&works, &worker.policy),
                samples: works.len() as u64,
                before_micro,
                after_micro,
                control_micro: control.map(|(_, micro)| micro),
            }))
        })
        .await
    }

    /// One segment of the trainer's work, trained again.
    async fn retraining(&self, desk: &Arc<Desk>) -> Result<Option<Retraining>, DeskError> {
        let (entry, most) = (&self.assignment.update, COMMIT_BYTES_MAX as u64);
        let hash = FileHash::from_bytes(*entry.commit.as_bytes());
        let bytes = desk.bytes("a commit", hash, most, &[entry.trainer]).await?;
        let commit = Signed::<UpdateCommit>::open(&bytes).map_err(|e| bad("a commit", e))?;
        let Some(trace) = commit.value().trace else { return Ok(None) };
        let said = |segments, segment, outcome| Some(Retraining { segments, segment, outcome });
        let Some(bytes) = self.shown(desk, "a trace", trace, TRACE_BYTES_MAX as u64).await else {
            return Ok(said(1, 0, Outcome::Withheld));
        };
        let Ok(trace) = Trace::from_bytes(&bytes) else {
            return Ok(said(1, 0, Outcome::Unlike));
        };
        let segments = trace.segments();
        let Some(segment) = self.assignment.segment(segments) else { return Ok(None) };
        let Some(shown) = self.fetch(desk, &trace, segment).await else {
            return Ok(said(segments, segment, Outcome::Withheld));
        };
        let work = Work { shown, trace, segment, commit, base: Arc::clone(&self.base) };
        let (config, worker) = (desk.config().await?, Arc::clone(desk));
        let outcome = blocking(move || {
            let (spec, means, policy) = (worker.spec.value(), &worker.means, &worker.policy);
            let admit = |table: &Table| {
                let (_, admission) = means
                    .ledger
                    .with_gate(policy, |gate| table.admit::<TrainOther>(|work| gate.decide(work)));
                // What this node's ledger refuses it trains on for no reason.
                admission.denials.is_empty().then_some(admission.admitted)
            };
            let (form, local) = (spec.update_form(), &spec.local);
            let (config, device) = (&config, &means.device);
            work.again(&Terms { form, local, policy, config, device }, admit)
        })
        .await?;
        Ok(outcome.and_then(|outcome| said(segments, segment, outcome)))
    }

    async fn fetch(&self, desk: &Desk, trace: &Trace, segment: u32) -> Option<Shown> {
        let state_bytes_max = 8 * desk.spec.value().model.parameters;
        let state = |at: u32| trace.states[at as usize];
        let before = match segment.checked_sub(1) {
            Some(at) => Some(self.shown(desk, "a state", state(at), state_bytes_max).await?),
            None => None,
        };
        let residual = match trace.residual {
            Some(hash) => Some(self.shown(desk, "a residual", hash, state_bytes_max).await?),
            None => None,
        };
        let last = trace.segments() - 1;
        Some(Shown {
            rows: self.shown(desk, "the rows", trace.rows, HELD_OUT_BYTES_MAX).await?,
            before,
            after: self.shown(desk, "a state", state(segment), state_bytes_max).await?,
            last: self.shown(desk, "a state", state(last), state_bytes_max).await?,
            residual,
        })
    }

    /// Bytes that the trainer shows, asked for some times: it may hear later than we that it was drawn.
    async fn shown(
        &self,
        desk: &Desk,
        what: &'static str,
        hash: FileHash,
        bytes_max: u64,
    ) -> Option<Vec<u8>> {
        let hints = [self.assignment.update.trainer];
        for tried in 1..=TRIES_MAX {
            match desk.bytes(what, hash, bytes_max, &hints).await {
                Ok(bytes) => return Some(bytes),
                Err(error) => tracing::debug!(%error, tried, "work is not shown yet"),
            }
            // As long as the run gives messages to arrive.
            let wait_ms = desk.spec.value().rounds.agree_ms;
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        None
    }
}

impl Part {
    /// Up to `count` of this node's rows, by a draw.
    fn drawn(&self, seed: u64, count: usize) -> Table {
        let mut rows: Vec<usize> = (0..self.table.len()).collect();
        split::shuffled(&mut rows, seed);
        rows.truncate(count);
        self.table.part(&rows)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeskError> + Send + 'static,
) -> Result<T, DeskError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| DeskError::Work(format!("looking at an update stopped: {e}")))?
}
