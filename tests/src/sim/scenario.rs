//! What is simulated: who takes part, for how long, and how bad it may get.
//!
//! Invariants: a scenario holds bounds; the seed draws what happens within them.
//! What it is not: the run's `RunSpec`, which `facts` makes from it.

/// Neighbours in a mesh, about as many as gossipsub has.
const MESH_DEGREE: usize = 8;

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
    /// What may go wrong until then.
    pub trouble: Trouble,
    /// How large the model is, and whether its rounds are cut.
    pub size: Size,
    /// How many neighbours a node passes on to what is for everyone; straight to all, if nothing.
    pub mesh: Option<usize>,
    /// A mistake planted to see the checker find it.
    pub defect: Option<Defect>,
}

/// A model's size.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Chunks of the model; a tiny one of less than a chunk, if nothing.
    pub chunks: Option<u32>,
    /// Into how many slices rounds are cut; 1 for none.
    pub slices: u32,
}

impl Size {
    /// Less than a chunk, not cut.
    pub const TINY: Self = Self { chunks: None, slices: 1 };
}

/// Bounds of what goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// Whether packets are lost, doubled and late.
    pub network: bool,
    /// The most partitions.
    pub splits_max: u32,
    /// The most crashes.
    pub crashes_max: u32,
    /// The most statements of contributors in the middle of the run.
    pub denies_max: u32,
    /// Whether clocks are off, nodes slow, and trainers away.
    pub clocks: bool,
    /// The most liars among stewards, who are always fewer than a third, and among trainers.
    pub liars: (usize, usize),
}

impl Trouble {
    /// Everything.
    pub const ALL: Self = Self {
        network: true,
        splits_max: 3,
        crashes_max: 12,
        denies_max: 6,
        clocks: true,
        liars: (2, 2),
    };
    /// Nothing.
    pub const NONE: Self = Self {
        network: false,
        splits_max: 0,
        crashes_max: 0,
        denies_max: 0,
        clocks: false,
        liars: (0, 0),
    };
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
    /// Nobody looks at whose signature a vote carries.
    TrustVotes,
    /// Nobody counts the votes of a certificate that a peer hands out.
    TrustCertificates,
    /// Nobody compares bytes that a peer sends with the hash that was asked for.
    TrustBytes,
    /// Stewards call every update good without a look.
    SkipCheck,
    /// Half of the stewards have two faces, which no protocol of this kind survives.
    TooManyLiars,
}

impl Defect {
    /// Every mistake.
    pub const ALL: [Self; 11] = [
        Self::SendUnsynced,
        Self::ForgetJournal,
        Self::SkipGate,
        Self::TrustRecords,
        Self::SkipReach,
        Self::IgnoreCatchUp,
        Self::TrustVotes,
        Self::TrustCertificates,
        Self::TrustBytes,
        Self::SkipCheck,
        Self::TooManyLiars,
    ];

    /// What it is called.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
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
            trouble: Trouble::ALL,
            size: Size::TINY,
            mesh: None,
            defect: None,
        }
    }

    /// Rounds in four slices, each worked out by three of ten trainers.
    pub fn sliced() -> Self {
        let cast = Cast { stewards: 4, trainers: 10, onlookers: 0 };
        let (rounds, agree_ms) = ((4, 6), (250, 1_500));
        let size = Size { chunks: Some(4), slices: 4 };
        Self { name: "sliced", cast, rounds, agree_ms, size, ..Self::small() }
    }

    /// One steward: the same path with nobody to agree with.
    pub fn lone() -> Self {
        let cast = Cast { stewards: 1, trainers: 3, onlookers: 1 };
        let trouble = Trouble { liars: (0, 1), ..Trouble::ALL };
        Self { name: "lone", cast, updates_min: 2, trouble, ..Self::small() }
    }

    /// Seven stewards, of whom five must agree.
    pub fn wide() -> Self {
        let cast = Cast { stewards: 7, trainers: 4, onlookers: 2 };
        let trouble = Trouble { liars: (2, 1), ..Trouble::ALL };
        Self { name: "wide", cast, rounds: (3, 4), updates_min: 2, trouble, ..Self::small() }
    }

    /// Two rounds of four stewards and three trainers in which nothing goes wrong of itself: room for
    /// a crash at every entry of a journal.
    pub fn calm() -> Self {
        let cast = Cast { stewards: 4, trainers: 3, onlookers: 0 };
        let trouble = Trouble::NONE;
        let heals_ms = (30_000, 30_000);
        let (rounds, updates_min) = ((2, 2), 2);
        Self { name: "calm", cast, rounds, updates_min, heals_ms, trouble, ..Self::small() }
    }

    /// A hundred nodes and everything that can go wrong.
    pub fn hundred() -> Self {
        let cast = Cast { stewards: 7, trainers: 40, onlookers: 53 };
        let trouble = Trouble { liars: (2, 10), crashes_max: 40, ..Trouble::ALL };
        let rounds = (2, 3);
        Self { name: "hundred", cast, rounds, updates_min: 15, trouble, ..Self::small() }
    }

    /// A thousand nodes and everything that can go wrong.
    pub fn thousand() -> Self {
        let cast = Cast { stewards: 7, trainers: 60, onlookers: 933 };
        let trouble = Trouble { liars: (2, 15), crashes_max: 100, ..Trouble::ALL };
        let (rounds, heals_ms) = ((1, 2), (4_000, 6_000));
        let agree_ms = (250, 1_000);
        let hundred = Self::hundred();
        Self {
            name: "thousand",
            cast,
            rounds,
            updates_min: 20,
            trouble,
            heals_ms,
            agree_ms,
            ..hundred
        }
    }

    /// Sizes of the meshes that have a name.
    pub const MESHES: [usize; 4] = [10, 100, 1_000, 10_000];

    /// As many nodes as one likes on a mesh of bounded degree, where nothing goes wrong: a committee of
    /// a few stewards, some hundred trainers, and the others follow.
    pub fn mesh(nodes: usize) -> Self {
        let name = match nodes {
            10 => "mesh-10",
            100 => "mesh-100",
            1_000 => "mesh-1000",
            10_000 => "mesh-10000",
            _ => "mesh",
        };
        let stewards = if nodes < 50 { 4 } else { 7 };
        let trainers = (nodes - stewards).min(200);
        let cast = Cast { stewards, trainers, onlookers: nodes - stewards - trainers };
        Self {
            name,
            cast,
            rounds: (2, 2),
            updates_min: trainers as u32 / 2,
            // Rounds of a minute: what a run costs to simulate is its messages, not its time.
            train_ms: 60_000,
            agree_ms: (15_000, 15_000),
            heals_ms: (2_000, 2_000),
            recovery_ms: 900_000,
            trouble: Trouble::NONE,
            size: Size::TINY,
            mesh: Some(MESH_DEGREE),
            defect: None,
        }
    }

    /// So many trainers on such a mesh with a model of so many chunks, whose rounds are cut in so many slices.
    pub fn cut(trainers: usize, chunks: u32, slices: u32, rounds: u64) -> Self {
        let cast = Cast { stewards: 7, trainers, onlookers: 0 };
        let size = Size { chunks: Some(chunks), slices };
        let (updates_min, rounds) = (trainers as u32 / 2, (rounds, rounds));
        Self { name: "cut", cast, updates_min, size, rounds, ..Self::mesh(7 + trainers) }
    }

    /// Ten thousand nodes on a mesh that loses, doubles and falls apart, with crashes.
    pub fn ten_thousand() -> Self {
        let trouble = Trouble { network: true, splits_max: 1, crashes_max: 200, ..Trouble::NONE };
        let heals_ms = (20_000, 40_000);
        Self { name: "ten-thousand", trouble, heals_ms, ..Self::mesh(10_000) }
    }

    /// Every scenario that has a name.
    pub fn all() -> [Self; 12] {
        let [small, lone, wide] = [Self::small(), Self::lone(), Self::wide()];
        let many = [Self::hundred(), Self::thousand(), Self::ten_thousand()];
        let [hundred, thousand, ten_thousand] = many;
        let [tiny, little, large, huge] = Self::MESHES.map(Self::mesh);
        let [calm, sliced] = [Self::calm(), Self::sliced()];
        [
            small,
            sliced,
            lone,
            wide,
            calm,
            hundred,
            thousand,
            ten_thousand,
            tiny,
            little,
            large,
            huge,
        ]
    }

    /// The scenario with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
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
