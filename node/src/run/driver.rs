//! A handle to one run's task: what the rest of the node may ask of it.
//!
//! Invariants: gossip never waits for the task; questions are answered by the task that owns the
//! state. What it is not: the task (see `task`).

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::round::{Input, Roster, Round, RunMessage, Tip, What};
use protocol::{PublicKey, SecretKey};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::{Desk, DeskError};
use super::heard::Heard;
use super::jobs::Part;
use super::journal::Journal;
use super::publish;
use super::task::{CatchingUp, Jobs, Shown, Task};
use crate::clock::steady_ms;

/// The note under which the moment of certification is kept.
pub(super) const CERTIFIED_NOTE: &str = "certified";
/// Commands that wait for a driver; beyond, gossip is ignored and comes again.
const COMMANDS_MAX: usize = 1_024;

/// What a driver is asked.
pub(super) enum Command {
    Input(Box<Input>),
    /// Take part with this data from now on, or no longer; answered once that is journaled.
    Participate(Option<Arc<Part>>, oneshot::Sender<Result<(), String>>),
    /// Moves this as a steward; answered with whether the motion stands.
    Move(What, oneshot::Sender<bool>),
    /// The model of this round was evaluated, or could not be.
    Evaluated(u64),
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
    /// Motions that wait, each with who moved it.
    pub motions: Vec<(PublicKey, What)>,
    /// The first round whose model is being evaluated.
    pub evaluating: Option<u64>,
    /// What is going on, in words.
    pub doing: String,
}

/// A handle to a driver; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    commands: mpsc::Sender<Command>,
    changes: watch::Receiver<u64>,
    roster: watch::Receiver<Arc<Roster>>,
    desk: Arc<Desk>,
}

impl Driver {
    /// Starts a run's driver from what the journal holds. The task ends with `cancel`.
    pub(super) fn start(
        desk: Arc<Desk>,
        key: SecretKey,
        part: Option<Arc<Part>>,
        publisher: publish::Publisher,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, DeskError> {
        let (journal, entries) = Journal::open(desk.means.store.clone(), desk.run)?;
        let round = Round::restore(desk.spec.clone(), key, entries, steady_ms());
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (changed, changes) = watch::channel(0);
        let (rosters, roster) = watch::channel(Arc::clone(&round.tip().roster));
        desk.follow_stewards(round.tip().roster.stewards());
        let rejoin = part.is_some() && !round.is_finished();
        let task = Task {
            desk: Arc::clone(&desk),
            round,
            part,
            publisher,
            journal,
            heard: Heard::default(),
            evaluating: BTreeSet::new(),
            commands: commands.clone(),
            shown: Shown { changed, roster: rosters },
            doing: String::new(),
            catching_up: CatchingUp::default(),
            jobs: Jobs::new(tasks.clone(), cancel),
        };
        tasks.spawn(task.run(receiver, rejoin));
        Ok(Self { commands, changes, roster, desk })
    }

    /// The run's desk.
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Hands over a verified message. False if there is no room: it will come again.
    pub(crate) fn message(&self, message: RunMessage) -> bool {
        let input = Input::Message(Box::new(message));
        self.commands.try_send(Command::Input(Box::new(input))).is_ok()
    }

    /// Takes part with this data, or no longer. An error says why the run has stopped here; nothing
    /// when the node stops.
    pub(super) async fn participate(&self, part: Option<Arc<Part>>) -> Option<Result<(), String>> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::Participate(part, sender)).await.ok()?;
        receiver.await.ok()
    }

    /// Moves this; says whether the motion stands. Nothing when the node stops.
    pub(crate) async fn moves(&self, what: What) -> Option<bool> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::Move(what, sender)).await.ok()?;
        receiver.await.ok()
    }

    /// Who has which part now.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.borrow())
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
