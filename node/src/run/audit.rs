//! Auditing a run: every certificate verified, every aggregate recomputed, from the first round or from one
//! that somebody trusts.
//!
//! Invariants: nothing is taken from the run's own word but the signed specification, or the round that is
//! trusted; a round that cannot be fetched or does not hold ends the audit with its number.
//! What it is not: evidence about what the trainers' data were.

use std::sync::Arc;
use std::time::Instant;

use protocol::RoundId;
use protocol::round::check::{self, Base, RecordError};
use protocol::round::{Certificate, Tip};

use super::chain::{Chain, ChainError};
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
    /// A certificate could not be had, or does not hold.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A record does not hold.
    #[error("the run does not hold: {0}")]
    Record(#[from] RecordError),
    /// Certificates that this node knows of could not be had.
    #[error(
        "rounds {first} to {audited} hold, but round {known} is certified: the rest cannot be fetched"
    )]
    Behind {
        /// The first round audited.
        first: u64,
        /// The last round audited.
        audited: u64,
        /// The last round known.
        known: u64,
    },
    /// There is nothing to audit.
    #[error("no round of the run is certified yet")]
    Empty,
}

/// Audits a run as far as it is certified, at least up to round `known`; after a round whose id is
/// `trusted`, or from the first.
pub(crate) async fn audit(
    desk: &Arc<Desk>,
    known: u64,
    trusted: Option<(u64, RoundId)>,
    progress: &ProgressSender,
) -> Result<AuditReply, AuditError> {
    let started = Instant::now();
    let mut chain = match trusted {
        Some((round, id)) => Chain::from_trusted(desk, round, id).await?,
        None => Chain::from_start(desk),
    };
    let first = chain.tip().round + 1;
    let base = desk.base(chain.tip()).await;
    let base = base.map_err(|source| AuditError::Missing { round: first, source })?;
    let mut base = Base::clone(&base);
    let (mut signatures, mut updates) = (0, 0);
    while let Some((certificate, tip)) = chain.next().await? {
        signatures += certificate.precommits.len() as u64;
        updates += certificate.record.accepted.len() as u64;
        let round = tip.round;
        base = recompute(desk, base, &certificate, tip).await?;
        progress.send("recomputing", round, Some(desk.spec.value().rounds.count), "rounds");
    }
    let audited = base.tip.round;
    if audited < first {
        return Err(AuditError::Empty);
    }
    if audited < known {
        return Err(AuditError::Behind { first, audited, known });
    }
    Ok(AuditReply {
        run: desk.run,
        first,
        rounds: audited - first + 1,
        signatures,
        updates,
        model: base.tip.model,
        id: base.tip.id,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn recompute(
    desk: &Desk,
    base: Base,
    certificate: &Certificate,
    next: Tip,
) -> Result<Base, AuditError> {
    let record = &certificate.record;
    let missing = |source| AuditError::Missing { round: record.round, source };
    let exhibits = desk.exhibits(&base.tip, record, None).await.map_err(missing)?;
    let (run, spec, threads) = (desk.run, desk.spec.value(), desk.means.threads);
    let tapes = desk.tapes(&base).map_err(missing)?;
    tokio::task::block_in_place(|| {
        check::verify(run, spec, &base, record, &exhibits, &tapes.outputs(), threads)
    })?;
    let Tapes { weights, state, .. } = tapes;
    let next = Base::new(next, Arc::new(weights), Arc::new(state), exhibits.bound);
    next.map_err(|error| missing(DeskError::Tape(error)))
}
