//! Records: aggregated to be proposed, and recomputed when others propose them.
//!
//! Invariants: a vote for a record means that its model can be had here; where a round is cut, a record is
//! refused only after every slice was worked out here. What it is not: the rules (see `protocol::round::check`).

use std::sync::Arc;

use protocol::round::check::{self, Base, Counted, Division, Draft, charges, unfit};
use protocol::round::{
    Accepted, Cause, Change, Committee, Input, Partial, Rejected, Reported, RoundRecord, Sliced,
    Tip,
};
use protocol::update::look;
use protocol::{CommitId, FileHash, Frontier, Signed};

use super::desk::{Desk, DeskError, bad};
use super::slices::{GatherError, Gathered};

/// What others say of a round's slices, and which one this node works out whatever they say.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub(super) partials: Vec<Signed<Partial>>,
    pub(super) spot: Option<u32>,
}

/// What `Effect::Build` asks to aggregate.
pub(super) struct Order {
    pub(super) base: Tip,
    pub(super) accepted: Vec<Accepted>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) reports: Vec<Reported>,
    pub(super) changes: Vec<Change>,
    pub(super) proofs: Vec<Vec<u8>>,
    pub(super) words: Words,
}

/// What came of an order or of a record.
pub(super) struct Answered {
    /// The answer to the effect.
    pub(super) answer: Input,
    /// What others said otherwise than it is.
    pub(super) contradicted: Option<Input>,
}

impl Answered {
    fn plain(answer: Input) -> Self {
        Self { answer, contradicted: None }
    }
}

/// Aggregates a record to propose.
pub(super) async fn build(desk: &Desk, order: Order) -> Answered {
    let round = order.base.round + 1;
    match try_build(desk, order).await {
        Ok(answered) => answered,
        Err(error) => {
            tracing::warn!(round, %error, "cannot aggregate");
            Answered::plain(Input::Built { round, record: None, unfit: Vec::new() })
        }
    }
}

async fn try_build(desk: &Desk, order: Order) -> Result<Answered, DeskError> {
    let Order { base: tip, accepted, rejected, reports, mut changes, proofs, words } = order;
    for proof in proofs {
        desk.keep(proof).await?;
    }
    let (spec, round) = (desk.spec.value(), tip.round + 1);
    let base = desk.base(&tip).await?;
    let (mut made, mut contradicted) = (None, None);
    let counted = match Committee::of(spec, &tip) {
        None => whole(desk, accepted).await?,
        Some(committee) => {
            let division = Division::of(&committee, &words.partials, words.spot, &[]);
            let gathered = match desk.gather(&base, &division, &accepted, &words.partials).await {
                Err(GatherError::Taken(error)) => {
                    tracing::info!(round, %error, "slices are worked out here");
                    desk.gather(&base, &Division::distrustful(spec), &accepted, &[]).await
                }
                gathered => gathered,
            };
            let Gathered { counted, made: slices, truths } = match gathered {
                Ok(gathered) => gathered,
                Err(GatherError::Withheld(commits)) => {
                    let unfit = commits.into_iter().map(|commit| (commit, None)).collect();
                    return Ok(Answered::plain(Input::Built { round, record: None, unfit }));
                }
                Err(GatherError::Taken(error) | GatherError::Here(error)) => return Err(error),
            };
            let unfit: Vec<_> = unfit(&counted, &slices)
                .into_iter()
                .map(|(commit, reason)| (commit, Some(reason)))
                .collect();
            if !unfit.is_empty() {
                return Ok(Answered::plain(Input::Built { round, record: None, unfit }));
            }
            for (change, proof) in charges(spec, &tip, &changes, &words.partials, &truths) {
                tracing::warn!(round, what = ?change.what, "a false partial was signed");
                desk.keep(proof).await?;
                changes.push(change);
            }
            changes.sort();
            contradicted = contradiction(&tip, &accepted, &words, truths.values());
            made = Some(Arc::new(slices));
            counted
        }
    };
    let bound = desk.means.ledger.frontier().merge(&base.required);
    let frontier = keep_frontier(desk, &bound).await?;
    let draft = Draft { accepted: counted, rejected, reports, changes, frontier, made };
    let tapes = desk.tapes(&base)?;
    let (run, threads) = (desk.run, desk.means.threads);
    let record = tokio::task::block_in_place(|| {
        check::build(run, spec, &base, draft, &tapes.outputs(), threads)
    });
    let record = record.map_err(|e| DeskError::Work(e.to_string()))?;
    desk.keep_tapes(&record, tapes).await?;
    let answer = Input::Built { round, record: Some(Box::new(record)), unfit: Vec::new() };
    Ok(Answered { answer, contradicted })
}

/// What counts, with all of its bytes.
async fn whole(desk: &Desk, accepted: Vec<Accepted>) -> Result<Vec<Counted>, DeskError> {
    let form = desk.spec.value().update_form();
    let mut counted = Vec::with_capacity(accepted.len());
    for entry in accepted {
        let (what, most, hints) = ("an update", form.update_bytes(), [entry.trainer]);
        let update = desk.source(what, entry.update, most, &hints).await?;
        let looked = tokio::task::block_in_place(|| look(&form, entry.trainer, &*update));
        looked.map_err(DeskError::Tape)?.norm_squared.map_err(|e| bad("an update", e))?;
        counted.push(Counted { entry, update });
    }
    Ok(counted)
}

/// What is to be said if others have said something else of these slices.
fn contradiction<'a>(
    tip: &Tip,
    accepted: &[Accepted],
    words: &Words,
    truths: impl Iterator<Item = &'a Sliced>,
) -> Option<Input> {
    let is_denied = |truth: &&Sliced| {
        let mut said = words.partials.iter().filter_map(|partial| partial.value().of(truth.slice));
        said.any(|said| said != *truth)
    };
    let slices: Vec<Sliced> = truths.filter(is_denied).copied().collect();
    let slate = FileHash::of(&protocol::round::slate_list(accepted));
    (!slices.is_empty()).then_some(Input::Sliced { base: tip.id, slate, slices })
}

/// Recomputes a proposed record; says nothing of it if bytes are missing.
pub(super) async fn verify(desk: &Desk, tip: Tip, record: &RoundRecord, words: Words) -> Answered {
    let mut contradicted = None;
    let recomputed = recompute(desk, &tip, record, &words, &mut contradicted).await;
    let holds = match recomputed {
        Ok(holds) => Some(holds),
        Err(error) => {
            tracing::info!(round = record.round, %error, "a proposal cannot be recomputed yet");
            None
        }
    };
    Answered { answer: Input::Verified { record: record.id(), holds }, contradicted }
}

async fn recompute(
    desk: &Desk,
    tip: &Tip,
    record: &RoundRecord,
    words: &Words,
    contradicted: &mut Option<Input>,
) -> Result<bool, DeskError> {
    let base = desk.base(tip).await?;
    let spec = desk.spec.value();
    let Some(committee) = Committee::of(spec, tip) else {
        return settle(desk, &base, record, None).await;
    };
    let charged = charged(desk, record).await?;
    let division = Division::of(&committee, &words.partials, words.spot, &charged);
    let own = division.own.len() as u32;
    match attempt(desk, &base, record, words, &division, contradicted).await {
        Ok(true) => Ok(true),
        // Before it refuses a record it takes nobody's word.
        outcome if own < spec.rounds.slices => {
            let why = outcome.map_or_else(|error| error.to_string(), |_| "it differs".into());
            tracing::info!(round = record.round, why, "all slices are worked out here");
            let alone = Division::distrustful(spec);
            attempt(desk, &base, record, words, &alone, contradicted).await
        }
        outcome => outcome,
    }
}

/// Recomputes a record by one division of its slices.
async fn attempt(
    desk: &Desk,
    base: &Base,
    record: &RoundRecord,
    words: &Words,
    division: &Division,
    contradicted: &mut Option<Input>,
) -> Result<bool, DeskError> {
    let gathered = desk.gather(base, division, &record.accepted, &words.partials).await;
    let gathered = gathered.map_err(|error| match error {
        GatherError::Taken(error) | GatherError::Here(error) => error,
        GatherError::Withheld(commits) => lacking(&commits),
    })?;
    let said = contradiction(&base.tip, &record.accepted, words, gathered.truths.values());
    *contradicted = said.or_else(|| contradicted.take());
    settle(desk, base, record, Some(gathered)).await
}

async fn settle(
    desk: &Desk,
    base: &Base,
    record: &RoundRecord,
    gathered: Option<Gathered>,
) -> Result<bool, DeskError> {
    let counted = gathered.as_ref().map(|gathered| gathered.counted.as_slice());
    let mut exhibits = desk.exhibits(&base.tip, record, counted).await?;
    if let Some(gathered) = gathered {
        (exhibits.made, exhibits.truths) = (Some(Arc::new(gathered.made)), gathered.truths);
    }
    // Heads that nobody can show would keep every trainer out of the next round.
    desk.reach(&exhibits.bound).await?;
    let (run, spec, threads) = (desk.run, desk.spec.value(), desk.means.threads);
    let tapes = desk.tapes(base)?;
    let outcome = tokio::task::block_in_place(|| {
        check::verify(run, spec, base, record, &exhibits, &tapes.outputs(), threads)
    });
    match outcome {
        Ok(()) => desk.keep_tapes(record, tapes).await.map(|()| true),
        Err(error) if error.is_missing() => Err(DeskError::Work(error.to_string())),
        Err(error) => {
            tracing::warn!(round = record.round, %error, "a proposed record does not hold");
            Ok(false)
        }
    }
}

/// The partials that a record calls false.
async fn charged(desk: &Desk, record: &RoundRecord) -> Result<Vec<Signed<Partial>>, DeskError> {
    let mut charged = Vec::new();
    for change in record.parts.changes.iter().filter(|change| change.cause == Cause::Partial) {
        // What does not open is no proof, and is found out where proofs are looked at.
        charged.extend(Signed::open(&desk.proof(change.proof).await?).ok());
    }
    Ok(charged)
}

fn lacking(commits: &[CommitId]) -> DeskError {
    DeskError::Work(format!("{} updates are given by nobody", commits.len()))
}

pub(super) async fn keep_frontier(desk: &Desk, frontier: &Frontier) -> Result<FileHash, DeskError> {
    desk.keep(frontier.to_bytes()).await
}
