//! Slices of a round: worked out here, or taken from those who did.
//!
//! Invariants: of an update and of the state only what is worked out here is fetched, and nothing of that is
//! kept; what others say is taken only with bytes that hash to it. What it is not: who is asked (see
//! `protocol::round::Committee`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use libp2p::futures::{StreamExt, stream};
use protocol::aggregate::{Made, NORM_BYTES, Patches, Slices, Source, TapeError};
use protocol::exchange::{Answer, Question, Whereabouts};
use protocol::limits::{FETCHES_MAX, SLATE_LIST_BYTES_MAX};
use protocol::round::check::{
    Base, Counted, Division, Evidence, check_terms, compared_in_update, work_out,
};
use protocol::round::{
    Accepted, Input, Partial, Slate, Sliced, Tip, UpdateCommit, open_slate_list,
};
use protocol::{CommitId, FileHash, PublicKey, Signed};

use super::desk::{Desk, DeskError, bad};

/// Nodes that are asked for a part beside whoever surely has it.
const OTHERS_ASKED_MAX: usize = 4;

/// All slices of a round, and what they were made from.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) counted: Vec<Counted>,
    pub(super) made: Vec<Made>,
    pub(super) truths: BTreeMap<u32, Sliced>,
}

/// Why slices could not be had.
#[derive(Debug)]
pub(super) enum GatherError {
    /// Something that others worked out is given by nobody.
    Taken(DeskError),
    /// These updates are given by nobody.
    Withheld(Vec<CommitId>),
    /// Something failed here.
    Here(DeskError),
}

impl Desk {
    /// Some ranges of something that is known by its hash.
    async fn parts(
        &self,
        what: &'static str,
        hash: FileHash,
        bytes_max: u64,
        ranges: &[Range<u64>],
        hints: &[PublicKey],
    ) -> Result<Patches, DeskError> {
        // Who made it has it, connected or not; few others do, and all of them need not be asked.
        let mut givers = hints.to_vec();
        let others = self.providers(&[]).await.into_iter().take(OTHERS_ASKED_MAX);
        givers.extend(others.filter(|other| !hints.contains(other)));
        let blobs = self.means.net.blobs();
        let parts = blobs.parts(hash, bytes_max, ranges, &givers).await;
        parts.map_err(|source| DeskError::Fetch { what, source })
    }

    /// Asks a node where the data planes of trainers listen of which that is not known here: whoever has just
    /// begun to follow a run has not heard it from all of them.
    async fn find(&self, accepted: &[Accepted], of: PublicKey) {
        let net = &self.means.net;
        let trainers = accepted.iter().map(|entry| entry.trainer).filter(|key| *key != net.key());
        let unknown = trainers.filter(|key| net.blobs().whereabouts_of(key).is_none());
        let nodes: Vec<PublicKey> = unknown.collect();
        if nodes.is_empty() {
            return;
        }
        let question = Question::Whereabouts { nodes: nodes.clone() };
        let Ok(bytes) = net.request(of, question.to_bytes()).await else { return };
        let Ok(answer) = Answer::from_bytes(&bytes) else { return };
        let known = answer.items.iter().filter_map(|item| Whereabouts::from_bytes(item).ok());
        for Whereabouts { node, addresses } in known.filter(|known| nodes.contains(&known.node)) {
            let addresses = addresses.iter().filter_map(|address| address.parse().ok());
            net.blobs().suggest(&node, addresses.collect());
        }
    }

    /// The ranges of updates that a division looks at.
    fn ranges(&self, tip: &Tip, division: &Division, accepted: &[Accepted]) -> Vec<Range<u64>> {
        let spec = self.spec.value();
        let mut ranges = division.in_update(spec);
        ranges.extend(compared_in_update(spec, tip, accepted));
        ranges
    }

    /// What counts, each with these ranges of its bytes; or which nobody gives.
    async fn counted(
        &self,
        accepted: &[Accepted],
        ranges: &[Range<u64>],
        giver: Option<PublicKey>,
    ) -> Result<Vec<Counted>, Vec<CommitId>> {
        let bytes = self.spec.value().update_form().update_bytes();
        let fetch = |entry: Accepted| async move {
            let hints: Vec<PublicKey> = std::iter::once(entry.trainer).chain(giver).collect();
            let parts = self.parts("an update", entry.update, bytes, ranges, &hints).await;
            match parts {
                Ok(parts) if parts.bytes() == bytes => {
                    Ok(Counted { entry, update: Arc::new(parts) })
                }
                Ok(_) => Err(entry.commit),
                Err(error) => {
                    tracing::info!(commit = %entry.commit.short(), %error, "an update is not given");
                    Err(entry.commit)
                }
            }
        };
        let fetches = stream::iter(accepted.to_vec()).map(fetch).buffered(FETCHES_MAX);
        let fetched: Vec<Result<Counted, CommitId>> = fetches.collect().await;
        let withheld: Vec<CommitId> =
            fetched.iter().filter_map(|fetched| fetched.as_ref().err().copied()).collect();
        if withheld.is_empty() {
            Ok(fetched.into_iter().flatten().collect())
        } else {
            Err(withheld)
        }
    }

    /// All slices of the round after `base`: some worked out here, the others taken from those who signed that
    /// they come to that.
    pub(super) async fn gather(
        &self,
        base: &Base,
        division: &Division,
        accepted: &[Accepted],
        partials: &[Signed<Partial>],
    ) -> Result<Gathered, GatherError> {
        let taken = self.taken(division, accepted.len(), partials).await;
        let taken = taken.map_err(GatherError::Taken)?;
        let ranges = self.ranges(&base.tip, division, accepted);
        let counted = self.counted(accepted, &ranges, None).await;
        let counted = counted.map_err(GatherError::Withheld)?;
        let (spec, threads) = (self.spec.value(), self.means.threads);
        let bytes_of = |hash| taken.get(&hash).cloned();
        let made = tokio::task::block_in_place(|| {
            division.put_together(spec, &base.tip, &*base.state, &counted, bytes_of, threads)
        });
        let (made, truths) =
            made.map_err(|error| GatherError::Here(DeskError::Work(error.to_string())))?;
        Ok(Gathered { counted, made, truths })
    }

    /// The bytes of slices that are taken.
    async fn taken(
        &self,
        division: &Division,
        updates: usize,
        partials: &[Signed<Partial>],
    ) -> Result<BTreeMap<FileHash, Vec<u8>>, DeskError> {
        let plan = self.spec.value().plan([0; 32]);
        let slices = Slices::new(&plan, self.spec.value().rounds.slices);
        let mut wanted = Vec::new();
        for (slice, said) in &division.taken {
            let says_so = |partial: &&Signed<Partial>| partial.value().of(*slice) == Some(said);
            let givers = partials.iter().filter(says_so).map(|partial| partial.signer());
            let givers: Arc<[PublicKey]> = givers.collect();
            let length = |range: Range<u64>| range.end - range.start;
            wanted.extend([
                (said.norms, (updates * NORM_BYTES) as u64, Arc::clone(&givers)),
                (said.step, length(slices.in_step(*slice)), Arc::clone(&givers)),
                (said.state, length(slices.in_state(*slice)), givers),
            ]);
        }
        let fetch = |(hash, most, givers): (FileHash, u64, Arc<[PublicKey]>)| async move {
            Ok((hash, self.bytes("a slice", hash, most, &givers).await?))
        };
        let fetches = stream::iter(wanted).map(fetch).buffered(FETCHES_MAX);
        let fetched: Vec<Result<_, DeskError>> = fetches.collect().await;
        fetched.into_iter().collect()
    }

    /// A commit with the first bytes of its update: others look at the rest, each at its slices.
    pub(super) async fn evidence_of_head(
        &self,
        tip: &Tip,
        commit: Signed<UpdateCommit>,
    ) -> Result<Evidence, DeskError> {
        let spec = self.spec.value();
        if check_terms(spec, tip, &commit).is_err() {
            return Ok(Evidence::refused(commit));
        }
        let (value, hints) = (commit.value(), [commit.signer()]);
        let (bytes, head) =
            (spec.update_form().update_bytes(), Division::working(&[]).in_update(spec));
        let update = self.parts("an update", value.update, bytes, &head, &hints).await?;
        let frontier = self.frontier_bytes(value.data.frontier, &hints).await?;
        Ok(Evidence { commit, update: Arc::new(update), frontier })
    }

    /// Works out slices that a steward asks for, and keeps what they come to, to be served.
    pub(super) async fn work_out(
        &self,
        tip: &Tip,
        slate: &Signed<Slate>,
        slices: &[u32],
    ) -> Result<Input, DeskError> {
        let (spec, list) = (self.spec.value(), slate.value().list);
        let giver = slate.signer();
        let bytes = self.bytes("a slate", list, SLATE_LIST_BYTES_MAX as u64, &[giver]).await?;
        let accepted = open_slate_list(&bytes).map_err(|e| bad("a slate", e))?;
        self.find(&accepted, giver).await;
        let division = Division::working(slices);
        let counted = self.counted(&accepted, &division.in_update(spec), Some(giver)).await;
        let counted = counted.map_err(|withheld| {
            DeskError::Work(format!("{} updates are given by nobody", withheld.len()))
        })?;
        let state = if tip.outer == FileHash::of(b"") {
            Patches::of(0)
        } else {
            let bytes = spec.plan([0; 32]).state().bytes();
            let ranges = division.in_state(spec);
            self.parts("the outer state", tip.outer, bytes, &ranges, &[giver]).await?
        };
        let threads = self.means.threads;
        let mut said = Vec::with_capacity(slices.len());
        for slice in slices {
            let made = tokio::task::block_in_place(|| {
                work_out(spec, tip, &state, &counted, *slice, threads)
            });
            let made = made.map_err(|error| DeskError::Tape(TapeError(error.to_string())))?;
            said.push(Sliced::of(&made));
            for bytes in [made.norms, made.step, made.state] {
                self.keep(bytes).await?;
            }
        }
        Ok(Input::Sliced { base: tip.id, slate: list, slices: said })
    }
}
