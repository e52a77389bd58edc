//! The work that begins a feed, on all cores.
//!
//! Invariants: the number found has the work asked for. What it is not: always the same number;
//! which one is found depends on the cores, and any will do.

use consent::Genesis;
use protocol::FeedId;
use rayon::prelude::*;

/// Numbers that one core tries before it looks whether another has found one.
const WORK_CHUNK: u64 = 1 << 14;

/// The genesis with a number that has at least `bits` of work.
pub(super) fn worked(genesis: Genesis, feed: FeedId, bits: u32) -> Genesis {
    let chunks = (0..u64::MAX / WORK_CHUNK).into_par_iter();
    let found = chunks.find_map_any(|chunk| {
        let at = Genesis { work: chunk * WORK_CHUNK, ..genesis };
        at.worked_within(feed, bits, WORK_CHUNK)
    });
    found.unwrap_or_else(|| genesis.worked(feed, bits))
}
