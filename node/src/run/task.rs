//! The task that owns a run's `Round`: does its effects and feeds it the answers.
//!
//! Invariants: journal entries are durable before any later effect of the same call; nothing but
//! this task touches the round; it stops with its token and leaves nothing that a restart cannot
//! take up. What it is not: the work itself (see `jobs`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::round::{
    Assignment, Certificate, Effect, Input, Roster, Round, RoundRecord, RunMessage, Tip,
};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates::ask_some;
use super::desk::{Desk, DeskError};
use super::driver::{Command, Snapshot};
use super::heard::Heard;
use super::inspect::Inspection;
use super::jobs::{self, Order, Part};
use super::journal::Journal;
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
    /// Held by a look at another's work.
    inspecting: Arc<Mutex<()>>,
}

impl Jobs {
    pub(super) fn new(tasks: TaskTracker, cancel: CancellationToken) -> Self {
        let training = cancel.child_token();
        Self { tasks, cancel, training, inspecting: Arc::default() }
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
            Effect::Keep(commit) => {
                self.desk.keep(commit.bytes().to_vec()).await?;
            }
            Effect::Audit { base, record, assignment } => self.audit(*base, record, assignment),
            Effect::Build { round, base, accepted, rejected, reports, changes, proofs } => {
                let desk = Arc::clone(&self.desk);
                self.doing = format!("aggregating round {round}");
                self.spawn(async move {
                    let order = Order { base, accepted, rejected, reports, changes, proofs };
                    let built = jobs::build(&desk, order).await;
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

    /// Looks at another's work, beside the training of the next round; one look at a time.
    fn audit(&self, base: Tip, record: Box<RoundRecord>, assignment: Assignment) {
        let Some(part) = self.part.clone() else { return };
        let Ok(turn) = Arc::clone(&self.jobs.inspecting).try_lock_owned() else { return };
        let (desk, round) = (Arc::clone(&self.desk), record.round);
        let held = desk.newest_if(base.model);
        self.spawn(async move {
            let _turn = turn;
            let base = match held {
                Some(base) => base,
                None => Arc::new(desk.weights(base.model).await.ok()?),
            };
            let inspection = Inspection { record, assignment, base };
            let made = inspection.make(&desk, &part).await;
            let made = made.inspect_err(|error| tracing::info!(round, %error, "no report"));
            made.ok().flatten().map(Input::Audited)
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

    /// Trains on this from now on, or no longer.
    fn take_part(&mut self, part: Option<Arc<Part>>) {
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
