//! The task that owns a run's `Round`: does its effects and feeds it the answers.
//!
//! Invariants: journal entries are durable before any later effect of the same call; nothing but
//! this task touches the round; it stops with its token and leaves nothing that a restart cannot
//! take up. What it is not: the work itself (see `jobs`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::limits::PRESENCE_ADDRESSES_MAX;
use protocol::round::{Certificate, Effect, Input, Roster, Round, RunMessage};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::{Desk, DeskError};
use super::driver::{Command, Snapshot};
use super::heard::Heard;
use super::jobs::{self, Part};
use super::journal::Journal;
use super::records::{self, Order, Words};
use super::{fork, publish};
use crate::clock::{now_ms, steady_ms};
use crate::net::Topic;

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
    pub(super) shown: Shown,
    pub(super) doing: String,
    pub(super) catching_up: CatchingUp,
    pub(super) jobs: Jobs,
}

/// What the rest of the node sees.
#[derive(Debug)]
pub(super) struct Shown {
    /// A number that changes when something worth showing has.
    pub(super) changed: watch::Sender<u64>,
    /// Who has which part.
    pub(super) roster: watch::Sender<Arc<Roster>>,
}

/// Whether peers are being asked for certificates, and how often they were.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    pub(super) under_way: bool,
    pub(super) turn: usize,
}

/// What runs beside the task, and how it is ended.
#[derive(Debug)]
pub(super) struct Jobs {
    tasks: TaskTracker,
    /// Ends everything.
    cancel: CancellationToken,
    /// Ends the training under way: one that the round has overtaken takes time from the next.
    training: CancellationToken,
    /// Held by a look at another's work.
    pub(super) inspecting: Arc<Mutex<()>>,
}

impl Jobs {
    pub(super) fn new(tasks: TaskTracker, cancel: CancellationToken) -> Self {
        let training = cancel.child_token();
        Self { tasks, cancel, training, inspecting: Arc::default() }
    }

    /// Ends the training under way; what is returned ends the next.
    pub(super) fn next_training(&mut self) -> CancellationToken {
        self.training.cancel();
        self.training = self.cancel.child_token();
        self.training.clone()
    }
}

impl Task {
    pub(super) async fn run(mut self, mut receiver: mpsc::Receiver<Command>, rejoin: bool) {
        let part = self.part.take();
        self.take_part(part);
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
                    Input::CaughtUp(certificates) => {
                        if let Some(first) = certificates.first() {
                            self.look_for_fork(first)?;
                        }
                    }
                    Input::Message(message) => {
                        self.overhear(message)?;
                    }
                    _ => {}
                }
                self.feed(*input).await
            }
            Command::Participate(part, answer) => {
                let joined = part.is_some();
                self.take_part(part);
                self.jobs.training.cancel();
                self.doing.clear();
                let done = self.feed(Input::Participate { joined, said_ms: now_ms() }).await;
                let said = done.as_ref().map_err(|error| format!("stopped: {error}"));
                // Whoever asked may be gone, here and below.
                let _ = answer.send(said.copied());
                done
            }
            Command::Move(what, answer) => {
                let done = self.feed(Input::Move(what)).await;
                let _ = answer.send(self.round.motions().any(|motion| {
                    motion.signer() == self.desk.means.net.key() && motion.value().what == what
                }));
                self.touch();
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

    /// What a message says beside what the round takes from it.
    fn overhear(&mut self, message: &RunMessage) -> Result<(), DeskError> {
        match message {
            RunMessage::Commit(commit) => self.heard.hear(self.round.tip(), commit),
            RunMessage::Presence(word) => {
                let addresses = word.value().addresses.iter().filter_map(|at| at.parse().ok());
                self.desk.means.net.blobs().suggest(&word.signer(), addresses.collect());
            }
            RunMessage::Certificate(certificate) => self.look_for_fork(certificate)?,
            _ => {}
        }
        Ok(())
    }

    fn look_for_fork(&self, certificate: &Certificate) -> Result<(), DeskError> {
        let (desk, tip) = (&self.desk, self.round.tip());
        if tokio::task::block_in_place(|| fork::look(desk, tip, certificate))? {
            let round = certificate.record.round;
            tracing::error!(run = %desk.run.short(), round, "the run is forked");
            self.touch();
        }
        Ok(())
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
        self.journal.save()?;
        Ok(self.journal.settle(self.round.tip())?)
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
            Effect::Keep(bytes) => {
                self.desk.keep(bytes).await?;
            }
            Effect::Slices { base, slate, slices } => self.slices(base, slate, slices),
            Effect::Audit { base, record, assignment } => self.audit(*base, record, assignment),
            Effect::Build {
                round,
                base,
                accepted,
                rejected,
                reports,
                changes,
                proofs,
                partials,
                spot,
            } => {
                let (desk, words) = (Arc::clone(&self.desk), Words { partials, spot });
                let order = Order { base, accepted, rejected, reports, changes, proofs, words };
                self.doing = format!("aggregating round {round}");
                self.answer(async move { records::build(&desk, order).await });
            }
            Effect::Verify { record, base, partials, spot } => {
                let (desk, words) = (Arc::clone(&self.desk), Words { partials, spot });
                self.answer(async move { records::verify(&desk, base, &record, words).await });
            }
            Effect::CatchUp { round } => self.catch_up(round),
            Effect::Certified(certificate, tip) => self.certified(&certificate, *tip)?,
            Effect::Finish => self.finish(),
        }
        Ok(())
    }

    async fn send(&mut self, message: RunMessage) -> Result<(), DeskError> {
        // Auditors and stewards fetch a commit or a report by its id, as any blob.
        match &message {
            RunMessage::Commit(commit) => drop(self.desk.keep(commit.bytes().to_vec()).await?),
            RunMessage::Report(report) => drop(self.desk.keep(report.bytes().to_vec()).await?),
            _ => {}
        }
        let bytes = message.to_wire(self.desk.run, now_ms()).to_bytes();
        if let Err(error) = self.desk.means.net.publish(Topic::Runs, bytes).await {
            tracing::debug!(%error, "a message was not sent; it is said again later");
        }
        Ok(())
    }

    /// Trains on this from now on, or no longer.
    fn take_part(&mut self, part: Option<Arc<Part>>) {
        let listens = self.desk.means.net.blobs().addresses().into_iter();
        let listens = listens.filter(|address| !address.ip().is_unspecified());
        let listens = listens.take(PRESENCE_ADDRESSES_MAX).map(|address| address.to_string());
        self.round.show_addresses(listens.collect());
        self.round.show_invitation(part.as_ref().and_then(|part| part.invitation.clone()));
        self.part = part;
    }

    /// Runs a job beside the driver; what it returns comes back as an input.
    pub(super) fn spawn(&self, job: impl Future<Output = Option<Input>> + Send + 'static) {
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

    /// Something worth showing has changed.
    pub(super) fn touch(&self) {
        self.shown.changed.send_modify(|count| *count += 1);
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            tip: self.round.tip().clone(),
            finished: self.round.is_finished(),
            steward: self.round.is_steward(),
            trainer: self.round.is_trainer(),
            trainers: self.round.trainers().collect(),
            motions: self
                .round
                .motions()
                .map(|motion| (motion.signer(), motion.value().what))
                .collect(),
            evaluating: self.evaluating.first().copied(),
            doing: self.doing.clone(),
        }
    }
}
