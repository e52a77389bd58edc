//! The checker: sees everything that is written and sent, and holds it against the rules.
//!
//! Invariants: it judges by its own copies, with the product's functions over the library's bytes,
//! never by what a node says of itself. What it is not: able to change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::aggregate::OuterState;
use protocol::round::check::{Base, Evidence, verify};
use protocol::round::{
    Certificate, Effect, Entry, Input, Phase, Round, RoundRecord, RunMessage, UpdateCommit, Wire,
    commit_id,
};
use protocol::weights::Weights;
use protocol::{CommitId, FileHash, Frontier, PublicKey, RoundId, Signed};

use super::bus::Outcome;
use super::facts::{Facts, PARAMETERS};
use super::job::{envelope_hash, named_commits};
use super::library::Library;
use super::report::{Rule, Violation};

/// Who sends, and what would be left of it after a crash right now.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    pub(super) node: usize,
    pub(super) journal: &'a [Entry],
    /// Its own steady clock.
    pub(super) now_ms: u64,
}

/// A place in which a steward may say one thing: its key, round, attempt, and the vote's phase, or
/// none for a proposal.
type Slot = (PublicKey, u64, u32, Option<Phase>);

/// What the last sender would say if it crashed and started again.
#[derive(Debug, Default)]
struct Twin {
    /// The sender and the length of its journal.
    place: Option<(usize, usize)>,
    round: u64,
    says: BTreeSet<FileHash>,
}

/// Everything seen so far.
#[derive(Debug)]
pub(super) struct Checker {
    facts: Arc<Facts>,
    certified: BTreeMap<u64, RoundId>,
    /// The newest certified state, recomputed from the start.
    base: Base,
    /// Hashes of certificates that verified.
    certificates: BTreeSet<FileHash>,
    /// Hashes of messages that passed every check.
    passed: BTreeSet<(usize, FileHash)>,
    commits: BTreeMap<(PublicKey, u64), CommitId>,
    slots: BTreeMap<Slot, FileHash>,
    twin: Twin,
    pub(super) attempt_max: u64,
    pub(super) rejected: u64,
}

impl Checker {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        let [weights, outer, frontier] = facts.blobs.as_slice() else {
            unreachable!("facts make three blobs")
        };
        let base = Base {
            tip: facts.start(),
            weights: Weights::from_bytes(weights).expect("made here"),
            outer: OuterState::from_bytes(outer, PARAMETERS).expect("made here"),
            required: Frontier::from_bytes(frontier).expect("made here"),
        };
        Self {
            facts,
            certified: BTreeMap::new(),
            base,
            certificates: BTreeSet::new(),
            passed: BTreeSet::new(),
            commits: BTreeMap::new(),
            slots: BTreeMap::new(),
            twin: Twin::default(),
            attempt_max: 0,
            rejected: 0,
        }
    }

    /// Rounds certified so far.
    pub(super) fn rounds(&self) -> u64 {
        self.certified.len() as u64
    }

    /// A node journals a certificate.
    pub(super) fn certified(&mut self, library: &Library, node: usize, bytes: &[u8]) -> Outcome {
        let hash = FileHash::of(bytes);
        if self.certificates.contains(&hash) {
            return Ok(());
        }
        let spec = self.facts.spec.value();
        let certificate = Certificate::open(bytes, self.facts.run, spec).map_err(|error| {
            Violation::new(Rule::Opens, format!("n{node} journals a bad certificate: {error}"))
        })?;
        self.certificates.insert(hash);
        let record = certificate.record;
        let (round, id) = (record.round, record.id());
        match self.certified.get(&round) {
            Some(known) if *known == id => Ok(()),
            Some(known) => {
                let what = format!("r{round} is {known:?} and, on n{node}, {id:?}");
                Err(Violation::new(Rule::OneRecord, what))
            }
            None => {
                self.certified.insert(round, id);
                self.rejected += record.rejected.len() as u64;
                self.recompute(library, &record)
            }
        }
    }

    /// A node sends a message of the run.
    pub(super) fn sent(
        &mut self,
        library: &Library,
        sender: &Sender<'_>,
        message: &RunMessage,
    ) -> Outcome {
        let wire = message.to_wire(self.facts.run);
        let bytes = wire.to_bytes();
        let hash = FileHash::of(&bytes);
        if self.passed.contains(&(sender.node, hash)) {
            return Ok(());
        }
        let opened = Wire::from_bytes(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|wire| wire.open(self.facts.spec.value()).map_err(|e| e.to_string()));
        if opened.as_ref() != Ok(message) {
            let what = format!("n{} says what does not open: {:?}", sender.node, opened.err());
            return Err(Violation::new(Rule::Opens, what));
        }
        match message {
            RunMessage::Presence(word) => {
                let said = |entry: &Entry| match entry {
                    Entry::Participate { said_ms, .. } => *said_ms == word.value().said_ms,
                    _ => false,
                };
                journaled(sender, "its presence", sender.journal.iter().any(said))?;
            }
            RunMessage::Commit(commit) => self.commit_sent(library, sender, commit)?,
            RunMessage::Proposal(_) | RunMessage::Vote(_) => {
                let slot = slot(message).expect("a proposal or a vote has a place");
                self.attempt_max = self.attempt_max.max(slot.2.into());
                self.says_once(sender, slot, hash)?;
                self.would_say_again(sender, slot.1, hash)?;
            }
            RunMessage::Certificate(_) => {}
        }
        self.passed.insert((sender.node, hash));
        Ok(())
    }

    fn commit_sent(
        &mut self,
        library: &Library,
        sender: &Sender<'_>,
        commit: &Signed<UpdateCommit>,
    ) -> Outcome {
        let (round, id) = (commit.value().round, commit_id(commit));
        let first = *self.commits.entry((commit.signer(), round)).or_insert(id);
        if first != id {
            let what = format!("n{} commits to {first:?} and {id:?} in r{round}", sender.node);
            return Err(Violation::new(Rule::SignedOnce, what));
        }
        let entry = Entry::Commit(commit.bytes().to_vec());
        journaled(sender, "its commit", sender.journal.contains(&entry))?;
        let known = library.frontier(&commit.value().data.frontier);
        let known =
            known.ok_or_else(|| Violation::new(Rule::Consent, "a frontier without bytes"))?;
        match library.misused(commit, &known) {
            None => Ok(()),
            Some(work) => {
                let what = format!("n{} uses {work:?}, which it knows is refused", sender.node);
                Err(Violation::new(Rule::Consent, what))
            }
        }
    }

    fn says_once(&mut self, sender: &Sender<'_>, slot: Slot, hash: FileHash) -> Outcome {
        if *self.slots.entry(slot).or_insert(hash) == hash {
            return Ok(());
        }
        let (_, round, attempt, phase) = slot;
        let what = format!("n{} says two things in r{round} a{attempt} {phase:?}", sender.node);
        Err(Violation::new(Rule::SignedOnce, what))
    }

    /// Whether the sender, crashing now, would say the same again when it starts.
    fn would_say_again(&mut self, sender: &Sender<'_>, round: u64, hash: FileHash) -> Outcome {
        let place = (sender.node, sender.journal.len());
        if self.twin.place != Some(place) {
            self.twin = self.twin_of(sender)?;
            self.twin.place = Some(place);
        }
        // Once it has decided it never speaks of that round again.
        let again = self.twin.round >= round || self.twin.says.contains(&hash);
        journaled(sender, "what made it speak", again)
    }

    /// Restores the sender from what is durable and lets it speak: it must not contradict what it
    /// has said.
    fn twin_of(&self, sender: &Sender<'_>) -> Result<Twin, Violation> {
        let (spec, key) = (self.facts.spec.clone(), self.facts.keys[sender.node].clone());
        let entries = compacted(sender.journal);
        let mut round = Round::restore(spec, key, entries, sender.now_ms);
        let resend_ms = self.facts.spec.value().rounds.agree_ms * 2;
        let effects = round.handle(sender.now_ms + resend_ms, Input::Tick);
        let mut says = BTreeSet::new();
        for effect in effects {
            let Effect::Send(message) = effect else { continue };
            let hash = FileHash::of(&message.to_wire(self.facts.run).to_bytes());
            if let Some(slot) = slot(&message).filter(|slot| self.slots.contains_key(slot)) {
                if self.slots[&slot] != hash {
                    let what = format!("n{} would contradict itself after a crash", sender.node);
                    return Err(Violation::new(Rule::SignedOnce, what));
                }
            }
            says.insert(hash);
        }
        Ok(Twin { place: None, round: round.tip().round, says })
    }

    /// Recomputes a record that is certified for the first time, from the start of the run.
    fn recompute(&mut self, library: &Library, record: &RoundRecord) -> Outcome {
        let broken =
            |rule, what: String| Violation::new(rule, format!("r{}: {what}", record.round));
        let mut trainers: Vec<PublicKey> = record.accepted.iter().map(|a| a.trainer).collect();
        trainers.sort();
        if trainers.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(broken(Rule::TrainerOnce, "somebody counts twice".into()));
        }
        let mut evidence = BTreeMap::new();
        for commit in named_commits(record) {
            let found = find(library, commit);
            let missing =
                || broken(Rule::Recomputes, format!("nobody has the bytes of {commit:?}"));
            evidence.insert(commit, found.ok_or_else(missing)?);
        }
        for accepted in &record.accepted {
            let commit = &evidence[&accepted.commit].commit;
            if let Some(work) = library.misused(commit, &self.base.required) {
                let what = format!("counts {:?}, which used {work:?}", accepted.commit);
                return Err(broken(Rule::Consent, what));
            }
        }
        let bound = library.frontier(&record.frontier);
        let missing = || broken(Rule::Recomputes, "nobody has its frontier's bytes".into());
        let (bound, spec) = (bound.ok_or_else(missing)?, self.facts.spec.value());
        let made = verify(self.facts.run, spec, &self.base, record, &evidence, &bound, 2)
            .map_err(|error| broken(Rule::Recomputes, error.to_string()))?;
        self.base = Base {
            tip: protocol::round::Tip::of(record),
            weights: made.weights,
            outer: made.outer,
            required: bound,
        };
        Ok(())
    }
}

/// What a journal comes to once entries that are no longer needed are dropped.
pub(super) fn compacted(journal: &[Entry]) -> Vec<Entry> {
    let is_certificate = |entry: &Entry| matches!(entry, Entry::Certificate(_));
    let newest = journal.iter().rposition(is_certificate).unwrap_or(0);
    let (old, new) = journal.split_at(newest);
    let word = old.iter().rfind(|entry| matches!(entry, Entry::Participate { .. }));
    word.into_iter().chain(new).cloned().collect()
}

fn slot(message: &RunMessage) -> Option<Slot> {
    match message {
        RunMessage::Proposal(proposal) => {
            let value = proposal.value();
            Some((proposal.signer(), value.record.round, value.attempt, None))
        }
        RunMessage::Vote(vote) => {
            let value = vote.value();
            Some((vote.signer(), value.round, value.attempt, Some(value.phase)))
        }
        _ => None,
    }
}

fn journaled(sender: &Sender<'_>, what: &str, holds: bool) -> Outcome {
    if holds {
        return Ok(());
    }
    let what = format!("n{} speaks before {what} is durable", sender.node);
    Err(Violation::new(Rule::DurableFirst, what))
}

fn find(library: &Library, commit: CommitId) -> Option<Evidence> {
    let commit = Signed::<UpdateCommit>::open(library.blob(&envelope_hash(commit))?).ok()?;
    let update = library.blob(&commit.value().update)?.to_vec();
    let frontier = library.blob(&commit.value().data.frontier)?.to_vec();
    Some(Evidence { commit, update, frontier })
}
