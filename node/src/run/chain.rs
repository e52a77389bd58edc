//! A run's certified rounds, one after the other, each verified by whoever the stewards were then.
//!
//! Invariants: starts from the signed specification, or from a round whose id somebody trusts; nothing is
//! taken from a peer's word. What it is not: recomputing what a record says (see `audit`).

use std::collections::VecDeque;

use protocol::limits::{CERTIFICATES_SENT_MAX, ROSTER_BYTES_MAX};
use protocol::round::{Certificate, CertificateError, Roster, RosterError, Tip};
use protocol::{FileHash, RoundId};

use super::certificates::ask_all;
use super::desk::{Desk, DeskError, bad};

/// Why a chain goes no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    /// Something could not be had.
    #[error("round {0}: {1}")]
    Missing(u64, DeskError),
    /// A certificate does not verify.
    #[error("round {0}: the certificate does not verify: {1}")]
    Certificate(u64, CertificateError),
    /// It does not follow the one before.
    #[error("round {0} does not follow the round before it: there is a fork of the run")]
    Fork(u64),
    /// Its changes do not fit.
    #[error("round {0}: {1}")]
    Roster(u64, RosterError),
    /// The round that somebody trusts is another.
    #[error("round {0} of this run has the id {1}, which is not the one that you trust")]
    Untrusted(u64, RoundId),
    /// There is no such round.
    #[error("round {0} is not certified yet, or no peer has its certificate")]
    NoRound(u64),
}

/// A walk along a run's certificates.
pub(super) struct Chain<'a> {
    desk: &'a Desk,
    tip: Tip,
    ready: VecDeque<Certificate>,
}

impl<'a> Chain<'a> {
    /// From the start of the run.
    pub(super) fn from_start(desk: &'a Desk) -> Self {
        let tip = Tip::start(desk.run, desk.spec.value());
        Self { desk, tip, ready: VecDeque::new() }
    }

    /// From after a round whose id is trusted.
    pub(super) async fn from_trusted(
        desk: &'a Desk,
        round: u64,
        id: RoundId,
    ) -> Result<Self, ChainError> {
        let missing = |error| ChainError::Missing(round, error);
        let found = page(desk, round).await.map_err(missing)?.pop_front();
        let record = found.ok_or(ChainError::NoRound(round))?.record;
        if record.id() != id {
            return Err(ChainError::Untrusted(round, record.id()));
        }
        let most = ROSTER_BYTES_MAX as u64;
        let bytes =
            desk.bytes("the roster", record.parts.roster, most, &[]).await.map_err(missing)?;
        let roster = Roster::from_bytes(&bytes).map_err(|e| missing(bad("the roster", e)))?;
        let tip = Tip::trusted(&record, roster);
        let tip = tip.map_err(|error| ChainError::Roster(round, error))?;
        Ok(Self { desk, tip, ready: VecDeque::new() })
    }

    /// Where it is.
    pub(super) fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The next certificate and the tip that it makes; nothing where nobody has more.
    pub(super) async fn next(&mut self) -> Result<Option<(Certificate, Tip)>, ChainError> {
        let round = self.tip.round + 1;
        if self.ready.is_empty() {
            let missing = |error| ChainError::Missing(round, error);
            self.ready = page(self.desk, round).await.map_err(missing)?;
        }
        let Some(certificate) = self.ready.pop_front() else { return Ok(None) };
        if !self.tip.is_base_of(&certificate.record) {
            return Err(ChainError::Fork(round));
        }
        certificate
            .check(self.desk.spec.value(), self.tip.roster.stewards())
            .map_err(|error| ChainError::Certificate(round, error))?;
        let tip = self.tip.after(&certificate.record);
        self.tip = tip.map_err(|error| ChainError::Roster(round, error))?;
        Ok(Some((certificate, self.tip.clone())))
    }
}

/// Certificates from `round` on: this node's own, or a peer's.
pub(super) async fn page(desk: &Desk, round: u64) -> Result<VecDeque<Certificate>, DeskError> {
    let own = desk.means.store.certificates(desk.run, round, CERTIFICATES_SENT_MAX)?;
    if own.is_empty() {
        return Ok(ask_all(desk, round).await.into());
    }
    let open = |bytes: &Vec<u8>| {
        Certificate::open(bytes, desk.run).map_err(|error| bad("a certificate", error))
    };
    own.iter().map(open).collect()
}

/// The hash under which a commit's envelope is kept.
pub(super) fn envelope_hash(commit: protocol::CommitId) -> FileHash {
    FileHash::from_bytes(*commit.as_bytes())
}
