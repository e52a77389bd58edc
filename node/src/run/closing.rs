//! What follows when a round is certified: it is noted, its commits and model are kept, its model is evaluated
//! and, after the last one, published.
//!
//! Invariants: none of it holds up the next round; it runs beside the driver. What it is not: certifying.

use std::sync::Arc;

use protocol::round::{Accepted, Certificate, RoundRecord, Tip, assignments, keepers};

use super::desk::DeskError;
use super::driver::{CERTIFIED_NOTE, Command};
use super::jobs::{self, CertifiedNote};
use super::show::{self, TraceDir};
use super::task::Task;
use super::{evaluation, publish};

/// Of so many rounds a trainer keeps one's model, for others and for its own restart.
const KEPT_EVERY: u64 = 8;

impl Task {
    /// Notes a round that was certified, and does what follows from it.
    pub(super) fn certified(
        &mut self,
        certificate: &Certificate,
        tip: Tip,
    ) -> Result<(), DeskError> {
        let round = certificate.record.round;
        let store = &self.desk.means.store;
        store.keep_note(self.desk.run, round, CERTIFIED_NOTE, &CertifiedNote::now())?;
        tracing::info!(run = %self.desk.run.short(), round, "certified");
        self.touch();
        self.keep_commits(&certificate.record);
        self.show(&certificate.record);
        self.keep_updates(&certificate.record);
        self.follow_roster();
        self.evaluate(tip);
        Ok(())
    }

    /// Shares what shows this node's work, if an auditor drew it; the rest of the round's trace goes.
    fn show(&self, record: &RoundRecord) {
        let (round, me) = (record.round, self.desk.means.net.key());
        if !self.desk.means.traces().exists() {
            return;
        }
        let audits = self.desk.spec.value().rounds.audits;
        let asked = assignments(record, audits).into_iter();
        let asked: Vec<_> = asked.filter(|asked| asked.update.trainer == me).collect();
        let desk = Arc::clone(&self.desk);
        self.spawn(async move {
            let traces = desk.means.traces();
            for asked in asked {
                let dir = TraceDir::new(&traces, desk.run, round);
                if let Err(error) = dir.share(&desk, |segments| asked.segment(segments)).await {
                    tracing::warn!(round, %error, "this node's work cannot be shown");
                }
            }
            show::forget(&traces, desk.run, round);
            None
        });
    }

    /// Keeps the updates of a round that was cut of which this node is a keeper.
    fn keep_updates(&self, record: &RoundRecord) {
        let spec = self.desk.spec.value();
        if spec.rounds.slices < 2 || !self.round.is_trainer() {
            return;
        }
        let (me, bytes) = (self.desk.means.net.key(), spec.update_form().update_bytes());
        let (desk, record) = (Arc::clone(&self.desk), record.clone());
        self.spawn(async move {
            let id = record.id();
            let mine = |entry: &&Accepted| keepers(&record, id, entry.commit).contains(&me);
            for entry in record.accepted.iter().filter(mine) {
                let kept = desk.source("an update", entry.update, bytes, &[entry.trainer]).await;
                if let Err(error) = kept {
                    tracing::info!(%error, "an update is not kept here");
                }
            }
            None
        });
    }

    /// Tells the rest of the node who has which part now.
    pub(super) fn follow_roster(&self) {
        let roster = Arc::clone(&self.round.tip().roster);
        self.desk.follow_stewards(roster.stewards());
        self.shown.roster.send_replace(roster);
    }

    /// Keeps the accepted commits that this node heard, to be shown and to be served to auditors.
    fn keep_commits(&mut self, record: &RoundRecord) {
        let commits = self.heard.accepted(record);
        // A steward keeps each as it checks it; an onlooker asks for none that it did not hear.
        if self.round.is_steward() || (commits.is_empty() && !self.round.is_trainer()) {
            return;
        }
        let missing = if self.round.is_trainer() { record.accepted.clone() } else { Vec::new() };
        let (desk, changed) = (Arc::clone(&self.desk), self.shown.changed.clone());
        self.spawn(async move {
            if let Err(error) = jobs::keep_commits(&desk, commits, &missing).await {
                tracing::info!(%error, "a commit was not kept");
            }
            changed.send_modify(|count| *count += 1);
            None
        });
    }

    /// Evaluates a round's model, unless this node only looks on.
    pub(super) fn evaluate(&mut self, tip: Tip) {
        if tip.round == 0 || !(self.round.is_steward() || self.round.is_trainer()) {
            return;
        }
        self.evaluating.insert(tip.round);
        let (desk, commands) = (Arc::clone(&self.desk), self.commands.clone());
        let keeps = self.round.is_finished() || tip.round.is_multiple_of(KEPT_EVERY);
        self.spawn(async move {
            let round = tip.round;
            evaluation::evaluate_round(&desk, tip.clone()).await;
            if keeps && let Err(error) = desk.keep_tip(&tip).await {
                tracing::info!(round, %error, "the model is not kept");
            }
            // A closed channel means that the node stops.
            let _ = commands.send(Command::Evaluated(round)).await;
            None
        });
    }

    /// The last round is certified: whoever owns the repo publishes.
    pub(super) fn finish(&mut self) {
        self.doing = "finished".into();
        self.touch();
        if self.publisher.owner.public() != self.desk.spec.signer() {
            return;
        }
        let noted: Result<Option<String>, _> =
            self.desk.means.store.note(self.desk.run, 0, publish::PUBLISHED_NOTE);
        if !matches!(noted, Ok(None)) {
            return;
        }
        let (desk, tip) = (Arc::clone(&self.desk), self.round.tip().clone());
        let (publisher, changed) = (self.publisher.clone(), self.shown.changed.clone());
        self.spawn(async move {
            publish::publish(&desk, &tip, &publisher).await;
            changed.send_modify(|count| *count += 1);
            None
        });
    }
}
