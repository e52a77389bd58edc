//! Who works out which slice of a round.
//!
//! The committee are trainers with a standing whom the record before names, at most three for each slice, drawn
//! by that record's hash. Each slice has three of them, those with the highest random weight for it (Thaler and
//! Ravishankar 1998, "Using name-based mappings to increase hit rates").
//!
//! Invariants: a function of the spec and the tip, so that everybody knows who is to say what; nobody knows it
//! before the record is there. What it is not: a vote. Whoever says something false is found out by working it
//! out, and two that agree are believed only until somebody says otherwise.

use std::cmp::Reverse;

use super::record::RoundRecord;
use super::slate::{Partial, Sliced};
use super::tip::Tip;
use crate::envelope::Signed;
use crate::id::{CommitId, RoundId};
use crate::key::PublicKey;
use crate::limits::{COMMITTEE_MIN, KEEPERS, TRIPLE};
use crate::run::RunSpec;

/// The trainers that work out the slices of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    /// Of each slice.
    triples: Vec<[PublicKey; TRIPLE]>,
    stewards: Vec<PublicKey>,
}

/// What is known of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Too few have said what it comes to.
    Open,
    /// Two of its three say this, and nobody says otherwise.
    Agreed(Sliced),
    /// They say different things: it has to be worked out.
    Contested,
}

impl Committee {
    /// The committee of the round after `tip`; nothing if the run does not cut its rounds, or if there are too
    /// few trainers with a standing: then every steward works out everything.
    pub fn of(spec: &RunSpec, tip: &Tip) -> Option<Self> {
        let slices = spec.rounds.slices;
        if slices < 2 || tip.round == 0 {
            return None;
        }
        let trial = u64::from(spec.admission.probation_rounds).max(1);
        let mut drawn: Vec<_> = tip
            .roster
            .members()
            .iter()
            .filter(|member| !member.removed && member.last == tip.round)
            .filter(|member| member.accepted >= trial)
            .map(|member| (weight(tip.id, u32::MAX, &member.trainer), member.trainer))
            .collect();
        drawn.sort_unstable();
        drawn.truncate((slices as usize * TRIPLE).max(COMMITTEE_MIN));
        if drawn.len() < COMMITTEE_MIN {
            return None;
        }
        let triple = |slice: u32| {
            let mut ranked: Vec<_> = drawn
                .iter()
                .map(|(_, trainer)| (Reverse(weight(tip.id, slice, trainer)), *trainer))
                .collect();
            ranked.select_nth_unstable(TRIPLE - 1);
            let mut triple: [PublicKey; TRIPLE] = std::array::from_fn(|at| ranked[at].1);
            triple.sort_unstable();
            triple
        };
        let triples = (0..slices).map(triple).collect();
        Some(Self { triples, stewards: tip.roster.stewards().to_vec() })
    }

    /// How many slices there are.
    pub fn slices(&self) -> u32 {
        self.triples.len() as u32
    }

    /// The three that work out a slice, sorted.
    pub fn triple(&self, slice: u32) -> &[PublicKey] {
        self.triples.get(slice as usize).map_or(&[], |triple| triple)
    }

    /// The slices that a node works out.
    pub fn slices_of(&self, node: &PublicKey) -> Vec<u32> {
        (0..self.slices()).filter(|slice| self.triple(*slice).contains(node)).collect()
    }

    /// Whether anything that a node says of slices is heard.
    pub fn hears(&self, node: &PublicKey) -> bool {
        self.is_steward(node) || self.triples.iter().any(|triple| triple.contains(node))
    }

    /// Whether a node's word on a slice counts: it is one of its three, or a steward, who says so only if it
    /// found another false.
    pub fn has_word(&self, node: &PublicKey, slice: u32) -> bool {
        self.is_steward(node) || self.triple(slice).contains(node)
    }

    fn is_steward(&self, node: &PublicKey) -> bool {
        self.stewards.binary_search(node).is_ok()
    }

    /// What is known of each slice by these words on one slate.
    pub fn standing<'a>(
        &self,
        partials: impl IntoIterator<Item = &'a Signed<Partial>>,
    ) -> Vec<Standing> {
        let mut said: Vec<Vec<(PublicKey, Sliced)>> = vec![Vec::new(); self.triples.len()];
        for partial in partials {
            let signer = partial.signer();
            for sliced in &partial.value().slices {
                let word = (signer, *sliced);
                let counts = self.has_word(&signer, sliced.slice);
                if let Some(said) = said.get_mut(sliced.slice as usize).filter(|_| counts)
                    && !said.contains(&word)
                {
                    said.push(word);
                }
            }
        }
        let standing = |(slice, said): (usize, Vec<(PublicKey, Sliced)>)| {
            let Some((_, first)) = said.first().copied() else { return Standing::Open };
            if said.iter().any(|(_, other)| *other != first) {
                return Standing::Contested;
            }
            let triple = &self.triples[slice];
            let of_three = said.iter().filter(|(signer, _)| triple.contains(signer)).count();
            if of_three * 2 > TRIPLE { Standing::Agreed(first) } else { Standing::Open }
        };
        said.into_iter().enumerate().map(standing).collect()
    }
}

/// Who keeps an update of a round that was cut, beside its trainer: three others of the round, so that whoever
/// recomputes the round later need not find the one that made it. `id` is the record's.
pub fn keepers(record: &RoundRecord, id: RoundId, commit: CommitId) -> Vec<PublicKey> {
    let author = record.accepted.iter().find(|entry| entry.commit == commit);
    let others = record.accepted.iter().map(|entry| entry.trainer);
    let others = others.filter(|trainer| Some(*trainer) != author.map(|entry| entry.trainer));
    let weight = |trainer: &PublicKey| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"accord/keeper/v1\n").update(id.as_bytes()).update(commit.as_bytes());
        *hasher.update(trainer.as_bytes()).finalize().as_bytes()
    };
    let mut ranked: Vec<_> = others.map(|trainer| (Reverse(weight(&trainer)), trainer)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(KEEPERS).map(|(_, trainer)| trainer).collect()
}

/// A trainer's weight for a slice; `u32::MAX` stands for the draw of the committee.
fn weight(base: RoundId, slice: u32, trainer: &PublicKey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"accord/triple/v1\n").update(base.as_bytes()).update(&slice.to_le_bytes());
    *hasher.update(trainer.as_bytes()).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::id::{FileHash, RunId};
    use crate::key::SecretKey;
    use crate::round::roster::Roster;
    use crate::round::tests::{accepted, record_of};
    use crate::run::tests::spec;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    /// A run of two stewards that is cut in so many slices.
    fn cut(slices: u32) -> RunSpec {
        let mut spec = spec(&[key(101).public(), key(102).public()]);
        spec.model.parameters = 16 * 4096;
        spec.rounds.slices = slices;
        spec
    }

    /// The tip of a round in which the updates of these trainers counted.
    fn tip(spec: &RunSpec, round: u64, trainers: std::ops::Range<u8>) -> Tip {
        let mut tip = Tip::start(RunId::of(b"run"), spec);
        let accepted: Vec<_> = trainers.map(|seed| accepted(seed, 1, false)).collect();
        let record = record_of(round, &accepted, &[]);
        tip.roster = Arc::new(Roster::start(spec).after(&record).expect("it fits"));
        (tip.round, tip.id) = (round, record.id());
        tip
    }

    #[test]
    fn each_slice_has_three_that_everybody_knows() {
        let spec = cut(16);
        let tip = tip(&spec, 1, 1..31);
        let committee = Committee::of(&spec, &tip).expect("thirty trainers");
        assert_eq!(Committee::of(&spec, &tip), Some(committee.clone()));
        let mut asked = BTreeSet::new();
        for slice in 0..16 {
            let triple = committee.triple(slice);
            assert!(triple.len() == 3 && triple.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(triple.iter().all(|of| committee.slices_of(of).contains(&slice)));
            asked.extend(triple.iter().copied());
        }
        // Forty-eight draws of thirty: were all the same, there would be three.
        assert!(asked.len() > 15, "{}", asked.len());
        let most = asked.iter().map(|node| committee.slices_of(node).len()).max();
        assert!(most < Some(9), "{most:?}");
        assert!(committee.triple(16).is_empty());
    }

    #[test]
    fn few_trainers_and_uncut_runs_have_none() {
        let some = |slices, round, trainers| {
            let spec = cut(slices);
            Committee::of(&spec, &tip(&spec, round, trainers)).is_some()
        };
        assert!(some(2, 1, 1..6));
        assert!(!some(2, 1, 1..5), "four");
        assert!(!some(1, 1, 1..31), "not cut");
        let spec = cut(4);
        assert_eq!(Committee::of(&spec, &Tip::start(RunId::of(b"run"), &spec)), None);
        let mut later = tip(&spec, 1, 1..31);
        later.round = 2;
        assert_eq!(Committee::of(&spec, &later), None, "nobody whom the record before names");
    }

    #[test]
    fn an_update_is_kept_by_three_others() {
        let accepted: Vec<_> = (1..9).map(|seed| accepted(seed, 1, false)).collect();
        let record = record_of(1, &accepted, &[]);
        let mut most = std::collections::BTreeMap::new();
        for entry in &accepted {
            let keepers = keepers(&record, record.id(), entry.commit);
            assert!(keepers.len() == 3 && !keepers.contains(&entry.trainer), "{keepers:?}");
            keepers.into_iter().for_each(|keeper| *most.entry(keeper).or_insert(0) += 1);
        }
        assert!(most.len() > 4, "not always the same: {most:?}");
        let few = record_of(1, &accepted[..2], &[]);
        assert_eq!(keepers(&few, few.id(), accepted[0].commit), [accepted[1].trainer]);
    }

    #[test]
    fn two_of_three_are_believed_until_somebody_says_otherwise() {
        let spec = cut(4);
        let committee = Committee::of(&spec, &tip(&spec, 1, 1..9)).expect("eight trainers");
        let [a, b, c] = [0, 1, 2].map(|at| {
            let of = |seed: &u8| key(*seed).public() == committee.triple(2)[at];
            key((1..9).find(of).expect("a trainer"))
        });
        let outsider = (1..9).map(key).find(|key| !committee.triple(2).contains(&key.public()));
        let says = |key: &SecretKey, what: &[u8]| {
            let hash = FileHash::of(what);
            let sliced = Sliced { slice: 2, norms: hash, step: hash, state: hash };
            let (run, base) = (RunId::of(b"run"), RoundId::of(b"base"));
            Signed::sign(Partial { run, round: 2, base, slate: hash, slices: vec![sliced] }, key)
        };
        let standing = |said: &[Signed<Partial>]| committee.standing(said)[2];
        let truth = says(&a, b"true").value().slices[0];
        assert_eq!(standing(&[]), Standing::Open);
        assert_eq!(standing(&[says(&a, b"true"), says(&a, b"true")]), Standing::Open);
        let two = [says(&a, b"true"), says(&b, b"true")];
        assert_eq!(standing(&two), Standing::Agreed(truth));
        let with = |other| standing(&[two.to_vec(), vec![other]].concat());
        assert_eq!(with(says(&c, b"true")), Standing::Agreed(truth));
        assert_eq!(with(says(&c, b"false")), Standing::Contested);
        assert_eq!(with(says(&key(101), b"false")), Standing::Contested, "a steward");
        let outsider = outsider.expect("eight trainers, three of them asked");
        assert_eq!(with(says(&outsider, b"false")), Standing::Agreed(truth));
        // Stewards have a word against, and do not make up for the three.
        assert_eq!(standing(&[says(&a, b"true"), says(&key(101), b"true")]), Standing::Open);
    }
}
