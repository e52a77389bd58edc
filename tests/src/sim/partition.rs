//! Partitions: who cannot hear whom for a while.
//!
//! Invariants: any number of nodes; nobody is ever cut off from itself. What it is not: loss, which is
//! by chance and for all.

use std::fmt;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Members named before a set is cut short for people.
const NAMED_MAX: usize = 12;

/// How a network falls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Into two halves.
    Half,
    /// Into seven tenths and three.
    Third,
    /// One node, and all others.
    Alone,
    /// Any two parts.
    Any,
    /// Any two parts, of which the first hears the second and is not heard by it.
    OneWay,
}

/// Some of the nodes.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeSet(Vec<bool>);

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// How it looks.
    pub shape: Shape,
    /// The first part.
    pub side: NodeSet,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 5] = [Self::Half, Self::Third, Self::Alone, Self::Any, Self::OneWay];

    /// What it is counted as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Half => "partition 50/50",
            Self::Third => "partition 70/30",
            Self::Alone => "partition of one",
            Self::Any => "partition by chance",
            Self::OneWay => "one-way partition",
        }
    }
}

impl NodeSet {
    /// These of so many nodes.
    pub(super) fn of(nodes: usize, members: &[usize]) -> Self {
        Self((0..nodes).map(|node| members.contains(&node)).collect())
    }

    /// Whether the node is in it.
    pub fn has(&self, node: usize) -> bool {
        self.0.get(node).copied().unwrap_or(false)
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<usize> = (0..self.0.len()).filter(|node| self.has(*node)).collect();
        match members.len() {
            0..=NAMED_MAX => write!(f, "{members:?}"),
            many => write!(f, "{many} of {}", self.0.len()),
        }
    }
}

impl Cut {
    /// A partition of so many nodes. The stewards come first among them, and are divided like all:
    /// what matters is who of them still hears whom.
    pub(super) fn draw(rng: &mut ChaCha8Rng, stewards: usize, nodes: usize) -> Self {
        let shape = Shape::ALL[rng.random_range(0..Shape::ALL.len())];
        let mut side = vec![false; nodes];
        match shape {
            Shape::Half => divide(rng, &mut side, stewards, 50),
            Shape::Third => divide(rng, &mut side, stewards, 30),
            // Rather a steward than any.
            Shape::Alone if rng.random_bool(0.5) => side[rng.random_range(0..stewards)] = true,
            Shape::Alone => side[rng.random_range(0..nodes)] = true,
            Shape::Any | Shape::OneWay => side.fill_with(|| rng.random_bool(0.5)),
        }
        Self { shape, side: NodeSet(side) }
    }

    /// Whether nothing gets from one to the other.
    pub(super) fn parts(&self, from: usize, to: usize) -> bool {
        match self.shape {
            Shape::OneWay => self.side.has(from) && !self.side.has(to),
            _ => self.side.has(from) != self.side.has(to),
        }
    }
}

/// Puts so many of a hundred on the side, of the stewards and of the others alike.
fn divide(rng: &mut ChaCha8Rng, side: &mut [bool], stewards: usize, percent: usize) {
    let (first, rest) = side.split_at_mut(stewards);
    for part in [first, rest] {
        let count = (part.len() * percent + rng.random_range(0..100)) / 100;
        let count = count.min(part.len());
        part[..count].fill(true);
        part.shuffle(rng);
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_cut_of_many_nodes_divides_as_it_says() {
        let mut rng = ChaCha8Rng::from_seed([3; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let cut = Cut::draw(&mut rng, 7, 1_000);
            let count = (0..1_000).filter(|node| cut.side.has(*node)).count();
            let fits = match cut.shape {
                Shape::Half => (499..=502).contains(&count),
                Shape::Third => (299..=302).contains(&count),
                Shape::Alone => count == 1,
                Shape::Any | Shape::OneWay => (400..600).contains(&count),
            };
            assert!(fits, "{cut:?}");
            assert!((0..1_000).all(|node| !cut.parts(node, node)));
            seen.insert(cut.shape);
        }
        assert_eq!(seen.len(), Shape::ALL.len());
    }

    #[test]
    fn one_way_is_one_way() {
        let cut = Cut { shape: Shape::OneWay, side: NodeSet(vec![true, false]) };
        assert!(cut.parts(0, 1) && !cut.parts(1, 0));
    }
}
