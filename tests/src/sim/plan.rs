//! What goes wrong, and when: a value drawn from the seed before the run starts.
//!
//! Every fault has its place in the plan for a name, so that a run can be had again without some of
//! them: nothing else is drawn anew then.
//!
//! Invariants: nothing goes wrong after the healing but that liars lie and clocks drift; what was
//! switched off is on again by then, but for a steward that is lost. Of stewards that are lost or lie
//! there are fewer than a third. What it is not: delay, which is the network's own.

use std::collections::BTreeSet;
use std::fmt;

use super::byzantine::Lie;
use super::partition::Cut;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its place in the whole plan.
    pub index: u32,
    /// When it begins.
    pub from_ms: u64,
    /// When it ends; as it begins, if it takes no time.
    pub until_ms: u64,
    /// What it is.
    pub wrong: Wrong,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// So many packets of a thousand are lost.
    Loss {
        /// Of a thousand.
        milli: u32,
    },
    /// So many packets of a thousand arrive twice.
    Doubling {
        /// Of a thousand.
        milli: u32,
    },
    /// So many packets of a thousand come late, after those sent later.
    Lag {
        /// Of a thousand.
        milli: u32,
        /// How late at most.
        ms: u64,
    },
    /// Some cannot hear others.
    Split(Cut),
    /// A node dies.
    Crash {
        /// Which.
        node: usize,
    },
    /// A node dies after so many more effects.
    Fuse {
        /// Which.
        node: usize,
        /// How many.
        effects: u32,
    },
    /// A node dies when it has journaled so many entries.
    AtPersist {
        /// Which.
        node: usize,
        /// How many.
        nth: u64,
        /// Whether the last of them is durable.
        kept: bool,
    },
    /// A steward is gone for ever, with its disk.
    Destroy {
        /// Which.
        node: usize,
    },
    /// A trainer is out of the run for a while.
    Leave {
        /// Which.
        node: usize,
    },
    /// A contributor refuses training on some works.
    Deny {
        /// Which.
        contributor: usize,
    },
    /// A node's steady clock is fast (or slow, below zero) by so many millionths, for ever.
    Drift {
        /// Which.
        node: usize,
        /// Millionths.
        ppm: i64,
    },
    /// A node's time of day is set forward, or back.
    DayJump {
        /// Which.
        node: usize,
        /// By how much.
        by_ms: i64,
    },
    /// A node's work takes so many times as long.
    SlowWork {
        /// Which.
        node: usize,
        /// How many times.
        times: u64,
    },
    /// A node's disk takes so long for each write.
    SlowDisk {
        /// Which.
        node: usize,
        /// How long.
        ms: u64,
    },
    /// Trainers are invited, and this one is not.
    Uninvited {
        /// Which.
        node: usize,
    },
    /// A node lies, for ever.
    Lies {
        /// Which.
        node: usize,
        /// How.
        lie: Lie,
    },
}

/// All that goes wrong in one run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When all faults end.
    pub heals_ms: u64,
    /// When each node starts first.
    pub(super) starts_ms: Vec<u64>,
    /// By index.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// The same with some left out.
    pub fn without(mut self, left_out: &BTreeSet<u32>) -> Self {
        self.faults.retain(|fault| !left_out.contains(&fault.index));
        self
    }

    /// The fault with this index, unless it is left out.
    pub(super) fn fault(&self, index: u32) -> Option<&Fault> {
        let at = self.faults.binary_search_by_key(&index, |fault| fault.index).ok()?;
        self.faults.get(at)
    }

    /// How a node lies; not at all if it is honest.
    pub fn lies_of(&self, node: usize) -> BTreeSet<Lie> {
        let lie = |fault: &Fault| match fault.wrong {
            Wrong::Lies { node: of, lie } if of == node => Some(lie),
            _ => None,
        };
        self.faults.iter().filter_map(lie).collect()
    }

    /// Who is not invited, if anyone is.
    pub(super) fn uninvited(&self) -> Option<usize> {
        self.faults.iter().find_map(|fault| match fault.wrong {
            Wrong::Uninvited { node } => Some(node),
            _ => None,
        })
    }
}

impl Wrong {
    /// What it is counted as, if the plan is where to count it.
    pub(super) fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Split(cut) => cut.shape.name(),
            Self::Destroy { .. } => "steward lost for good",
            Self::Leave { .. } => "trainer away",
            Self::Drift { ppm, .. } if *ppm < 0 => "slow steady clock",
            Self::Drift { .. } => "fast steady clock",
            Self::DayJump { by_ms, .. } if *by_ms < 0 => "day clock set back",
            Self::DayJump { .. } => "day clock set forward",
            Self::SlowWork { .. } => "slow worker",
            Self::SlowDisk { .. } => "slow disk",
            Self::Uninvited { .. } => "trainer without invitation",
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, from_ms, until_ms, wrong } = self;
        if until_ms > from_ms {
            write!(f, "#{index} from {from_ms} to {until_ms} ms: {wrong:?}")
        } else {
            write!(f, "#{index} at {from_ms} ms: {wrong:?}")
        }
    }
}
