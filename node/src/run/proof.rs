//! Proofs about a round: what it was bound to, and what this node's own update left out.
//!
//! Invariants: what is returned was verified as anyone else would. What it is not: able to say what
//! other trainers left out; each has its own lists and makes its own proofs.

use consent::proof::{BoundProof, DataProof, ExcludedProof, Proof, ProofError, RoundProof, Unused};
use protocol::limits::COMMIT_BYTES_MAX;
use protocol::round::{Certificate, Change, RoundRecord, UpdateCommit};
use protocol::{CommitId, ContentId, FileHash, OpenError, PublicKey, RecordId, Signed};

use super::chain::{Chain, ChainError as ChainFault};
use super::desk::{Desk, DeskError};
use super::lists::DataLists;
use crate::ledger::ChainError;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundProveError {
    /// The round is not certified, or cannot be had.
    #[error(transparent)]
    Run(#[from] ChainFault),
    /// Something that the round names could not be had.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The round was not bound by the record.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// This node's commit does not open.
    #[error("this node's commit: {0}")]
    Commit(#[from] OpenError),
    /// This node did not train in it.
    #[error(
        "this node sent no update in round {round}: only a trainer can prove what its own update \
         left out. Ask them: {}", .trainers.join(", ")
    )]
    NotTrainer {
        /// The round.
        round: u64,
        /// Who did.
        trainers: Vec<String>,
    },
    /// The lists are gone.
    #[error("the list of works behind this node's update is no longer here")]
    NoLists,
    /// It was used.
    #[error("{0} was among the works used in round {1}")]
    Used(ContentId, u64),
    /// What was made does not verify.
    #[error("the proof that was made does not hold, which is a fault of this program: {0}")]
    Own(#[from] ProofError),
}

/// Proves of a certified round that it bound `record`, and that this node's update did not use
/// `content`; one of the two must be asked for.
pub(crate) async fn prove_round(
    desk: &Desk,
    round: u64,
    record: Option<RecordId>,
    content: Option<ContentId>,
) -> Result<Proof, RoundProveError> {
    let (handovers, certificate) = certified(desk, round).await?;
    let bound = match record {
        Some(record) => Some(prove_bound(desk, &certificate, &record).await?),
        None => None,
    };
    let data = match content {
        Some(content) => Some(prove_data(desk, &certificate.record, content).await?),
        None => None,
    };
    let proof = RoundProof::new(&desk.spec, &handovers, &certificate.to_bytes(), bound, data);
    let proof = Proof::Round(Box::new(proof));
    proof.verify(None)?;
    Ok(proof)
}

/// The certificate of `round`, and of the rounds before it that changed the stewards.
async fn certified(desk: &Desk, round: u64) -> Result<(Vec<Vec<u8>>, Certificate), ChainFault> {
    let (mut chain, mut handovers) = (Chain::from_start(desk), Vec::new());
    while let Some((certificate, tip)) = chain.next().await? {
        if tip.round == round {
            return Ok((handovers, certificate));
        }
        if certificate.record.parts.changes.iter().any(Change::is_handover) {
            handovers.push(certificate.to_bytes());
        }
    }
    Err(ChainFault::NoRound(round))
}

async fn prove_bound(
    desk: &Desk,
    certificate: &Certificate,
    record: &RecordId,
) -> Result<BoundProof, RoundProveError> {
    let frontier = desk.frontier(certificate.record.frontier, &[]).await?;
    let ledger = &desk.means.ledger;
    let chain = tokio::task::block_in_place(|| ledger.chain(record, &frontier))?;
    Ok(BoundProof::new(&frontier, chain.ends, &chain.envelopes))
}

async fn prove_data(
    desk: &Desk,
    record: &RoundRecord,
    content: ContentId,
) -> Result<DataProof, RoundProveError> {
    let round = record.round;
    let accepted = record.accepted.iter().map(|entry| (entry.trainer, entry.commit));
    let rejected = record.rejected.iter().map(|entry| (entry.trainer, entry.commit));
    let commits: Vec<(PublicKey, CommitId)> = accepted.chain(rejected).collect();
    let me = desk.means.net.key();
    let Some((_, commit)) = commits.iter().find(|(trainer, _)| *trainer == me) else {
        let trainers = commits.iter().map(|(trainer, _)| trainer.to_string()).collect();
        return Err(RoundProveError::NotTrainer { round, trainers });
    };
    let hash = FileHash::from_bytes(*commit.as_bytes());
    let bytes = desk.bytes("a commit", hash, COMMIT_BYTES_MAX as u64, &[]).await?;
    let data = Signed::<UpdateCommit>::open(&bytes)?.value().data.clone();
    tokio::task::block_in_place(|| {
        let lists = DataLists::new(desk.means.lists());
        let used = lists.used(data.used_root).ok_or(RoundProveError::NoLists)?;
        let excluded = lists.excluded(data.excluded_root).ok_or(RoundProveError::NoLists)?;
        let unused = Unused::prove(&used, &content).ok_or(RoundProveError::Used(content, round))?;
        let excluded = ExcludedProof::prove(&excluded, &content);
        Ok(DataProof::new(&bytes, content, unused, excluded))
    })
}
