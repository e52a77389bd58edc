//! The messages of a run as they travel, and as they are once verified.
//!
//! Invariants: [`Wire`] names the run so that it can be routed without opening what it carries; a
//! [`RunMessage`] exists only if every signature in it verified and it belongs to the run.
//! What it is not: judged against the state of the run, such as who its stewards are by now; that is
//! `Round`'s part.

use serde::{Deserialize, Serialize};

use super::change::Motion;
use super::commit::UpdateCommit;
use super::equivocation::{Equivocation, EquivocationError};
use super::record::{Certificate, CertificateError};
use super::report::Report;
use super::slate::{Partial, Slate};
use super::vote::{Proposal, Vote};
use crate::codec::{self, DecodeError};
use crate::envelope::{OpenError, Signed};
use crate::id::RunId;
use crate::key::PublicKey;
use crate::limits::GOSSIP_BYTES_MAX;
use crate::run::{Presence, RunSpec, run_id};

/// A message of a run on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// The run it belongs to.
    pub run: RunId,
    /// What `bytes` are.
    pub kind: Kind,
    /// An envelope, or a certificate.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// When the sender sent it, by its own count. Gossip drops what it has seen, byte for byte; a
    /// message that is said again for those who missed it differs in this and nothing else.
    pub sent: u64,
}

/// The kinds of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A `RunSpec`: the run is announced.
    Spec,
    /// A trainer joins or leaves.
    Presence,
    /// A trainer commits to an update.
    Commit,
    /// A steward proposes a record.
    Proposal,
    /// A steward votes.
    Vote,
    /// A record is certified.
    Certificate,
    /// A steward moves that something changes.
    Motion,
    /// A steward lies.
    Evidence,
    /// A trainer has looked at another's update.
    Report,
    /// A steward wants an aggregate worked out in slices.
    Slate,
    /// A node says what slices come to.
    Partial,
}

/// A verified message of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunMessage {
    /// A trainer joins or leaves.
    Presence(Signed<Presence>),
    /// A trainer commits to an update.
    Commit(Signed<UpdateCommit>),
    /// A steward proposes a record.
    Proposal(Signed<Proposal>),
    /// A steward votes.
    Vote(Signed<Vote>),
    /// A record is certified.
    Certificate(Certificate),
    /// A steward moves that something changes.
    Motion(Signed<Motion>),
    /// This steward lies, as the pair shows.
    Evidence(PublicKey, Equivocation),
    /// A trainer has looked at another's update.
    Report(Signed<Report>),
    /// A steward wants an aggregate worked out in slices.
    Slate(Signed<Slate>),
    /// A node says what slices come to.
    Partial(Signed<Partial>),
}

/// Why bytes are not a message of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not well formed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What it carries does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The certificate it carries does not verify.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The evidence it carries shows nothing.
    #[error(transparent)]
    Evidence(#[from] EquivocationError),
    /// What it carries belongs to another run than it says.
    #[error("it carries a message of another run")]
    OtherRun,
}

impl Wire {
    /// Reads untrusted bytes; what it carries is still unverified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, GOSSIP_BYTES_MAX)
    }

    /// The announcement of a run.
    pub fn spec(spec: &Signed<RunSpec>) -> Self {
        Self { run: run_id(spec), kind: Kind::Spec, bytes: spec.bytes().to_vec(), sent: 0 }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Opens and verifies what it carries as a spec.
    pub fn open_spec(&self) -> Result<Signed<RunSpec>, WireError> {
        let spec = Signed::<RunSpec>::open(&self.bytes)?;
        if run_id(&spec) == self.run { Ok(spec) } else { Err(WireError::OtherRun) }
    }

    /// Opens what it carries as a message of its run and verifies every signature. A spec is no such
    /// message. Whether the signers have a say is for whoever knows the roster.
    pub fn open(&self) -> Result<RunMessage, WireError> {
        let (message, run) = match self.kind {
            Kind::Spec => return Err(WireError::OtherRun),
            Kind::Presence => {
                let presence = Signed::<Presence>::open(&self.bytes)?;
                let run = presence.value().run;
                (RunMessage::Presence(presence), run)
            }
            Kind::Commit => {
                let commit = Signed::<UpdateCommit>::open(&self.bytes)?;
                let run = commit.value().run;
                (RunMessage::Commit(commit), run)
            }
            Kind::Proposal => {
                let proposal = Signed::<Proposal>::open(&self.bytes)?;
                let run = proposal.value().record.run;
                (RunMessage::Proposal(proposal), run)
            }
            Kind::Vote => {
                let vote = Signed::<Vote>::open(&self.bytes)?;
                let run = vote.value().run;
                (RunMessage::Vote(vote), run)
            }
            Kind::Certificate => {
                let certificate = Certificate::open(&self.bytes, self.run)?;
                (RunMessage::Certificate(certificate), self.run)
            }
            Kind::Motion => {
                let motion = Signed::<Motion>::open(&self.bytes)?;
                let run = motion.value().run;
                (RunMessage::Motion(motion), run)
            }
            Kind::Evidence => {
                let (of, pair) = Equivocation::open(&self.bytes, self.run)?;
                (RunMessage::Evidence(of, pair), self.run)
            }
            Kind::Slate => {
                let slate = Signed::<Slate>::open(&self.bytes)?;
                let run = slate.value().run;
                (RunMessage::Slate(slate), run)
            }
            Kind::Partial => {
                let partial = Signed::<Partial>::open(&self.bytes)?;
                let run = partial.value().run;
                (RunMessage::Partial(partial), run)
            }
            Kind::Report => {
                let report = Signed::<Report>::open(&self.bytes)?;
                let run = report.value().run;
                (RunMessage::Report(report), run)
            }
        };
        if run == self.run { Ok(message) } else { Err(WireError::OtherRun) }
    }
}

impl RunMessage {
    /// The message as it travels; see [`Wire::sent`].
    pub fn to_wire(&self, run: RunId, sent: u64) -> Wire {
        let (kind, bytes) = match self {
            Self::Presence(presence) => (Kind::Presence, presence.bytes().to_vec()),
            Self::Commit(commit) => (Kind::Commit, commit.bytes().to_vec()),
            Self::Proposal(proposal) => (Kind::Proposal, proposal.bytes().to_vec()),
            Self::Vote(vote) => (Kind::Vote, vote.bytes().to_vec()),
            Self::Certificate(certificate) => (Kind::Certificate, certificate.to_bytes()),
            Self::Motion(motion) => (Kind::Motion, motion.bytes().to_vec()),
            Self::Evidence(_, pair) => (Kind::Evidence, pair.to_bytes()),
            Self::Report(report) => (Kind::Report, report.bytes().to_vec()),
            Self::Slate(slate) => (Kind::Slate, slate.bytes().to_vec()),
            Self::Partial(partial) => (Kind::Partial, partial.bytes().to_vec()),
        };
        Wire { run, kind, bytes, sent }
    }
}
