//! What is simulated: who takes part, for how long, and how bad it may get.
//!
//! Invariants: a scenario holds bounds; the seed draws what happens within them.
//! What it is not: the run's `RunSpec`, which `facts` makes from it.

/// Bounds of a simulated run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// Who takes part.
    pub cast: Cast,
    /// The fewest and the most rounds of the run.
    pub rounds: (u64, u64),
    /// Accepted updates that a round needs.
    pub updates_min: u32,
    /// How long a round waits for its trainers, in milliseconds.
    pub train_ms: u64,
    /// The least and the most first timeout of each step of agreement, in milliseconds. Where it is
    /// shorter than the network is slow, attempts fail in every way there is.
    pub agree_ms: (u64, u64),
    /// The earliest and the latest end of all faults, in milliseconds.
    pub heals_ms: (u64, u64),
    /// How long the run may take after that, in milliseconds.
    pub recovery_ms: u64,
    /// The most crashes.
    pub crashes_max: u32,
    /// The most statements of contributors in the middle of the run.
    pub denies_max: u32,
    /// A mistake planted to see the checker find it.
    pub defect: Option<Defect>,
}

/// How many of each; they are numbered in this order.
#[derive(Debug, Clone, Copy)]
pub struct Cast {
    /// Nodes that vote; in some seeds one of them trains as well.
    pub stewards: usize,
    /// Nodes that train.
    pub trainers: usize,
    /// Nodes that come late and only follow.
    pub onlookers: usize,
}

/// Mistakes that a driver of the round could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Messages leave before what they follow from is durable.
    SendUnsynced,
    /// A node starts again without its journal.
    ForgetJournal,
    /// Trainers use works without asking the gate.
    SkipGate,
    /// Stewards take every record for recomputed.
    TrustRecords,
    /// Stewards vote for records that bind a ledger which they have not seen.
    SkipReach,
    /// Nobody answers those who ask for certificates.
    IgnoreCatchUp,
}

impl Scenario {
    /// Four stewards, six trainers and a late onlooker: what every test run simulates most of.
    pub fn small() -> Self {
        Self {
            name: "small",
            cast: Cast { stewards: 4, trainers: 6, onlookers: 1 },
            rounds: (5, 8),
            updates_min: 3,
            train_ms: 1_500,
            agree_ms: (15, 250),
            heals_ms: (4_000, 16_000),
            recovery_ms: 60_000,
            crashes_max: 12,
            denies_max: 6,
            defect: None,
        }
    }

    /// One steward: the same path with nobody to agree with.
    pub fn lone() -> Self {
        let cast = Cast { stewards: 1, trainers: 3, onlookers: 1 };
        Self { name: "lone", cast, updates_min: 2, ..Self::small() }
    }

    /// Seven stewards, of whom five must agree.
    pub fn wide() -> Self {
        let cast = Cast { stewards: 7, trainers: 4, onlookers: 2 };
        Self { name: "wide", cast, rounds: (3, 4), updates_min: 2, ..Self::small() }
    }

    /// Every scenario.
    pub fn all() -> [Self; 3] {
        [Self::small(), Self::lone(), Self::wide()]
    }

    /// The same with a mistake planted.
    pub fn with(self, defect: Defect) -> Self {
        Self { defect: Some(defect), ..self }
    }
}

impl Cast {
    /// How many there are.
    pub fn nodes(&self) -> usize {
        self.stewards + self.trainers + self.onlookers
    }
}
