//! What the network brings: gossip to be judged, questions to be answered, peers to catch up with.
//!
//! Invariants: a message is passed on only after it was verified and, if it must be kept, is on
//! disk; what no honest node sends is rejected and counted against its sender; work per event is
//! bounded and never blocks the next one for long. What it is not: the rules of what it carries.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::exchange::{Answer, Question};
use protocol::limits::{CERTIFICATES_SENT_MAX, MESSAGES_REMEMBERED_MAX, PAGE_ITEMS_MAX, PAGES_MAX};
use protocol::round::{Kind, Wire};
use protocol::run::RunSpec;
use protocol::{FileHash, OpenError, PublicKey, Signed};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::steady_ms;
use crate::ledger_book::{LedgerBook, TakeError};
use crate::net::{Net, NetEvent, Topic, Verdict};
use crate::repo::{HeadBook, HeadError};
use crate::run::{RunBook, TakeRunError, pull_records};
use crate::store::Store;

/// Messages judged and questions answered at once.
const AT_ONCE: usize = 32;
/// Peers caught up with at once; they may be slow, so they have room of their own.
const MEETINGS_AT_ONCE: usize = 16;
/// How often what gossip may have lost is asked for.
const RECONCILE_EVERY: Duration = Duration::from_secs(30);
/// How soon the same message of a run is passed on again.
const REPEAT_MS: u64 = 400;

/// Everything that events need.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    /// The network.
    pub net: Net,
    /// Metadata.
    pub store: Store,
    /// The consent ledger.
    pub ledger: Arc<LedgerBook>,
    /// Repo heads.
    pub heads: Arc<HeadBook>,
    /// Runs.
    pub runs: Arc<RunBook>,
    /// Messages of runs passed on lately.
    pub recent: Arc<Recent>,
}

/// Messages passed on lately: what is said again is passed on again, but not at a liar's pace.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<BTreeMap<FileHash, u64>>);

impl Recent {
    /// Whether a message was passed on just now.
    fn has(&self, message: FileHash) -> bool {
        self.lock().get(&message).is_some_and(|passed| steady_ms() < *passed + REPEAT_MS)
    }

    /// Notes that a verified message is passed on.
    fn note(&self, message: FileHash) {
        let now = steady_ms();
        let mut recent = self.lock();
        if recent.len() >= MESSAGES_REMEMBERED_MAX {
            recent.retain(|_, passed| now < *passed + REPEAT_MS);
        }
        if recent.len() < MESSAGES_REMEMBERED_MAX {
            recent.insert(message, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FileHash, u64>> {
        // A map of times is whole after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message turned out to be.
enum Judgement {
    /// News: pass it on.
    News,
    /// Valid but known, or there is no room: blame nobody.
    Nothing,
    /// No honest node sends it.
    Bad(String),
}

impl Inbox {
    /// Handles events until the network or the node stops.
    pub(crate) async fn run(
        self,
        mut events: mpsc::Receiver<NetEvent>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let meetings = Arc::new(Semaphore::new(MEETINGS_AT_ONCE));
        let mut reconcile = tokio::time::interval(RECONCILE_EVERY);
        let mut turn = 0;
        loop {
            let event = tokio::select! {
                () = cancel.cancelled() => return,
                event = events.recv() => match event { Some(event) => Some(event), None => return },
                _ = reconcile.tick() => None,
            };
            turn += 1;
            let permit = match &event {
                // Without room a meeting is left out; what it would have brought comes later.
                None | Some(NetEvent::PeerSubscribed { .. }) => {
                    match Arc::clone(&meetings).try_acquire_owned() {
                        Ok(permit) => permit,
                        Err(_) => continue,
                    }
                }
                Some(_) => match Arc::clone(&room).acquire_owned().await {
                    Ok(permit) => permit,
                    Err(_) => return,
                },
            };
            let (inbox, cancel) = (self.clone(), cancel.clone());
            tasks.spawn(async move {
                let work = async {
                    match event {
                        Some(event) => inbox.handle(event).await,
                        None => inbox.reconcile(turn).await,
                    }
                };
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = work => {}
                }
                drop(permit);
            });
        }
    }

    async fn handle(&self, event: NetEvent) {
        match event {
            NetEvent::Gossip { topic, from, bytes, verdict } => {
                self.gossip(topic, from, &bytes, verdict).await;
            }
            NetEvent::Request { from, bytes, reply } => match Question::from_bytes(&bytes) {
                Ok(question) => reply.send(self.answer(question).to_bytes()),
                Err(error) => {
                    tracing::debug!(from = %from.short(), %error, "a malformed question");
                    self.net.penalise(from, "a malformed question").await;
                }
            },
            NetEvent::PeerConnected(_) | NetEvent::PeerDisconnected(_) => {}
            // From now on it hears what is published; what was before, each asks the other for.
            NetEvent::PeerSubscribed { peer, topic } => self.catch_up(peer, topic).await,
        }
    }

    async fn gossip(&self, topic: Topic, from: PublicKey, bytes: &[u8], verdict: Verdict) {
        let judgement = match topic {
            Topic::Consent => self.consent(bytes),
            Topic::Heads => self.head(bytes),
            Topic::Runs => self.run_message(bytes).await,
        };
        match judgement {
            Judgement::News => verdict.accept(),
            Judgement::Nothing => verdict.ignore(),
            Judgement::Bad(why) => {
                tracing::info!(from = %from.short(), %why, "refused a message");
                verdict.reject();
            }
        }
    }

    fn consent(&self, bytes: &[u8]) -> Judgement {
        match tokio::task::block_in_place(|| self.ledger.take(bytes)) {
            Ok(true) => Judgement::News,
            Ok(false) => Judgement::Nothing,
            Err(TakeError::Open(error)) => Judgement::Bad(error.to_string()),
            // It may break a rule only because of what this node has not seen: blame nobody.
            Err(error) => {
                tracing::debug!(%error, "a consent record was not taken");
                Judgement::Nothing
            }
        }
    }

    fn head(&self, bytes: &[u8]) -> Judgement {
        match tokio::task::block_in_place(|| self.heads.take(bytes)) {
            Ok(true) => Judgement::News,
            Ok(false) => Judgement::Nothing,
            Err(HeadError::Open(error)) => Judgement::Bad(error.to_string()),
            Err(error) => {
                tracing::warn!(%error, "a head was not taken");
                Judgement::Nothing
            }
        }
    }

    async fn run_message(&self, bytes: &[u8]) -> Judgement {
        let wire = match Wire::from_bytes(bytes) {
            Ok(wire) => wire,
            Err(error) => return Judgement::Bad(error.to_string()),
        };
        if wire.kind == Kind::Spec {
            return match self.runs.take(&wire).await {
                Ok(true) => Judgement::News,
                Ok(false) => Judgement::Nothing,
                Err(TakeRunError::Wire(error)) => Judgement::Bad(error.to_string()),
                Err(TakeRunError::Run(error)) => {
                    tracing::warn!(%error, "a run was not taken");
                    Judgement::Nothing
                }
            };
        }
        // Told apart by all that is verified below, so that nothing bad can pass for something good.
        let known = Wire { sent: 0, ..wire.clone() };
        let known = FileHash::of(&known.to_bytes());
        if self.recent.has(known) {
            return Judgement::Nothing;
        }
        // Of a run that this node has not heard of nothing can be verified, so nothing is passed on.
        let Some(spec) = self.runs.spec(wire.run) else { return Judgement::Nothing };
        match wire.open(spec.value()) {
            Ok(message) => {
                self.recent.note(known);
                if let Some(driver) = self.runs.driver(wire.run)
                    && !driver.message(message)
                {
                    return Judgement::Nothing;
                }
                Judgement::News
            }
            Err(error) => Judgement::Bad(error.to_string()),
        }
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Records { frontier, skip } => {
                Answer::page(self.ledger.records_since(&frontier, skip, PAGE_ITEMS_MAX))
            }
            Question::Heads { skip } => Answer::page(skipped(self.heads.envelopes(), skip)),
            Question::Runs { skip } => {
                let specs = self.runs.all();
                let envelopes = specs.iter().map(|(_, spec)| spec.bytes().to_vec()).collect();
                Answer::page(skipped(envelopes, skip))
            }
            Question::Certificates { run, round } => {
                match self.store.certificates(run, round, CERTIFICATES_SENT_MAX) {
                    Ok(certificates) => Answer::page(certificates),
                    Err(error) => {
                        tracing::warn!(%error, "no certificates given");
                        Answer::default()
                    }
                }
            }
        }
    }

    /// Takes what a peer has on a topic and this node lacks.
    async fn catch_up(&self, peer: PublicKey, topic: Topic) {
        match topic {
            Topic::Consent => {
                let news = pull_records(&self.net, &self.ledger, peer).await;
                tracing::debug!(peer = %peer.short(), news, "consent records reconciled");
            }
            Topic::Heads => {
                let take = |bytes: &[u8]| match self.heads.take(bytes) {
                    Err(HeadError::Open(error)) => Err(error),
                    Ok(_) | Err(_) => Ok(()),
                };
                self.pull(peer, |skip| Question::Heads { skip }, take).await;
            }
            Topic::Runs => {
                let mut specs = Vec::new();
                let collect = |bytes: &[u8]| {
                    specs.push(Signed::<RunSpec>::open(bytes)?);
                    Ok(())
                };
                self.pull(peer, |skip| Question::Runs { skip }, collect).await;
                for spec in specs {
                    if let Err(error) = self.runs.insert(spec).await {
                        tracing::warn!(%error, "a run was not taken");
                    }
                }
            }
        }
    }

    /// Catches up with one peer, another each time: whatever gossip lost comes this way.
    async fn reconcile(&self, turn: usize) {
        let peers = self.net.peers().await;
        if let Some(peer) = peers.get(turn % peers.len().max(1)) {
            for topic in [Topic::Consent, Topic::Heads, Topic::Runs] {
                self.catch_up(peer.key, topic).await;
            }
        }
    }

    /// Asks a peer page after page and hands each item over, until there is no more.
    async fn pull(
        &self,
        peer: PublicKey,
        question: impl Fn(u64) -> Question,
        mut take: impl FnMut(&[u8]) -> Result<(), OpenError>,
    ) {
        let mut skip = 0;
        for _ in 0..PAGES_MAX {
            let asked = self.net.request(peer, question(skip).to_bytes()).await;
            let Ok(bytes) = asked else { return };
            let Ok(answer) = Answer::from_bytes(&bytes) else {
                self.net.penalise(peer, "a malformed answer").await;
                return;
            };
            if answer.items.is_empty() {
                return;
            }
            skip += answer.items.len() as u64;
            for item in &answer.items {
                if let Err(error) = take(item) {
                    tracing::info!(peer = %peer.short(), %error, "refused an answer");
                    self.net.penalise(peer, "an answer that does not verify").await;
                    return;
                }
            }
        }
    }
}

fn skipped(items: Vec<Vec<u8>>, skip: u64) -> impl Iterator<Item = Vec<u8>> {
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    items.into_iter().skip(skip).take(PAGE_ITEMS_MAX)
}
