//! Auditing a run: every certificate verified, every aggregate recomputed, from the first round.
//!
//! Invariants: nothing is taken from the run's own word but the signed specification; a round that
//! cannot be fetched or does not hold ends the audit with its number.
//! What it is not: evidence about what the trainers' data were.

use std::sync::Arc;
use std::time::Instant;

use protocol::limits::CERTIFICATES_SENT_MAX;
use protocol::round::check::{self, Base, RecordError};
use protocol::round::{Certificate, CertificateError, Tip};

use super::certificates::ask_all;
use super::desk::{Desk, DeskError};
use super::tape::Tapes;
use crate::api::ProgressSender;
use crate::api::dto::AuditReply;

/// Why a run does not pass, or could not be audited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// Something that the run names could not be had.
    #[error("round {round}: {source}")]
    Missing {
        /// The round.
        round: u64,
        /// What.
        source: DeskError,
    },
    /// A certificate does not verify.
    #[error("round {round}: the certificate does not verify: {source}")]
    Certificate {
        /// The round.
        round: u64,
        /// Why.
        source: CertificateError,
    },
    /// A record does not hold.
    #[error("the run does not hold: {0}")]
    Record(#[from] RecordError),
    /// Certificates that this node knows of could not be had.
    #[error(
        "rounds 1 to {audited} hold, but round {known} is certified: the rest cannot be fetched"
    )]
    Behind {
        /// The last round audited.
        audited: u64,
        /// The last round known.
        known: u64,
    },
    /// There is nothing to audit.
    #[error("no round of the run is certified yet")]
    Empty,
}

/// Audits a run as far as it is certified, at least up to round `known`.
pub(crate) async fn audit(
    desk: &Arc<Desk>,
    known: u64,
    progress: &ProgressSender,
) -> Result<AuditReply, AuditError> {
    let started = Instant::now();
    let spec = desk.spec.value();
    let missing = |round, source| AuditError::Missing { round, source };
    let tip = Tip::start(desk.run, spec);
    let base = desk.base(&tip).await.map_err(|e| missing(1, e))?;
    let mut base = Base::clone(&base);
    let (mut signatures, mut updates) = (0, 0);
    loop {
        let round = base.tip.round + 1;
        let certificates = certificates(desk, round).await.map_err(|e| missing(round, e))?;
        if certificates.is_empty() {
            break;
        }
        for certificate in certificates {
            let round = certificate.record.round;
            certificate
                .verify(desk.run, spec)
                .map_err(|source| AuditError::Certificate { round, source })?;
            signatures += certificate.precommits.len() as u64;
            updates += certificate.record.accepted.len() as u64;
            base = recompute(desk, base, &certificate).await?;
            progress.send("recomputing", round, Some(spec.rounds.count), "rounds");
        }
    }
    if base.tip.round == 0 {
        return Err(AuditError::Empty);
    }
    if base.tip.round < known {
        return Err(AuditError::Behind { audited: base.tip.round, known });
    }
    Ok(AuditReply {
        run: desk.run,
        rounds: base.tip.round,
        signatures,
        updates,
        model: base.tip.model,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn recompute(desk: &Desk, base: Base, certificate: &Certificate) -> Result<Base, AuditError> {
    let record = &certificate.record;
    let missing = |source| AuditError::Missing { round: record.round, source };
    let evidence = desk.evidence_for(&base.tip, record).await.map_err(missing)?;
    let bound = desk.frontier(record.frontier, &[]).await.map_err(missing)?;
    let (run, spec, threads) = (desk.run, desk.spec.value(), desk.means.threads);
    let tapes = desk.tapes(&base).map_err(missing)?;
    tokio::task::block_in_place(|| {
        check::verify(run, spec, &base, record, &evidence, &bound, &tapes.outputs(), threads)
    })?;
    let Tapes { weights, state, .. } = tapes;
    let next = Base::new(Tip::of(record), Arc::new(weights), Arc::new(state), bound);
    next.map_err(|error| missing(DeskError::Tape(error)))
}

/// Certificates from `round` on: this node's own, or a peer's.
pub(super) async fn certificates(desk: &Desk, round: u64) -> Result<Vec<Certificate>, DeskError> {
    let own = desk.means.store.certificates(desk.run, round, CERTIFICATES_SENT_MAX)?;
    if own.is_empty() {
        return Ok(ask_all(desk, round).await);
    }
    own.iter()
        .map(|bytes| {
            Certificate::open(bytes, desk.run, desk.spec.value())
                .map_err(|e| super::desk::bad("a certificate", e))
        })
        .collect()
}
