//! What nodes of the simulator send each other.
//!
//! Invariants: shared, never changed: the network copies a packet by counting.
//! What it is not: the wire format. The checker takes every run message through that once.

use std::sync::Arc;

use consent::Record;
use protocol::round::{Certificate, Partial, RunMessage, Wire};
use protocol::{FileHash, Frontier, RunId, Signed};

use super::needs::Part;
use super::traffic::{Plane, Traffic};

/// One packet.
#[derive(Debug, Clone)]
pub(super) enum Packet {
    /// A message of the run, to everyone; of an honest node, or by a liar's own `Round`.
    Run(Arc<RunMessage>),
    /// What a liar made up instead.
    Wire(Arc<Vec<u8>>),
    /// "Who has these bytes?"
    AskBlob(FileHash),
    /// They are these, says whoever sends them.
    Blob { asked: FileHash, bytes: Arc<Vec<u8>> },
    /// "Who has this part of these bytes?", from here to there.
    AskPart(FileHash, u64, u64),
    /// It is this, says whoever sends it.
    Part { asked: FileHash, start: u64, part: Part },
    /// "What was certified from this round on?"
    AskCertificates(u64),
    /// This.
    Certificates(Arc<Vec<Arc<Certificate>>>),
    /// This, says a liar.
    Claims(Arc<Vec<Vec<u8>>>),
    /// A consent record, to everyone.
    Record(Arc<Signed<Record>>),
    /// "What do I lack of the ledger, having this?"
    AskRecords(Arc<Frontier>),
    /// This.
    Records(Arc<Vec<Signed<Record>>>),
}

/// Bytes of a question by hash or round, about.
const QUESTION_BYTES: u64 = 40;

impl Packet {
    /// How many bytes it is, and what for.
    pub(super) fn bytes(&self, traffic: &Traffic) -> (Plane, u64) {
        let length = |bytes: usize| bytes as u64;
        match self {
            Self::Run(message) => {
                // The run's id and the counter do not change the length by more than a few bytes.
                let wire = wire(message, RunId::from_bytes([0; 32]));
                (Plane::Gossip, length(wire.to_bytes().len()))
            }
            Self::Wire(bytes) => (Plane::Gossip, length(bytes.len())),
            Self::Blob { asked, bytes } => (traffic.plane_of(asked), length(bytes.len())),
            Self::Part { asked, part, .. } => {
                let bytes = length(part.bytes.len());
                // A hash tree shows a part by two hashes for each halving down to 16 KiB.
                let halvings = part.of.div_ceil(16 << 10).max(1).next_power_of_two().ilog2();
                (traffic.plane_of(asked), bytes + u64::from(halvings) * 64)
            }
            Self::AskBlob(_) | Self::AskPart(..) | Self::AskCertificates(_) => {
                (Plane::Answers, QUESTION_BYTES)
            }
            Self::AskRecords(frontier) => (Plane::Answers, length(frontier.to_bytes().len())),
            Self::Certificates(list) => {
                (Plane::Answers, list.iter().map(|one| length(one.to_bytes().len())).sum())
            }
            Self::Claims(list) => (Plane::Answers, list.iter().map(|one| length(one.len())).sum()),
            Self::Record(record) => (Plane::Gossip, length(record.bytes().len())),
            Self::Records(list) => {
                (Plane::Answers, list.iter().map(|one| length(one.bytes().len())).sum())
            }
        }
    }

    /// A few words for the trace.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Run(message) => describe(message),
            Self::AskBlob(hash) => format!("ask blob {}", hash.short()),
            Self::AskPart(hash, start, end) => format!("ask {start}..{end} of {}", hash.short()),
            Self::Part { part, .. } => format!("{} bytes of a blob", part.bytes.len()),
            Self::Wire(bytes) => format!("{} bytes made up", bytes.len()),
            Self::Blob { bytes, .. } => format!("blob of {} bytes", bytes.len()),
            Self::AskCertificates(round) => format!("ask certificates from r{round}"),
            Self::Certificates(list) => format!("{} certificates", list.len()),
            Self::Claims(list) => format!("{} claimed certificates", list.len()),
            Self::Record(record) => format!("record {}", record.id().short()),
            Self::AskRecords(frontier) => {
                format!("ask records beyond {} feeds", frontier.heads().len())
            }
            Self::Records(list) => format!("{} records", list.len()),
        }
    }
}

/// A message as it travels, whenever it is sent.
pub(super) fn wire(message: &RunMessage, run: RunId) -> Wire {
    message.to_wire(run, 0)
}

/// A few words for a message of the run.
pub(super) fn describe(message: &RunMessage) -> String {
    match message {
        RunMessage::Presence(word) => format!("presence joined={}", word.value().joined),
        RunMessage::Commit(commit) => {
            format!("commit r{} {}", commit.value().round, commit.id().short())
        }
        RunMessage::Proposal(proposal) => {
            let value = proposal.value();
            let (round, id) = (value.record.round, value.record.id().short());
            format!("proposal r{round} a{} proven={:?} {id}", value.attempt, value.proven)
        }
        RunMessage::Vote(vote) => {
            let vote = vote.value();
            let record = vote.record.map_or_else(|| "nil".into(), |id| id.short());
            format!("vote r{} a{} {:?} {record}", vote.round, vote.attempt, vote.phase)
        }
        RunMessage::Certificate(certificate) => {
            let record = &certificate.record;
            format!("certificate r{} {}", record.round, record.id().short())
        }
        RunMessage::Motion(motion) => format!("motion {:?}", motion.value().what),
        RunMessage::Evidence(of, _) => format!("evidence of {of}"),
        RunMessage::Report(report) => {
            format!("report on r{} {}", report.value().round, report.value().commit.short())
        }
        RunMessage::Slate(slate) => {
            format!("slate r{} {}", slate.value().round, slate.value().list.short())
        }
        RunMessage::Partial(partial) => {
            let Partial { round, slate, slices, .. } = partial.value();
            format!("{} slices of r{round} {}", slices.len(), slate.short())
        }
    }
}
