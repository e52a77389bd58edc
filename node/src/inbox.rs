//! What the network brings: gossip to be judged, questions to be answered, peers to catch up with.
//!
//! Invariants: a message is passed on only after it was verified and, if it must be kept, is on
//! disk; what no honest node sends is rejected and counted against its sender; work per event is
//! bounded and never blocks the next one for long. What it is not: the rules of what it carries.

use std::sync::Arc;
use std::time::Duration;

use protocol::exchange::{Answer, Question};
use protocol::limits::{CERTIFICATES_SENT_MAX, PAGE_ITEMS_MAX, PAGES_MAX};
use protocol::reconcile::RecordsPage;
use protocol::round::{Kind, Wire};
use protocol::run::RunSpec;
use protocol::{FeedHead, FileHash, OpenError, PublicKey, Signed};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ledger::{Gossiped, LedgerBook, TakeError, pull_feeds, pull_records};
use crate::net::{Net, NetEvent, Topic, Verdict};
use crate::recent::Recent;
use crate::repo::{HeadBook, HeadError};
use crate::run::{Driver, RunBook, TakeRunError, has_say};
use crate::store::Store;

/// Messages judged and questions answered at once.
const AT_ONCE: usize = 32;
/// Peers caught up with at once; they may be slow, so they have room of their own.
const MEETINGS_AT_ONCE: usize = 16;
/// Records whose predecessor is asked for at once.
const GAPS_AT_ONCE: usize = 8;
/// Records that may wait, and do while restrictions and all else are judged; more are let go.
const REST_MAX: usize = 1_024;
/// How often what gossip may have lost is asked for.
const RECONCILE_EVERY: Duration = Duration::from_secs(30);

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

/// What a message turned out to be.
enum Judgement {
    /// News: pass it on.
    News,
    /// Valid but known, or there is no room: blame nobody.
    Nothing,
    /// It follows something that is not here and its sender most likely has.
    Gap(FeedHead),
    /// No honest node sends it.
    Bad(String),
}

/// A record to be passed on if it is taken once what is missing before it has come.
struct Gap {
    from: PublicKey,
    end: FeedHead,
    verdict: Verdict,
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
        let gaps = Arc::new(Semaphore::new(GAPS_AT_ONCE));
        let rest = self.take_rest(&tasks, &cancel);
        let mut reconcile = tokio::time::interval(RECONCILE_EVERY);
        let mut turn = 0;
        loop {
            let event = tokio::select! {
                () = cancel.cancelled() => return,
                event = events.recv() => match event { Some(event) => Some(event), None => return },
                _ = reconcile.tick() => None,
            };
            let event = match event {
                Some(event @ NetEvent::Gossip { topic: Topic::ConsentRest, .. }) => {
                    // Without room it is let go, and comes when it is asked for.
                    let _ = rest.try_send(event);
                    continue;
                }
                event => event,
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
            let (inbox, cancel, gaps) = (self.clone(), cancel.clone(), Arc::clone(&gaps));
            tasks.spawn(async move {
                let work = async {
                    let gap = match event {
                        Some(event) => inbox.handle(event).await,
                        None => inbox.reconcile(turn).await,
                    };
                    drop(permit);
                    // Its sender may be slow, and others do not wait for that.
                    if let Some((gap, _permit)) = gap.zip(gaps.try_acquire_owned().ok()) {
                        inbox.close(gap).await;
                    }
                };
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = work => {}
                }
            });
        }
    }

    /// Judges records that may wait, one after another, so that they never take the room of others.
    fn take_rest(&self, tasks: &TaskTracker, cancel: &CancellationToken) -> mpsc::Sender<NetEvent> {
        let (sender, mut receiver) = mpsc::channel(REST_MAX);
        let (inbox, cancel) = (self.clone(), cancel.clone());
        tasks.spawn(async move {
            let work = async {
                while let Some(event) = receiver.recv().await {
                    if let Some(gap) = inbox.handle(event).await {
                        gap.verdict.ignore();
                    }
                }
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                () = work => {}
            }
        });
        sender
    }

    /// Asks the sender of a record for what must come before it, and passes the record on if it was
    /// taken.
    async fn close(&self, gap: Gap) {
        pull_feeds(&self.net, &self.ledger, gap.from, [gap.end]).await;
        if self.ledger.has_news(&gap.end) { gap.verdict.accept() } else { gap.verdict.ignore() }
    }

    async fn handle(&self, event: NetEvent) -> Option<Gap> {
        match event {
            NetEvent::Gossip { topic, from, bytes, verdict } => {
                return self.gossip(topic, from, &bytes, verdict).await;
            }
            NetEvent::Request { from, bytes, reply } => match Question::from_bytes(&bytes) {
                Ok(question) => reply.send(self.answer(question)),
                Err(error) => {
                    tracing::debug!(from = %from.short(), %error, "a malformed question");
                    self.net.penalise(from, "a malformed question").await;
                }
            },
            NetEvent::PeerConnected(_) | NetEvent::PeerDisconnected(_) => {}
            // From now on it hears what is published; what was before, each asks the other for.
            NetEvent::PeerSubscribed { peer, topic } => self.catch_up(peer, topic).await,
        }
        None
    }

    async fn gossip(
        &self,
        topic: Topic,
        from: PublicKey,
        bytes: &[u8],
        verdict: Verdict,
    ) -> Option<Gap> {
        let judgement = match topic {
            Topic::Consent => self.consent(bytes, from, true),
            Topic::ConsentRest => self.consent(bytes, from, false),
            Topic::Heads => self.head(bytes),
            Topic::Runs => self.run_message(bytes).await,
        };
        match judgement {
            Judgement::News => verdict.accept(),
            Judgement::Nothing => verdict.ignore(),
            Judgement::Gap(end) => return Some(Gap { from, end, verdict }),
            Judgement::Bad(why) => {
                tracing::info!(from = %from.short(), %why, "refused a message");
                verdict.reject();
            }
        }
        None
    }

    fn consent(&self, bytes: &[u8], from: PublicKey, on_urgent: bool) -> Judgement {
        match tokio::task::block_in_place(|| self.ledger.take(bytes, from, on_urgent)) {
            Ok(Gossiped::News) => Judgement::News,
            Ok(Gossiped::Kept | Gossiped::Known) => Judgement::Nothing,
            Ok(Gossiped::Gap(end)) => Judgement::Gap(end),
            Ok(Gossiped::Misplaced) => Judgement::Bad("a record on another topic".into()),
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
        let driver = self.runs.driver(wire.run);
        match wire.open() {
            Ok(message) => {
                let roster = driver.as_ref().map(Driver::roster);
                if !has_say(&message, roster.as_deref(), &spec.value().stewards) {
                    // Perhaps it will have, or this node has not followed so far.
                    return Judgement::Nothing;
                }
                self.recent.note(known);
                if let Some(driver) = driver
                    && !driver.message(message)
                {
                    return Judgement::Nothing;
                }
                Judgement::News
            }
            Err(error) => Judgement::Bad(error.to_string()),
        }
    }

    fn answer(&self, question: Question) -> Vec<u8> {
        let answer = match question {
            Question::Feeds { digests, after } => {
                let page = || self.ledger.heads_differing(&digests, after.as_ref());
                return tokio::task::block_in_place(|| page().to_bytes());
            }
            Question::Records { wants, from, urgent } => {
                let page = || self.ledger.records_for(&wants, from, urgent);
                let page = tokio::task::block_in_place(|| page().map(|page| page.to_bytes()));
                return page.unwrap_or_else(|error| {
                    tracing::warn!(%error, "no consent records given");
                    RecordsPage::default().to_bytes()
                });
            }
            Question::Heads { skip } => Answer::page(skipped(self.heads.envelopes(), skip)),
            Question::Runs { skip } => {
                let specs = self.runs.all();
                let envelopes = specs.iter().map(|(_, spec)| spec.bytes().to_vec()).collect();
                Answer::page(skipped(envelopes, skip))
            }
            Question::Remark { record } => {
                Answer::page(tokio::task::block_in_place(|| self.ledger.remark_for(&record)))
            }
            Question::Whereabouts { nodes } => {
                let known = nodes.iter().filter_map(|node| self.net.blobs().whereabouts_of(node));
                Answer::page(known.map(|known| known.to_bytes()))
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
        };
        answer.to_bytes()
    }

    /// Takes what a peer has on a topic and this node lacks.
    async fn catch_up(&self, peer: PublicKey, topic: Topic) {
        match topic {
            Topic::Consent => {
                let news = pull_records(&self.net, &self.ledger, peer).await.news;
                tracing::debug!(peer = %peer.short(), news, "consent records reconciled");
            }
            // Asked for with the others.
            Topic::ConsentRest => {}
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
    async fn reconcile(&self, turn: usize) -> Option<Gap> {
        let peers = self.net.peers().await;
        if let Some(peer) = peers.get(turn % peers.len().max(1)) {
            for topic in [Topic::Consent, Topic::Heads, Topic::Runs] {
                self.catch_up(peer.key, topic).await;
            }
        }
        None
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
