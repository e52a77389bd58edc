//! A scenario written down: who takes part and what goes wrong when, the same for simulated nodes and for
//! real processes.
//!
//! ```toml
//! name = "split"
//! nodes = 4                # each a steward and a trainer; a round needs the updates of all
//! rounds = 60
//! agree_ms = 200
//!
//! [[faults]]
//! at_ms = 1000
//! for_ms = 4000
//! what = "split"           # or one-way, loss, lag, crash
//! side = [0, 1]
//! ```
//!
//! Invariants: what is certified does not depend on when anything happens, since every round needs all
//! updates: two worlds that both keep the protocol's promises certify the same records.
//! What it is not: drawn from a seed (see `fault`).

use serde::Deserialize;

use super::partition::{Cut, NodeSet, Shape};
use super::plan::{Fault, Plan, Wrong};
use super::scenario::{Cast, Scenario, Size, Trouble};

/// Nodes of a script: each may be a process.
const NODES_MAX: usize = 16;

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What it is called.
    pub name: String,
    /// How many nodes there are.
    pub nodes: usize,
    /// Rounds of the run.
    pub rounds: u64,
    /// The first timeout of each step of agreement, in milliseconds.
    pub agree_ms: u64,
    /// How many kilobits a second each node sends; as many as it can, if nothing. Simulated links have
    /// no rate.
    pub rate_kbit: Option<u32>,
    /// What goes wrong, by when it begins.
    #[serde(default)]
    pub faults: Vec<Mishap>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mishap {
    /// When it begins, in milliseconds after the first trainer joins.
    pub at_ms: u64,
    /// How long it lasts.
    pub for_ms: u64,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What can go wrong in both worlds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// These cannot hear the others, nor the others them.
    Split {
        /// Which.
        side: Vec<usize>,
    },
    /// What these say does not reach the others, whom they hear.
    OneWay {
        /// Which.
        side: Vec<usize>,
    },
    /// So many packets of a thousand are lost.
    Loss {
        /// Of a thousand.
        milli: u32,
    },
    /// So many packets of a thousand come late, after those sent later.
    Lag {
        /// Of a thousand.
        milli: u32,
        /// How late at most, in milliseconds.
        ms: u64,
    },
    /// A node is killed, and started again when the time is over.
    Crash {
        /// Which.
        node: usize,
    },
}

impl Script {
    /// Reads a scenario file. An error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let script: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if !(1..=NODES_MAX).contains(&script.nodes) || script.rounds == 0 {
            return Err(format!("a scenario has 1 to {NODES_MAX} nodes and at least one round"));
        }
        let named = |fault: &Mishap| match &fault.what {
            What::Split { side } | What::OneWay { side } => side.clone(),
            What::Crash { node } => vec![*node],
            What::Loss { .. } | What::Lag { .. } => Vec::new(),
        };
        match script.faults.iter().flat_map(named).find(|node| *node >= script.nodes) {
            Some(node) => Err(format!("there is no node {node}: they are counted from 0")),
            None => Ok(script),
        }
    }

    /// When the last fault is over.
    pub fn heals_ms(&self) -> u64 {
        self.faults.iter().map(|fault| fault.at_ms + fault.for_ms).max().unwrap_or(0)
    }

    /// The bounds of its simulation.
    pub(super) fn scenario(&self) -> Scenario {
        Scenario {
            name: "staged",
            cast: Cast { stewards: self.nodes, trainers: 0, onlookers: 0 },
            rounds: (self.rounds, self.rounds),
            updates_min: self.nodes as u32,
            train_ms: 400,
            agree_ms: (self.agree_ms, self.agree_ms),
            heals_ms: (self.heals_ms(), self.heals_ms()),
            recovery_ms: 1_000 * self.rounds + 60_000,
            trouble: Trouble::NONE,
            size: Size::TINY,
            mesh: None,
            defect: None,
        }
    }

    /// What goes wrong in its simulation.
    pub(super) fn plan(&self) -> Plan {
        let set = |side: &[usize]| NodeSet::of(self.nodes, side);
        let cut = |shape, side: &[usize]| Wrong::Split(Cut { shape, side: set(side) });
        let fault = |(index, fault): (usize, &Mishap)| Fault {
            index: index as u32,
            from_ms: fault.at_ms,
            until_ms: fault.at_ms + fault.for_ms,
            wrong: match &fault.what {
                What::Split { side } => cut(Shape::Any, side),
                What::OneWay { side } => cut(Shape::OneWay, side),
                What::Loss { milli } => Wrong::Loss { milli: *milli },
                What::Lag { milli, ms } => Wrong::Lag { milli: *milli, ms: *ms },
                What::Crash { node } => Wrong::Crash { node: *node },
            },
        };
        let faults = self.faults.iter().enumerate().map(fault).collect();
        Plan { heals_ms: self.heals_ms(), starts_ms: vec![0; self.nodes], faults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_its_mistakes_are_named() {
        let head = "name = \"x\"\nnodes = 3\nrounds = 2\nagree_ms = 100\n";
        let file = format!(
            "{head}[[faults]]\nat_ms = 5\nfor_ms = 10\nwhat = \"one-way\"\nside = [2]\n\
             [[faults]]\nat_ms = 1\nfor_ms = 3\nwhat = \"crash\"\nnode = 1\n"
        );
        let script = Script::parse(&file).expect("a scenario");
        assert_eq!((script.heals_ms(), script.faults.len()), (15, 2));
        assert_eq!(script.plan().faults[0].until_ms, 15);
        let wrong = |text: String| Script::parse(&text).expect_err("wrong");
        assert!(wrong(file.replace("[2]", "[3]")).contains("no node 3"));
        assert!(wrong(file.replace("one-way", "sideways")).contains("sideways"));
        assert!(wrong(format!("{head}rate = 3\n")).contains("rate"));
        assert!(wrong(head.replace("nodes = 3", "nodes = 0")).contains("at least one round"));
    }
}
