//! A run as people see it.
//!
//! Invariants: everything shown comes from certificates, commits and this node's own notes.
//! What it is not: complete for a run that this node does not follow.

use std::collections::BTreeSet;

use protocol::round::{Accepted, Certificate};
use protocol::run::{RunSpec, run_id};
use protocol::{PublicKey, Signed};

use super::desk::Desk;
use super::driver::{CERTIFIED_NOTE, Driver, Snapshot};
use super::evaluation::EVAL_NOTE;
use super::fork;
use super::jobs::{CertifiedNote, OWN_NOTE};
use super::log::{change, commit_of, decoded, motion_views};
use super::publish::PUBLISHED_NOTE;
use crate::api::dto::{RejectView, RoundView, RunView, UpdateView};
use crate::store::StoreError;

impl Driver {
    /// The run as people see it; nothing when the node stops.
    pub(crate) async fn view(&self) -> Result<Option<RunView>, StoreError> {
        let Some(snapshot) = self.snapshot().await else { return Ok(None) };
        let desk = self.desk();
        let spec = desk.spec.value();
        let mut history = Vec::new();
        let count = snapshot.tip.round as usize;
        for bytes in desk.means.store.certificates(desk.run, 1, count)? {
            history.push(round_view(desk, &decoded(&bytes)?).await?);
        }
        let named = [(snapshot.steward, "steward"), (snapshot.trainer, "trainer")];
        let parts = named.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned());
        Ok(Some(RunView {
            run: desk.run,
            name: spec.name.clone(),
            creator: desk.spec.signer(),
            stewards: snapshot.tip.roster.stewards().to_vec(),
            rounds_count: spec.rounds.count,
            round: snapshot.tip.round,
            finished: snapshot.finished,
            parts: parts.collect(),
            forks: fork::views(desk)?,
            motions: motion_views(&snapshot.motions, snapshot.tip.roster.stewards().len()),
            doing: doing(&snapshot, spec),
            trainers: trainers(snapshot.trainers, history.last()),
            evaluating: snapshot.evaluating,
            model: snapshot.tip.model,
            published: desk.means.store.note(desk.run, 0, PUBLISHED_NOTE)?,
            history,
        }))
    }
}

/// A run that this node has only heard of.
pub(crate) fn announced_view(signed: &Signed<RunSpec>) -> RunView {
    let spec = signed.value();
    RunView {
        run: run_id(signed),
        name: spec.name.clone(),
        creator: signed.signer(),
        stewards: spec.stewards.clone(),
        rounds_count: spec.rounds.count,
        round: 0,
        finished: false,
        parts: Vec::new(),
        motions: Vec::new(),
        forks: Vec::new(),
        trainers: Vec::new(),
        evaluating: None,
        doing: "announced; not followed".into(),
        model: spec.model.weights,
        published: None,
        history: Vec::new(),
    }
}

/// What this node does for the run, or waits for.
fn doing(snapshot: &Snapshot, spec: &RunSpec) -> String {
    let (heard, needed) = (snapshot.trainers.len(), spec.rounds.updates_min as usize);
    if !snapshot.doing.is_empty() {
        snapshot.doing.clone()
    } else if snapshot.finished {
        "finished".into()
    } else if (snapshot.steward || snapshot.trainer) && heard < needed {
        format!("waiting for trainers: {heard} of at least {needed} have joined")
    } else if snapshot.steward || snapshot.trainer {
        "waiting for updates".into()
    } else {
        "looking on".into()
    }
}

/// Who said that they train, and whose update the newest round took: a node that came later has not
/// heard the words.
fn trainers(said: Vec<PublicKey>, newest: Option<&RoundView>) -> Vec<PublicKey> {
    let took = newest.into_iter().flat_map(|round| &round.accepted).map(|update| update.trainer);
    said.into_iter().chain(took).collect::<BTreeSet<_>>().into_iter().collect()
}

async fn round_view(desk: &Desk, certificate: &Certificate) -> Result<RoundView, StoreError> {
    let record = &certificate.record;
    let store = &desk.means.store;
    let mut accepted = Vec::with_capacity(record.accepted.len());
    for entry in &record.accepted {
        accepted.push(update_view(desk, entry).await);
    }
    let rejected = record
        .rejected
        .iter()
        .map(|entry| RejectView { trainer: entry.trainer, reason: entry.reason.to_string() });
    let certified: Option<CertifiedNote> = store.note(desk.run, record.round, CERTIFIED_NOTE)?;
    Ok(RoundView {
        round: record.round,
        id: record.id(),
        model: record.model_out,
        accepted,
        rejected: rejected.collect(),
        changes: record.parts.changes.iter().map(change).collect(),
        signatures: certificate.precommits.len(),
        evaluation: store.note(desk.run, record.round, EVAL_NOTE)?,
        own: store.note(desk.run, record.round, OWN_NOTE)?,
        certified_ms: certified.map_or(0, |note| note.at_ms),
    })
}

/// What the commit says, if it is here.
async fn update_view(desk: &Desk, entry: &Accepted) -> UpdateView {
    let commit = commit_of(desk, entry).await;
    let said = commit.as_ref().map(Signed::value);
    UpdateView {
        trainer: entry.trainer,
        commit: entry.commit,
        weight: entry.weight,
        late: entry.late,
        used: said.map(|commit| commit.data.used),
        excluded: said.map(|commit| commit.data.excluded),
        update_bytes: said.map(|commit| commit.update_bytes),
    }
}
