//! The task that owns a run's `Round`: does its effects and feeds it the answers.
//!
//! Invariants: journal entries are durable before any later effect of the same call; nothing but
//! this task touches the round; it stops with its token and leaves nothing that a restart cannot
//! take up. What it is not: the work itself (see `jobs`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::round::{Certificate, Effect, Input, Round, RoundRecord, RunMessage, Tip};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates::ask_some;
use super::desk::{Desk, DeskError};
use super::driver::{CERTIFIED_NOTE, Command, Snapshot};
use super::heard::Heard;
use super::jobs::{self, CertifiedNote, Part};
use super::journal::Journal;
use super::{evaluation, publish};
use crate::clock::{now_ms, steady_ms};
use crate::net::Topic;

/// Of so many rounds a trainer keeps one's model, for others and for its own restart.
const KEPT_EVERY: u64 = 8;

pub(super) struct Task {
    pub(super) desk: Arc<Desk>,
    pub(super) round: Round,
    pub(super) part: Option<Arc<Part>>,
    pub(super) publisher: publish::Publisher,
    pub(super) journal: Journal,
    pub(super) heard: Heard,
    /// Rounds whose models are being evaluated.
    pub(super) evaluating: BTreeSet<u64>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) doing: String,
    pub(super) catching_up: CatchingUp,
    pub(super) jobs: Jobs,
}

/// Whether peers are being asked for certificates, and how often they were.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    under_way: bool,
    turn: usize,
}

/// What runs beside the task, and how it is ended.
#[derive(Debug)]
pub(super) struct Jobs {
    tasks: TaskTracker,
    /// Ends everything.
    cancel: CancellationToken,
    /// Ends the training under way: one that the round has overtaken takes time from the next.
    training: CancellationToken,
}

impl Jobs {
    pub(super) fn new(tasks: TaskTracker, cancel: CancellationToken) -> Self {
        let training = cancel.child_token();
        Self { tasks, cancel, training }
    }

    /// Ends the training under way; what is returned ends the next.
    fn next_training(&mut self) -> CancellationToken {
        self.training.cancel();
        self.training = self.cancel.child_token();
        self.training.clone()
    }
}

impl Task {
    pub(super) async fn run(mut self, mut receiver: mpsc::Receiver<Command>, rejoin: bool) {
        let first = if rejoin {
            Input::Participate { joined: true, said_ms: now_ms() }
        } else {
            Input::Tick
        };
        if let Err(error) = self.feed(first).await {
            return self.stop(&error, receiver).await;
        }
        self.evaluate(self.round.tip().clone());
        if self.round.is_finished() {
            self.finish();
        }
        loop {
            let deadline = self.round.deadline();
            let wait = deadline.map_or(Duration::from_secs(3_600), |at| {
                Duration::from_millis(at.saturating_sub(steady_ms()))
            });
            let done = tokio::select! {
                () = self.jobs.cancel.cancelled() => return,
                command = receiver.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => return,
                },
                () = tokio::time::sleep(wait) => self.feed(Input::Tick).await,
            };
            if let Err(error) = done {
                return self.stop(&error, receiver).await;
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), DeskError> {
        match command {
            Command::Input(input) => {
                match &*input {
                    Input::Trained { update: None, .. } => self.touch(),
                    Input::Message(RunMessage::Commit(commit)) => {
                        self.heard.hear(self.round.tip().id, commit);
                    }
                    _ => {}
                }
                self.feed(*input).await
            }
            Command::Participate(part, answer) => {
                let joined = part.is_some();
                self.part = part;
                self.jobs.training.cancel();
                self.doing.clear();
                let done = self.feed(Input::Participate { joined, said_ms: now_ms() }).await;
                let said = done.as_ref().map_err(|error| format!("stopped: {error}"));
                // Whoever asked may be gone, here and below.
                let _ = answer.send(said.copied());
                done
            }
            Command::Evaluated(round) => {
                self.evaluating.remove(&round);
                self.touch();
                Ok(())
            }
            Command::Snapshot(sender) => {
                let _ = sender.send(self.snapshot());
                Ok(())
            }
            Command::CaughtUp => {
                self.catching_up.under_way = false;
                Ok(())
            }
            Command::Doing(doing) => {
                self.doing = doing;
                self.touch();
                Ok(())
            }
        }
    }

    /// After a failed write: answers questions, does nothing else. What is not durable must not be
    /// acted on, so the run is taken up from the journal at the next start.
    async fn stop(&mut self, error: &DeskError, mut receiver: mpsc::Receiver<Command>) {
        tracing::error!(run = %self.desk.run.short(), %error, "the run has stopped");
        self.jobs.training.cancel();
        self.doing = format!("stopped: {error}");
        self.touch();
        loop {
            tokio::select! {
                () = self.jobs.cancel.cancelled() => return,
                command = receiver.recv() => match command {
                    Some(Command::Snapshot(sender)) => { let _ = sender.send(self.snapshot()); }
                    Some(Command::Participate(_, answer)) => {
                        let _ = answer.send(Err(self.doing.clone()));
                    }
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }

    async fn feed(&mut self, input: Input) -> Result<(), DeskError> {
        for effect in self.round.handle(steady_ms(), input) {
            if let Effect::Persist(entry) = effect {
                self.journal.append(entry);
                continue;
            }
            self.journal.save()?;
            self.act(effect).await?;
        }
        Ok(self.journal.save()?)
    }

    async fn act(&mut self, effect: Effect) -> Result<(), DeskError> {
        match effect {
            // Saved by the caller.
            Effect::Persist(_) => {}
            Effect::Send(message) => self.send(message).await?,
            Effect::Train { round, base } => self.train(round, base),
            Effect::Check { commit, base } => {
                let desk = Arc::clone(&self.desk);
                self.spawn(async move { Some(jobs::check(&desk, commit, base).await) });
            }
            Effect::Build { round, base, accepted, rejected } => {
                let desk = Arc::clone(&self.desk);
                self.doing = format!("aggregating round {round}");
                self.spawn(async move {
                    let built = jobs::build(&desk, base, accepted, rejected).await;
                    let record = built
                        .inspect_err(|error| tracing::warn!(round, %error, "cannot aggregate"))
                        .ok()
                        .map(Box::new);
                    Some(Input::Built { round, record })
                });
            }
            Effect::Verify { record, base } => {
                let desk = Arc::clone(&self.desk);
                self.spawn(async move {
                    let holds = jobs::verify(&desk, base, &record).await;
                    Some(Input::Verified { record: record.id(), holds })
                });
            }
            Effect::CatchUp { round } => self.catch_up(round),
            Effect::Certified(certificate) => self.certified(&certificate)?,
            Effect::Finish => self.finish(),
        }
        Ok(())
    }

    async fn send(&mut self, message: RunMessage) -> Result<(), DeskError> {
        if let RunMessage::Commit(commit) = &message {
            // Auditors and stewards fetch a commit by its id, as any blob.
            self.desk.keep(commit.bytes().to_vec()).await?;
        }
        let bytes = message.to_wire(self.desk.run, now_ms()).to_bytes();
        if let Err(error) = self.desk.means.net.publish(Topic::Runs, bytes).await {
            tracing::debug!(%error, "a message was not sent; it is said again later");
        }
        Ok(())
    }

    fn train(&mut self, round: u64, base: Tip) {
        let Some(part) = self.part.clone() else {
            self.doing = "cannot train: the data cannot be read; join again".into();
            self.touch();
            return;
        };
        let (desk, me) = (Arc::clone(&self.desk), self.desk.means.net.key());
        let (cancel, commands) = (self.jobs.next_training(), self.commands.clone());
        self.doing = format!("training round {round}");
        self.touch();
        self.spawn(async move {
            let trained = jobs::train(&desk, &part, me, round, base, cancel.clone()).await;
            if cancel.is_cancelled() {
                return None;
            }
            let doing = match &trained {
                Ok(_) => format!("waiting for the others in round {round}"),
                Err(error) => {
                    tracing::warn!(round, %error, "no update");
                    format!("round {round}: {error}")
                }
            };
            // A closed channel means that the node stops.
            let _ = commands.send(Command::Doing(doing)).await;
            Some(Input::Trained { round, update: trained.ok() })
        });
    }

    fn catch_up(&mut self, round: u64) {
        if std::mem::replace(&mut self.catching_up.under_way, true) {
            return;
        }
        let (desk, commands) = (Arc::clone(&self.desk), self.commands.clone());
        let turn = self.catching_up.turn;
        self.catching_up.turn += 1;
        self.spawn(async move {
            let certificates = ask_some(&desk, round, turn).await;
            let _ = commands.send(Command::CaughtUp).await;
            (!certificates.is_empty()).then_some(Input::CaughtUp(certificates))
        });
    }

    fn certified(&mut self, certificate: &Certificate) -> Result<(), DeskError> {
        let round = certificate.record.round;
        let store = &self.desk.means.store;
        store.keep_note(self.desk.run, round, CERTIFIED_NOTE, &CertifiedNote::now())?;
        tracing::info!(run = %self.desk.run.short(), round, "certified");
        self.touch();
        self.keep_commits(&certificate.record);
        self.evaluate(Tip::of(&certificate.record));
        Ok(())
    }

    /// Keeps the accepted commits that this node heard, to be shown and to be served to auditors.
    fn keep_commits(&mut self, record: &RoundRecord) {
        let commits = self.heard.accepted(record);
        // A steward keeps each as it checks it; an onlooker asks for none that it did not hear.
        if self.round.is_steward() || (commits.is_empty() && !self.round.is_trainer()) {
            return;
        }
        let missing = if self.round.is_trainer() { record.accepted.clone() } else { Vec::new() };
        let (desk, changed) = (Arc::clone(&self.desk), self.changed.clone());
        self.spawn(async move {
            if let Err(error) = jobs::keep_commits(&desk, commits, &missing).await {
                tracing::info!(%error, "a commit was not kept");
            }
            changed.send_modify(|count| *count += 1);
            None
        });
    }

    /// Evaluates a round's model, unless this node only looks on.
    fn evaluate(&mut self, tip: Tip) {
        if tip.round == 0 || !(self.round.is_steward() || self.round.is_trainer()) {
            return;
        }
        self.evaluating.insert(tip.round);
        let (desk, commands) = (Arc::clone(&self.desk), self.commands.clone());
        let keeps = self.round.is_finished() || tip.round.is_multiple_of(KEPT_EVERY);
        self.spawn(async move {
            let round = tip.round;
            evaluation::evaluate_round(&desk, tip.clone()).await;
            if keeps && let Err(error) = desk.keep_model(&tip).await {
                tracing::info!(round, %error, "the model is not kept");
            }
            // A closed channel means that the node stops.
            let _ = commands.send(Command::Evaluated(round)).await;
            None
        });
    }

    fn finish(&mut self) {
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
        let (publisher, changed) = (self.publisher.clone(), self.changed.clone());
        self.spawn(async move {
            publish::publish(&desk, &tip, &publisher).await;
            changed.send_modify(|count| *count += 1);
            None
        });
    }

    /// Runs a job beside the driver; what it returns comes back as an input.
    fn spawn(&self, job: impl Future<Output = Option<Input>> + Send + 'static) {
        let (commands, cancel) = (self.commands.clone(), self.jobs.cancel.clone());
        self.jobs.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                input = job => if let Some(input) = input {
                    let _ = commands.send(Command::Input(Box::new(input))).await;
                },
            }
        });
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            tip: self.round.tip().clone(),
            finished: self.round.is_finished(),
            steward: self.round.is_steward(),
            trainer: self.round.is_trainer(),
            trainers: self.round.trainers().collect(),
            evaluating: self.evaluating.first().copied(),
            doing: self.doing.clone(),
        }
    }
}
