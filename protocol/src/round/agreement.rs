//! The stewards' agreement on one round: malachite's Tendermint driver, our keys, our envelopes.
//!
//! Invariants: the state is a function of the [`Step`]s applied, in order, so a steward that journals
//! each step before it sends what the step made can crash anywhere and never say two things. One
//! steward takes the same path as sixty-four. What it is not: a judge of records; whoever calls says
//! whether a proposal's record was recomputed and held.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arc_malachitebft_core_driver::{Driver, Input, Output, ThresholdParams};
use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, Round as Attempt, SignedMessage, Timeout, TimeoutKind, Validator,
    Validity, VoteType,
};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use super::context::{Ballot, Context, Envelope, Height, Offer, Stewards};
use super::message::RunMessage;
use super::record::{Certificate, Precommit, RoundRecord};
use super::vote::{Phase, Proposal, Vote};
use crate::envelope::Signed;
use crate::id::RunId;
use crate::key::{PublicKey, SecretKey};
use crate::limits::{AGREEMENT_ROUNDS_AHEAD_MAX, OWN_MESSAGES_RESENT_MAX};

/// One thing that moves an agreement. Journaled before its consequences are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Begin with attempt 0.
    Start,
    /// The record to propose in an attempt that is this steward's turn.
    Offer {
        /// The attempt.
        attempt: u32,
        /// The record.
        record: Box<RoundRecord>,
    },
    /// A proposal's envelope, and whether its record was recomputed and held.
    Proposal {
        /// The envelope.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Whether it held.
        valid: bool,
    },
    /// A vote's envelope.
    Vote {
        /// The envelope.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// Prevotes of more than two thirds of the stewards for one record, some of whom voted twice: the
    /// votes' envelopes.
    Polka {
        /// The envelopes.
        votes: Vec<ByteBuf>,
    },
    /// A step of an attempt took too long.
    Timeout {
        /// Which step.
        wait: Wait,
        /// The attempt.
        attempt: u32,
    },
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The proposal.
    Propose,
    /// Prevotes that agree.
    Prevote,
    /// Precommits that agree.
    Precommit,
}

pub(super) struct Agreement {
    run: RunId,
    round: u64,
    key: SecretKey,
    stewards: Stewards,
    agree_ms: u64,
    driver: Driver<Context>,
    timers: BTreeMap<(u32, Wait), u64>,
    said: VecDeque<RunMessage>,
    wanted: Option<u32>,
    decided: Option<Certificate>,
}

impl Agreement {
    pub(super) fn new(
        run: RunId,
        round: u64,
        key: SecretKey,
        stewards: &[PublicKey],
        agree_ms: u64,
    ) -> Self {
        let stewards = Stewards::new(stewards);
        let driver = Driver::new(
            Context,
            Height(round),
            stewards.clone(),
            key.public(),
            ThresholdParams::default(),
        );
        Self {
            run,
            round,
            key,
            stewards,
            agree_ms,
            driver,
            timers: BTreeMap::new(),
            said: VecDeque::new(),
            wanted: None,
            decided: None,
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.driver.round().is_defined()
    }

    /// The attempt under way.
    pub(super) fn attempt(&self) -> u32 {
        self.driver.round().as_u32().unwrap_or(0)
    }

    /// The attempt that waits for a record of ours to propose.
    pub(super) fn wanted(&self) -> Option<u32> {
        self.wanted
    }

    pub(super) fn decided(&self) -> Option<&Certificate> {
        self.decided.as_ref()
    }

    /// What this steward said lately, to be said again to those who missed it, and with it the votes
    /// of others that brought it where it is.
    pub(super) fn said(&self) -> impl Iterator<Item = RunMessage> {
        self.said.iter().cloned().chain(self.proof())
    }

    /// The votes of others that prove the record it may be locked on, and those that let it enter
    /// its attempt. Tendermint counts on what one honest steward has heard reaching all: whoever
    /// cast these may be gone, and without them the others could neither vote for that record
    /// again nor follow.
    fn proof(&self) -> Vec<RunMessage> {
        let valid = self.driver.valid_value();
        let polka =
            valid.and_then(|valid| self.driver.polka_certificate(valid.round, &valid.value.id()));
        let polka = polka.into_iter().flat_map(|proof| &proof.polka_signatures);
        let entry = self.driver.round_certificate.iter();
        let entry = entry.flat_map(|proof| &proof.certificate.round_signatures);
        polka
            .map(|vote| (vote.address, &vote.signature))
            .chain(entry.map(|vote| (vote.address, &vote.signature)))
            .filter(|(steward, _)| *steward != self.key.public())
            .filter_map(|(_, envelope)| Signed::<Vote>::open(&envelope.0).ok())
            .map(RunMessage::Vote)
            .collect()
    }

    /// When the next timeout is due, and which.
    pub(super) fn due(&self) -> Option<(u64, Step)> {
        let (&(attempt, wait), &at) = self.timers.iter().min_by_key(|(_, at)| **at)?;
        Some((at, Step::Timeout { wait, attempt }))
    }

    /// Whether a message of this attempt may be kept: not so far ahead that a liar could fill us.
    pub(super) fn takes(&self, attempt: u32) -> bool {
        attempt <= self.attempt().saturating_add(AGREEMENT_ROUNDS_AHEAD_MAX)
    }

    /// Whether it is `steward`'s turn to propose in `attempt`.
    pub(super) fn is_turn_of(&self, steward: &PublicKey, attempt: u32) -> bool {
        self.stewards.proposer(self.round, attempt).address() == steward
    }

    /// Whether it is this steward's turn to propose in `attempt`.
    pub(super) fn is_own_turn(&self, attempt: u32) -> bool {
        self.is_turn_of(&self.key.public(), attempt)
    }

    /// Applies one step; returns what this steward now says. The caller has checked that proposals
    /// and votes are of this round, by stewards, and proposals by whose turn it is.
    pub(super) fn apply(&mut self, now_ms: u64, step: &Step) -> Vec<RunMessage> {
        let Some(input) = self.input(step) else { return Vec::new() };
        let mut new = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            // The driver refuses only what the caller's checks exclude, and changes nothing then.
            let Ok(outputs) = self.driver.process(input) else { continue };
            for output in outputs {
                if let Some(next) = self.act(now_ms, output, &mut new) {
                    inputs.push_back(next);
                }
            }
        }
        for message in &new {
            if self.said.len() == OWN_MESSAGES_RESENT_MAX {
                self.said.pop_front();
            }
            self.said.push_back(message.clone());
        }
        new
    }

    fn input(&mut self, step: &Step) -> Option<Input<Context>> {
        match step {
            Step::Start => Some(self.enter(Attempt::ZERO)),
            Step::Offer { attempt, record } => {
                self.wanted = None;
                Some(Input::ProposeValue(Attempt::new(*attempt), (**record).clone()))
            }
            Step::Proposal { bytes, valid } => {
                let proposal = Signed::<Proposal>::open(bytes).ok()?;
                Some(Input::Proposal(offer(&proposal), Validity::from_bool(*valid)))
            }
            Step::Vote { bytes } => Some(Input::Vote(ballot(&Signed::<Vote>::open(bytes).ok()?))),
            Step::Polka { votes } => polka(self.round, votes).map(Input::PolkaCertificate),
            Step::Timeout { wait, attempt } => {
                self.timers.remove(&(*attempt, *wait));
                let kind = match wait {
                    Wait::Propose => TimeoutKind::Propose,
                    Wait::Prevote => TimeoutKind::Prevote,
                    Wait::Precommit => TimeoutKind::Precommit,
                };
                Some(Input::TimeoutElapsed(Timeout::new(Attempt::new(*attempt), kind)))
            }
        }
    }

    fn enter(&mut self, attempt: Attempt) -> Input<Context> {
        let number = attempt.as_u32().unwrap_or(0);
        self.wanted = None;
        self.timers.retain(|(of, _), _| *of >= number);
        let proposer = *self.stewards.proposer(self.round, number).address();
        Input::NewRound(Height(self.round), attempt, proposer)
    }

    /// Acts on one output; returns the driver's next input, if it calls for one.
    fn act(
        &mut self,
        now_ms: u64,
        output: Output<Context>,
        new: &mut Vec<RunMessage>,
    ) -> Option<Input<Context>> {
        match output {
            Output::NewRound(_, attempt) => Some(self.enter(attempt)),
            Output::Propose(made) => {
                let proposal = Proposal {
                    attempt: made.attempt.as_u32().unwrap_or(0),
                    proven: made.proven.as_u32(),
                    record: made.record,
                };
                let signed = Signed::sign(proposal, &self.key);
                let input = Input::Proposal(offer(&signed), Validity::Valid);
                new.push(RunMessage::Proposal(signed));
                Some(input)
            }
            Output::Vote(made) => {
                let signed = Signed::sign(self.vote(&made), &self.key);
                let input = Input::Vote(ballot(&signed));
                new.push(RunMessage::Vote(signed));
                Some(input)
            }
            // The first is the attempt that this steward is in; the votes are the proposal's.
            Output::Decide(_, made) => {
                self.timers.clear();
                self.wanted = None;
                self.decided = Some(self.certificate(made.attempt, made.record));
                None
            }
            Output::ScheduleTimeout(timeout) => {
                self.schedule(now_ms, timeout);
                None
            }
            Output::GetValue(_, attempt, _) => {
                self.wanted = attempt.as_u32();
                None
            }
        }
    }

    fn schedule(&mut self, now_ms: u64, timeout: Timeout) {
        let attempt = timeout.round.as_u32().unwrap_or(0);
        // Whoever proposes aggregates first and whoever prevotes recomputes: twice the time.
        let (wait, share) = match timeout.kind {
            TimeoutKind::Propose => (Wait::Propose, 2),
            TimeoutKind::Prevote => (Wait::Prevote, 1),
            TimeoutKind::Precommit => (Wait::Precommit, 1),
            TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return,
        };
        let growth = u64::from(attempt.min(15)) + 1;
        self.timers.insert((attempt, wait), now_ms + self.agree_ms * share * growth);
    }

    fn vote(&self, made: &Ballot) -> Vote {
        Vote {
            run: self.run,
            round: self.round,
            attempt: made.attempt.as_u32().unwrap_or(0),
            phase: match made.kind {
                VoteType::Prevote => Phase::Prevote,
                VoteType::Precommit => Phase::Precommit,
            },
            record: match made.record {
                NilOrVal::Nil => None,
                NilOrVal::Val(id) => Some(id),
            },
        }
    }

    fn certificate(&self, attempt: Attempt, record: RoundRecord) -> Certificate {
        let mut votes = self.driver.restore_precommits(attempt, &record.id());
        votes.sort_by_key(|vote| vote.message.steward);
        let precommits = votes.into_iter().filter_map(|vote| {
            let signature = *vote.signature.0.last_chunk()?;
            Some(Precommit { steward: vote.message.steward, signature: ByteArray::new(signature) })
        });
        let attempt = attempt.as_u32().unwrap_or(0);
        Certificate { record, attempt, precommits: precommits.collect() }
    }
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agreement")
            .field("round", &self.round)
            .field("attempt", &self.attempt())
            .field("decided", &self.decided.is_some())
            .finish_non_exhaustive()
    }
}

/// The certificate that these prevotes make; whoever journaled them has counted them.
fn polka(round: u64, votes: &[ByteBuf]) -> Option<PolkaCertificate<Context>> {
    let opened: Option<Vec<Signed<Vote>>> =
        votes.iter().map(|bytes| Signed::<Vote>::open(bytes).ok()).collect();
    let opened = opened?;
    let first = opened.first()?.value();
    let (attempt, record) = (Attempt::new(first.attempt), first.record?);
    let ballots = opened.iter().map(ballot).collect();
    Some(PolkaCertificate::new(Height(round), attempt, record, ballots))
}

fn offer(proposal: &Signed<Proposal>) -> SignedMessage<Context, Offer> {
    let value = proposal.value();
    let offer = Offer {
        attempt: Attempt::new(value.attempt),
        proven: value.proven.into(),
        record: value.record.clone(),
        steward: proposal.signer(),
    };
    SignedMessage::new(offer, Envelope(Arc::from(proposal.bytes())))
}

fn ballot(vote: &Signed<Vote>) -> SignedMessage<Context, Ballot> {
    let value = vote.value();
    let ballot = Ballot {
        round: value.round,
        attempt: Attempt::new(value.attempt),
        kind: match value.phase {
            Phase::Prevote => VoteType::Prevote,
            Phase::Precommit => VoteType::Precommit,
        },
        record: value.record.map_or(NilOrVal::Nil, NilOrVal::Val),
        steward: vote.signer(),
    };
    SignedMessage::new(ballot, Envelope(Arc::from(vote.bytes())))
}
