//! One run's driver: the task that owns its `Round`, does its effects and feeds it the answers.
//!
//! Invariants: journal entries are durable before any later effect of the same call; nothing but
//! this task touches the round; it stops with its token and leaves nothing that a restart cannot
//! take up. What it is not: the work itself (see `jobs`).

use std::sync::Arc;
use std::time::Duration;

use protocol::exchange::{Answer, Question};
use protocol::limits::CERTIFICATES_SENT_MAX;
use protocol::round::{Certificate, Effect, Entry, Input, Round, RunMessage, Tip};
use protocol::{PublicKey, RunId, SecretKey};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::{Desk, DeskError};
use super::jobs::{self, CertifiedNote, Part};
use super::{evaluation, publish};
use crate::clock::{now_ms, steady_ms};
use crate::net::Topic;

/// The note under which the moment of certification is kept.
pub(super) const CERTIFIED_NOTE: &str = "certified";
/// Commands that wait for a driver; beyond, gossip is ignored and comes again.
const COMMANDS_MAX: usize = 1_024;
/// Journal entries after which what a restart does not need is dropped.
const JOURNAL_ENTRIES_MAX: u64 = 4_096;
/// Peers asked for certificates at once.
const CATCH_UP_PEERS: usize = 3;

/// What a driver is asked.
enum Command {
    Input(Box<Input>),
    /// Take part with this data from now on, or no longer.
    Participate(Option<Arc<Part>>),
    Snapshot(oneshot::Sender<Snapshot>),
    CaughtUp,
    Doing(String),
}

/// A run's state at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The newest certified round.
    pub tip: Tip,
    /// The last round is certified.
    pub finished: bool,
    /// This node's vote counts.
    pub steward: bool,
    /// This node trains.
    pub trainer: bool,
    /// Trainers heard of.
    pub trainers: Vec<PublicKey>,
    /// What is going on, in words.
    pub doing: String,
}

/// A handle to a driver; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    commands: mpsc::Sender<Command>,
    changes: watch::Receiver<u64>,
    desk: Arc<Desk>,
}

impl Driver {
    /// Starts a run's driver from what the journal holds. The task ends with `cancel`.
    pub(super) fn start(
        desk: Arc<Desk>,
        key: SecretKey,
        part: Option<Arc<Part>>,
        owner: SecretKey,
        publisher: publish::Publisher,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, DeskError> {
        let (journal_start, entries) = desk.means.store.journal_of(desk.run)?;
        let entries_count = entries.len() as u64;
        let round = Round::restore(desk.spec.clone(), key, entries, steady_ms());
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (changed, changes) = watch::channel(0);
        let rejoin = part.is_some() && !round.is_finished();
        let task = Task {
            desk: Arc::clone(&desk),
            round,
            part,
            owner,
            publisher,
            journal_start,
            journal_end: journal_start + entries_count,
            unsaved: Vec::new(),
            commands: commands.clone(),
            changed,
            doing: String::new(),
            catching_up: false,
            jobs: tasks.clone(),
            cancel,
        };
        tasks.spawn(task.run(receiver, rejoin));
        Ok(Self { commands, changes, desk })
    }

    /// The run's desk.
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Hands over a verified message. False if there is no room: it will come again.
    pub(crate) fn message(&self, message: RunMessage) -> bool {
        self.commands.try_send(Command::Input(Box::new(Input::Message(message)))).is_ok()
    }

    /// Takes part with this data, or no longer.
    pub(super) async fn participate(&self, part: Option<Arc<Part>>) {
        // A closed channel means that the node stops.
        let _ = self.commands.send(Command::Participate(part)).await;
    }

    /// The state now; nothing when the node stops.
    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::Snapshot(sender)).await.ok()?;
        receiver.await.ok()
    }

    /// A number that changes when something worth showing has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

struct Task {
    desk: Arc<Desk>,
    round: Round,
    part: Option<Arc<Part>>,
    owner: SecretKey,
    publisher: publish::Publisher,
    /// The journal's first position and the one after its last.
    journal_start: u64,
    journal_end: u64,
    unsaved: Vec<Entry>,
    commands: mpsc::Sender<Command>,
    changed: watch::Sender<u64>,
    doing: String,
    catching_up: bool,
    jobs: TaskTracker,
    cancel: CancellationToken,
}

impl Task {
    async fn run(mut self, mut receiver: mpsc::Receiver<Command>, rejoin: bool) {
        let first = if rejoin {
            Input::Participate { joined: true, said_ms: now_ms() }
        } else {
            Input::Tick
        };
        if self.feed(first).await.is_err() {
            return;
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
                () = self.cancel.cancelled() => return,
                command = receiver.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => return,
                },
                () = tokio::time::sleep(wait) => self.feed(Input::Tick).await,
            };
            if let Err(error) = done {
                // What is not durable must not be acted on: the run stops here and is taken up
                // from the journal at the next start.
                tracing::error!(run = %self.desk.run.short(), %error, "the run has stopped");
                self.doing = format!("stopped: {error}");
                self.answer_only(receiver).await;
                return;
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), DeskError> {
        match command {
            Command::Input(input) => {
                if let Input::Trained { update: None, .. } = *input {
                    self.touch();
                }
                self.feed(*input).await
            }
            Command::Participate(part) => {
                let joined = part.is_some();
                self.part = part;
                self.feed(Input::Participate { joined, said_ms: now_ms() }).await
            }
            Command::Snapshot(sender) => {
                // Whoever asked may be gone.
                let _ = sender.send(self.snapshot());
                Ok(())
            }
            Command::CaughtUp => {
                self.catching_up = false;
                Ok(())
            }
            Command::Doing(doing) => {
                self.doing = doing;
                self.touch();
                Ok(())
            }
        }
    }

    /// After a failed write: answers questions, does nothing else.
    async fn answer_only(&mut self, mut receiver: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                command = receiver.recv() => match command {
                    Some(Command::Snapshot(sender)) => { let _ = sender.send(self.snapshot()); }
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }

    async fn feed(&mut self, input: Input) -> Result<(), DeskError> {
        for effect in self.round.handle(steady_ms(), input) {
            if let Effect::Persist(entry) = effect {
                self.unsaved.push(entry);
                continue;
            }
            self.save().await?;
            self.act(effect).await?;
        }
        self.save().await
    }

    /// Makes the journal durable.
    async fn save(&mut self) -> Result<(), DeskError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.unsaved);
        let (store, run, at) = (self.desk.means.store.clone(), self.desk.run, self.journal_end);
        let certified = entries.iter().rposition(|e| matches!(e, Entry::Certificate(_)));
        tokio::task::block_in_place(|| store.journal(run, at, &entries))?;
        self.journal_end += entries.len() as u64;
        if certified.is_some() {
            self.compact()?;
        }
        Ok(())
    }

    /// A restart needs this node's newest word, the newest certificate and what came after: drops
    /// the rest now and then. The chain of certificates is kept beside the journal.
    fn compact(&mut self) -> Result<(), DeskError> {
        if self.journal_end - self.journal_start < JOURNAL_ENTRIES_MAX {
            return Ok(());
        }
        let (store, run) = (&self.desk.means.store, self.desk.run);
        let (_, entries) = store.journal_of(run)?;
        let word = entries.iter().rfind(|e| matches!(e, Entry::Participate { .. })).cloned();
        let newest = entries.iter().rposition(|e| matches!(e, Entry::Certificate(_)));
        let kept: Vec<Entry> =
            word.into_iter().chain(entries[newest.unwrap_or(0)..].iter().cloned()).collect();
        self.journal_start = self.journal_end;
        store.journal(run, self.journal_start, &kept)?;
        store.forget_journal(run, self.journal_start)?;
        self.journal_end += kept.len() as u64;
        Ok(())
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
        let (cancel, commands) = (self.cancel.clone(), self.commands.clone());
        self.doing = format!("training round {round}");
        self.touch();
        self.spawn(async move {
            let trained = jobs::train(&desk, &part, me, round, base, cancel).await;
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
        if std::mem::replace(&mut self.catching_up, true) {
            return;
        }
        let (desk, commands) = (Arc::clone(&self.desk), self.commands.clone());
        self.spawn(async move {
            let certificates = ask_certificates(&desk, round).await;
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
        self.evaluate(Tip::of(&certificate.record));
        Ok(())
    }

    /// Evaluates a round's model, unless this node only looks on.
    fn evaluate(&mut self, tip: Tip) {
        if tip.round == 0 || !(self.round.is_steward() || self.round.is_trainer()) {
            return;
        }
        let (desk, changed) = (Arc::clone(&self.desk), self.changed.clone());
        self.spawn(async move {
            evaluation::evaluate_round(&desk, tip).await;
            changed.send_modify(|count| *count += 1);
            None
        });
    }

    fn finish(&mut self) {
        self.doing = "finished".into();
        self.touch();
        if self.owner.public() != self.desk.spec.signer() {
            return;
        }
        let noted: Result<Option<String>, _> =
            self.desk.means.store.note(self.desk.run, 0, publish::PUBLISHED_NOTE);
        if !matches!(noted, Ok(None)) {
            return;
        }
        let (desk, tip) = (Arc::clone(&self.desk), self.round.tip().clone());
        let (publisher, changed) = (self.publisher.clone(), self.changed.clone());
        let owner = self.owner.clone();
        self.spawn(async move {
            publish::publish(&desk, &tip, &owner, &publisher).await;
            changed.send_modify(|count| *count += 1);
            None
        });
    }

    /// Runs a job beside the driver; what it returns comes back as an input.
    fn spawn(&self, job: impl Future<Output = Option<Input>> + Send + 'static) {
        let (commands, cancel) = (self.commands.clone(), self.cancel.clone());
        self.jobs.spawn(async move {
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
            doing: self.doing.clone(),
        }
    }
}

/// Certificates from `round` on, from the first few peers that have any.
pub(super) async fn ask_certificates(desk: &Desk, round: u64) -> Vec<Certificate> {
    let question = Question::Certificates { run: desk.run, round }.to_bytes();
    let net = &desk.means.net;
    let mut peers: Vec<PublicKey> = net.peers().await.iter().map(|peer| peer.key).collect();
    let stewards = &desk.spec.value().stewards;
    peers.sort_by_key(|peer| stewards.binary_search(peer).is_err());
    for peer in peers.into_iter().take(CATCH_UP_PEERS) {
        let Ok(bytes) = net.request(peer, question.clone()).await else { continue };
        match open_certificates(desk.run, desk, &bytes, round) {
            Some(certificates) if !certificates.is_empty() => return certificates,
            Some(_) => {}
            None => net.penalise(peer, "certificates that do not verify").await,
        }
    }
    Vec::new()
}

fn open_certificates(
    run: RunId,
    desk: &Desk,
    bytes: &[u8],
    first: u64,
) -> Option<Vec<Certificate>> {
    let answer = Answer::from_bytes(bytes).ok()?;
    let mut certificates = Vec::new();
    for (item, round) in answer.items.iter().take(CERTIFICATES_SENT_MAX).zip(first..) {
        let certificate = Certificate::open(item, run, desk.spec.value()).ok()?;
        if certificate.record.round != round {
            return None;
        }
        certificates.push(certificate);
    }
    Some(certificates)
}
