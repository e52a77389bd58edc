//! A run: the signed specification that fixes it, and who takes part.
//!
//! Invariants: a [`RunSpec`] holds no float and no order that matters beyond what `check` demands;
//! its envelope's hash is the [`RunId`], so nothing about a run can change but by a certified record.
//! What it is not: the state of a run (see `round`), or the terms of consent, whose bytes it carries
//! for the `consent` crate to read.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Outer, Plan, Rule};
use crate::envelope::{Message, Signed};
use crate::id::{FileHash, RoundId, RunId};
use crate::key::PublicKey;
use crate::limits::{
    AGREE_WAIT_MAX_MS, AUDITS_MAX, BATCH_SAMPLES_MAX, INVITATION_BYTES_MAX,
    LEARNING_RATE_MAX_MICRO, LOCAL_EPOCHS_MAX, LOCAL_STEPS_MAX, MOMENTUM_MAX_MICRO, NAME_BYTES_MAX,
    NORM_MAX_MILLI, PARAMETERS_MAX, POLICY_BYTES_MAX, PRESENCE_ADDRESSES_MAX, PRESENCE_BYTES_MAX,
    PROBATION_ROUNDS_MAX, ROUND_WAIT_MIN_MS, ROUNDS_MAX, RUN_SPEC_BYTES_MAX, SLICES_MAX,
    STEWARDS_MAX, TRAIN_WAIT_MAX_MS, TRAINERS_INVITED_MAX, UPDATES_MAX, VOUCHES_MAX, WEIGHT_MAX,
    WEIGHTS_HEADER_BYTES_MAX,
};
use crate::update::{Encoding, UpdateForm};

/// What fixes a run, signed by the identity that creates it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// A name for people, such as `digits`.
    pub name: String,
    /// The model it starts from and what trains it.
    pub model: ModelSpec,
    /// The nodes whose votes count, sorted, each once.
    pub stewards: Vec<PublicKey>,
    /// Who may send updates.
    pub admission: AdmissionSpec,
    /// How rounds go.
    pub rounds: RoundSpec,
    /// How updates become a model.
    pub aggregate: AggregateSpec,
    /// How a trainer trains.
    pub local: LocalSpec,
    /// What a sample's makers must have agreed to.
    pub consent: ConsentSpec,
    /// When it was created, in milliseconds since 1970: makes two alike runs two runs.
    pub created_ms: u64,
}

/// The starting model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The model root of the starting weights: the hash of their canonical file.
    pub weights: FileHash,
    /// The length of that file in bytes.
    pub weights_bytes: u64,
    /// The number of parameters.
    pub parameters: u64,
    /// The hash of `config.json`.
    pub config: FileHash,
    /// The owner's repo that the run's models are published in.
    pub repo: String,
    /// A held-out table on which any node may evaluate, if the creator shares one.
    pub held_out: Option<FileHash>,
}

/// Who may send updates, and what those of newcomers weigh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionSpec {
    /// Who.
    pub who: Admission,
    /// How many updates of a trainer must have counted until they have their full weight; until then the
    /// weight grows with each, from nothing. Whom the spec itself invites is not on trial.
    pub probation_rounds: u32,
}

/// Who may send updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admission {
    /// Anyone.
    Open,
    /// Whoever is invited.
    Invited {
        /// By the spec: these, sorted, each once.
        trainers: Vec<PublicKey>,
        /// How many more each steward, and each trainer past probation, may bring in.
        vouches_max: u32,
    },
}

/// How many rounds there are and how long each waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundSpec {
    /// How many rounds.
    pub count: u64,
    /// How many accepted updates a round needs.
    pub updates_min: u32,
    /// How long a round waits for trainers who said they take part, in milliseconds.
    pub train_ms: u64,
    /// The first timeout of each step of agreement, in milliseconds; it grows with each attempt.
    pub agree_ms: u64,
    /// How many of a round's updates are looked at by other trainers once it is certified.
    pub audits: u32,
    /// Into how many slices a round's aggregate is cut, each worked out by three trainers; 1 for none, so that
    /// every steward works out all of it.
    pub slices: u32,
}

/// What updates look like and how they become a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateSpec {
    /// How updates are written.
    pub update: Encoding,
    /// How a round's change is written for those who have the model before it; exactly, so that they
    /// fetch the whole model, if nothing.
    pub step: Option<Encoding>,
    /// The Euclidean norm above which an update is rejected, in thousandths.
    pub norm_max_milli: u64,
    /// How updates become one change.
    pub rule: Rule,
    /// How that moves the model.
    pub outer: Outer,
}

/// How long a trainer trains in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// So many passes over its admitted samples.
    Epochs(u32),
    /// So many steps of a batch each, whatever it holds (the `H` of DiLoCo).
    Steps(u32),
}

/// A trainer's own training, in integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalSpec {
    /// How long.
    pub work: Work,
    /// Samples in a batch.
    pub batch_size: u32,
    /// The learning rate in millionths.
    pub learning_rate_micro: u32,
    /// The momentum in millionths, below a million.
    pub momentum_micro: u32,
    /// The most samples that count for one update's weight.
    pub weight_max: u64,
}

/// The terms of consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentSpec {
    /// The bytes of the `consent` crate's policy.
    #[serde(with = "serde_bytes")]
    pub policy: Vec<u8>,
    /// The frontier that the first round's trainers must have reached.
    pub frontier: FileHash,
}

impl ConsentSpec {
    /// The hash of the policy, which every update binds.
    pub fn policy_hash(&self) -> FileHash {
        FileHash::of(&self.policy)
    }
}

impl Message for RunSpec {
    const DOMAIN: &'static str = "accord/run/v1";
    const BYTES_MAX: usize = RUN_SPEC_BYTES_MAX;

    fn check(&self, _creator: &PublicKey) -> Result<(), String> {
        check_name("name", &self.name)?;
        check_name("model.repo", &self.model.repo)?;
        in_range("model.parameters", self.model.parameters, 1, PARAMETERS_MAX as u64)?;
        let weights_max = (WEIGHTS_HEADER_BYTES_MAX + 8) as u64 + 4 * self.model.parameters;
        in_range("model.weights_bytes", self.model.weights_bytes, 1, weights_max)?;
        in_range("stewards", self.stewards.len() as u64, 1, STEWARDS_MAX as u64)?;
        sorted_once("stewards", &self.stewards)?;
        self.admission.check()?;
        in_range("rounds.count", self.rounds.count, 1, ROUNDS_MAX)?;
        in_range("rounds.updates_min", self.rounds.updates_min.into(), 1, UPDATES_MAX as u64)?;
        let waits = (ROUND_WAIT_MIN_MS, TRAIN_WAIT_MAX_MS, AGREE_WAIT_MAX_MS);
        self.check_enough()?;
        in_range("rounds.train_ms", self.rounds.train_ms, waits.0, waits.1)?;
        in_range("rounds.agree_ms", self.rounds.agree_ms, waits.0, waits.2)?;
        in_range("rounds.audits", self.rounds.audits.into(), 0, AUDITS_MAX.into())?;
        self.check_slices()?;
        self.aggregate.check(self.model.parameters)?;
        self.local.check()?;
        in_range("consent.policy (bytes)", self.consent.policy.len() as u64, 1, POLICY_BYTES_MAX)
    }
}

impl RunSpec {
    /// Whether as many updates as a round needs can ever come together.
    fn check_enough(&self) -> Result<(), String> {
        let Admission::Invited { trainers, vouches_max: 0 } = &self.admission.who else {
            return Ok(());
        };
        let stewards = self.stewards.iter().filter(|steward| !self.invites(steward)).count();
        let (welcome, updates_min) = (trainers.len() + stewards, self.rounds.updates_min);
        if welcome < updates_min as usize {
            return Err(format!(
                "rounds.updates_min is {updates_min}, but only {welcome} nodes may train and nobody \
                 may invite more: no round could ever be certified"
            ));
        }
        Ok(())
    }

    /// Whether a round can be cut as it says.
    fn check_slices(&self) -> Result<(), String> {
        let (slices, chunks) = (self.rounds.slices, self.update_form().chunks() as u64);
        in_range("rounds.slices", slices.into(), 1, chunks.min(SLICES_MAX.into()))?;
        if slices > 1 && self.aggregate.rule.looks_at_pairs() {
            return Err(format!(
                "rounds.slices is {slices}, but this rule compares whole updates with each other; cut are \
                 clipped mean, trimmed mean and median"
            ));
        }
        if slices > 1 && self.aggregate.step.is_none() {
            return Err(format!(
                "rounds.slices is {slices}, but the run has no encoding for steps, by which slices are put \
                 together"
            ));
        }
        Ok(())
    }

    /// What every update of the run looks like.
    pub fn update_form(&self) -> UpdateForm {
        let parameters = self.model.parameters as usize;
        UpdateForm { encoding: self.aggregate.update, parameters }
    }

    /// Whether the spec itself invites this trainer.
    pub fn invites(&self, trainer: &PublicKey) -> bool {
        match &self.admission.who {
            Admission::Open => false,
            Admission::Invited { trainers, .. } => trainers.binary_search(trainer).is_ok(),
        }
    }

    /// How a round is aggregated whose chance comes from `seed`.
    pub fn plan(&self, seed: [u8; 32]) -> Plan {
        let AggregateSpec { step, rule, outer, .. } = self.aggregate;
        Plan { update: self.update_form(), step, rule, outer, seed }
    }
}

impl AdmissionSpec {
    fn check(&self) -> Result<(), String> {
        let rounds = self.probation_rounds;
        in_range("admission.probation_rounds", rounds.into(), 0, PROBATION_ROUNDS_MAX.into())?;
        let Admission::Invited { trainers, vouches_max } = &self.who else { return Ok(()) };
        if trainers.is_empty() && *vouches_max == 0 {
            return Err("admission: nobody is invited and nobody may invite".into());
        }
        in_range("admission.trainers", trainers.len() as u64, 0, TRAINERS_INVITED_MAX as u64)?;
        in_range("admission.vouches_max", (*vouches_max).into(), 0, VOUCHES_MAX.into())?;
        sorted_once("admission.trainers", trainers)
    }
}

impl AggregateSpec {
    fn check(&self, parameters: u64) -> Result<(), String> {
        let named = |field: &str, error| format!("aggregate.{field}: {error}");
        self.update.check(parameters).map_err(|error| named("update", error))?;
        if let Some(step) = &self.step {
            step.check(parameters).map_err(|error| named("step", error))?;
        }
        in_range("aggregate.norm_max_milli", self.norm_max_milli, 1, NORM_MAX_MILLI)?;
        self.rule.check()?;
        self.outer.check()
    }
}

impl LocalSpec {
    fn check(&self) -> Result<(), String> {
        match self.work {
            Work::Epochs(epochs) => {
                in_range("local.epochs", epochs.into(), 1, LOCAL_EPOCHS_MAX.into())?;
            }
            Work::Steps(steps) => in_range("local.steps", steps.into(), 1, LOCAL_STEPS_MAX.into())?,
        }
        in_range("local.batch_size", self.batch_size.into(), 1, BATCH_SAMPLES_MAX as u64)?;
        let (rate, momentum) = (self.learning_rate_micro, self.momentum_micro);
        in_range("local.learning_rate_micro", rate.into(), 1, LEARNING_RATE_MAX_MICRO.into())?;
        in_range("local.momentum_micro", momentum.into(), 0, MOMENTUM_MAX_MICRO.into())?;
        in_range("local.weight_max", self.weight_max, 1, WEIGHT_MAX)
    }
}

/// The id of a run.
pub fn run_id(spec: &Signed<RunSpec>) -> RunId {
    RunId::from_bytes(*spec.id().as_bytes())
}

/// What the first round names as the record before it: the run itself.
pub fn genesis(run: RunId) -> RoundId {
    RoundId::from_bytes(*run.as_bytes())
}

/// A node's word on whether it trains in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The run.
    pub run: RunId,
    /// Whether it takes part from now on.
    pub joined: bool,
    /// When it said so, in its own milliseconds since 1970: the newest word of a node counts.
    pub said_ms: u64,
    /// Where its data plane listens, as `ip:port`, for those who want its updates and are not connected to it;
    /// none if it does not say.
    pub addresses: Vec<String>,
}

impl Message for Presence {
    const DOMAIN: &'static str = "accord/presence/v1";
    const BYTES_MAX: usize = PRESENCE_BYTES_MAX;

    fn check(&self, _trainer: &PublicKey) -> Result<(), String> {
        let is_address = |text: &String| text.parse::<SocketAddr>().is_ok();
        if self.addresses.len() > PRESENCE_ADDRESSES_MAX || !self.addresses.iter().all(is_address) {
            return Err(format!(
                "a presence has at most {PRESENCE_ADDRESSES_MAX} addresses ip:port"
            ));
        }
        Ok(())
    }
}

/// A node's word that a trainer may come in; its signer vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The run.
    pub run: RunId,
    /// Who may come.
    pub trainer: PublicKey,
}

impl Message for Invitation {
    const DOMAIN: &'static str = "accord/invitation/v1";
    const BYTES_MAX: usize = INVITATION_BYTES_MAX;

    fn check(&self, voucher: &PublicKey) -> Result<(), String> {
        if self.trainer == *voucher {
            return Err("nobody vouches for itself".into());
        }
        Ok(())
    }
}

/// Whether `name` can name a repo or a run: what hub clients accept as one part of a repo id.
pub fn check_name(field: &str, name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edges = name.bytes().next().zip(name.bytes().last());
    let good_edges =
        edges.is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric());
    if name.len() <= NAME_BYTES_MAX
        && good_edges
        && name.bytes().all(allowed)
        && !name.contains("..")
        && !name.contains("--")
        && !name.ends_with(".git")
    {
        return Ok(());
    }
    Err(format!(
        "{field} is {name:?}: 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 . _ - are allowed, \
         letters or digits at both ends, no \"..\", \"--\" or \".git\""
    ))
}

fn in_range(field: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(format!("{field} is {value}: {min} to {max} are allowed"))
    }
}

fn sorted_once(field: &str, keys: &[PublicKey]) -> Result<(), String> {
    if keys.windows(2).all(|pair| pair[0] < pair[1]) {
        Ok(())
    } else {
        Err(format!("{field} must be sorted and name nobody twice"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::key::SecretKey;

    /// A run of these stewards that passes every check.
    pub(crate) fn spec(stewards: &[PublicKey]) -> RunSpec {
        let mut stewards = stewards.to_vec();
        stewards.sort();
        RunSpec {
            name: "digits".into(),
            model: ModelSpec {
                weights: FileHash::of(b"weights"),
                weights_bytes: 1,
                parameters: 4,
                config: FileHash::of(b"{}"),
                repo: "digits".into(),
                held_out: None,
            },
            stewards,
            admission: AdmissionSpec { who: Admission::Open, probation_rounds: 0 },
            rounds: RoundSpec {
                count: 3,
                updates_min: 1,
                train_ms: 1_000,
                agree_ms: 100,
                audits: 2,
                slices: 1,
            },
            aggregate: AggregateSpec {
                update: Encoding::Int8,
                step: Some(Encoding::Int8),
                norm_max_milli: 100_000,
                rule: Rule::ClippedMean { norm_max_milli: 10_000, median_milli: 0 },
                outer: Outer::Average,
            },
            local: LocalSpec {
                work: Work::Epochs(1),
                batch_size: 32,
                learning_rate_micro: 50_000,
                momentum_micro: 0,
                weight_max: 1_000,
            },
            consent: ConsentSpec { policy: vec![0], frontier: FileHash::of(b"") },
            created_ms: 1,
        }
    }

    #[test]
    fn a_spec_out_of_range_says_which_field_and_what_is_allowed() {
        let key = SecretKey::from_seed(&[1; 32]);
        let good = spec(&[key.public()]);
        assert_eq!(good.check(&key.public()), Ok(()));
        let mut bad = good.clone();
        bad.rounds.count = 0;
        let said = bad.check(&key.public()).expect_err("no rounds");
        assert_eq!(said, "rounds.count is 0: 1 to 1000000 are allowed");
        let mut bad = good.clone();
        bad.stewards = vec![key.public(), key.public()];
        assert!(bad.check(&key.public()).expect_err("twice").contains("stewards"));
        let mut bad = good;
        bad.name = "../etc".into();
        assert!(bad.check(&key.public()).expect_err("a path").contains("name is \"../etc\""));
    }

    #[test]
    fn a_spec_that_could_never_certify_a_round_is_refused() {
        let [steward, trainer] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]).public());
        let mut run = spec(&[steward]);
        let who = |vouches_max| Admission::Invited { trainers: vec![trainer], vouches_max };
        run.admission.who = who(0);
        run.rounds.updates_min = 2;
        assert_eq!(run.check(&steward), Ok(()), "the steward may train, too");
        run.rounds.updates_min = 3;
        let said = run.check(&steward).expect_err("two at most");
        assert!(said.starts_with("rounds.updates_min is 3, but only 2 nodes may train"), "{said}");
        run.admission.who = who(1);
        assert_eq!(run.check(&steward), Ok(()));
    }

    #[test]
    fn a_round_that_cannot_be_cut_is_refused() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let mut run = spec(&[key]);
        let mut said = |change: fn(&mut RunSpec)| {
            run.model.parameters = 4 * 4096;
            run.rounds.slices = 4;
            change(&mut run);
            run.check(&key)
        };
        assert_eq!(said(|_| {}), Ok(()));
        let few = said(|run| run.model.parameters -= 4096).expect_err("three chunks");
        assert_eq!(few, "rounds.slices is 4: 1 to 3 are allowed");
        let pairs = said(|run| run.aggregate.rule = Rule::Krum { hostile_milli: 200 });
        assert!(pairs.expect_err("pairs").contains("compares whole updates"));
        let steps = said(|run| {
            run.aggregate.rule = Rule::Median;
            run.aggregate.step = None;
        });
        assert!(steps.expect_err("no steps").contains("no encoding for steps"));
    }

    #[test]
    fn two_runs_alike_but_for_their_birth_are_two() {
        let key = SecretKey::from_seed(&[1; 32]);
        let one = Signed::sign(spec(&[key.public()]), &key);
        let mut later = spec(&[key.public()]);
        later.created_ms += 1;
        let other = Signed::sign(later, &key);
        assert_ne!(run_id(&one), run_id(&other));
        assert_eq!(Signed::<RunSpec>::open(one.bytes()), Ok(one));
    }
}
