//! Commits of the round under way as this node heard them, so that what the accepted ones say can
//! be shown when the round is certified.
//!
//! Invariants: of a trainer one for the round and one that is late for the round before, at most
//! `UPDATES_MAX` trainers; only what a certificate accepted is ever stored. What it is not: the
//! stewards' tally, which decides.

use std::collections::BTreeMap;

use protocol::limits::UPDATES_MAX;
use protocol::round::{RoundRecord, Tip, UpdateCommit, commit_id};
use protocol::{PublicKey, RoundId, Signed};

/// Commits by trainer and round.
#[derive(Debug, Default)]
pub(super) struct Heard {
    tip: Option<RoundId>,
    commits: BTreeMap<(PublicKey, u64), Signed<UpdateCommit>>,
}

impl Heard {
    /// Notes a verified commit, if it may count in the round after `tip`.
    pub(super) fn hear(&mut self, tip: &Tip, commit: &Signed<UpdateCommit>) {
        if self.tip.replace(tip.id) != Some(tip.id) {
            self.commits.clear();
        }
        let place = (commit.signer(), commit.value().round);
        let fits = commit.value().base == tip.id || tip.takes_late(commit);
        let room = self.commits.contains_key(&place) || self.commits.len() < 2 * UPDATES_MAX;
        if fits && room {
            self.commits.insert(place, commit.clone());
        }
    }

    /// The envelopes of the commits that `record` accepted; the rest is forgotten.
    pub(super) fn accepted(&mut self, record: &RoundRecord) -> Vec<Vec<u8>> {
        let commits = std::mem::take(&mut self.commits);
        let accepted = record.accepted.iter().filter_map(|entry| {
            let round = record.round - u64::from(entry.late);
            let commit = commits.get(&(entry.trainer, round))?;
            (commit_id(commit) == entry.commit).then(|| commit.bytes().to_vec())
        });
        accepted.collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::SecretKey;
    use protocol::round::{Accepted, DataCommit, Findings, Parts, Roster};
    use protocol::{FileHash, RunId};

    use super::*;

    fn start() -> Tip {
        Tip {
            round: 4,
            id: RoundId::of(b"base"),
            prev: RoundId::of(b"before"),
            model: FileHash::of(b""),
            outer: FileHash::of(b""),
            frontier: FileHash::of(b""),
            step: None,
            roster: std::sync::Arc::new(Roster::of(Vec::new())),
        }
    }

    fn commit(seed: u8, round: u64, base: RoundId, used: u64) -> Signed<UpdateCommit> {
        let nothing = FileHash::of(b"");
        let data = DataCommit {
            used,
            used_root: nothing,
            excluded: 0,
            excluded_root: nothing,
            frontier: nothing,
            policy: nothing,
        };
        let commit = UpdateCommit {
            run: RunId::of(b"run"),
            round,
            base,
            update: nothing,
            update_bytes: 1,
            norm: 1,
            data,
            invitation: None,
            trace: None,
        };
        Signed::sign(commit, &SecretKey::from_seed(&[seed; 32]))
    }

    fn record(accepted: &[&Signed<UpdateCommit>]) -> RoundRecord {
        let nothing = FileHash::of(b"");
        let accepted = accepted.iter().map(|commit| Accepted {
            trainer: commit.signer(),
            commit: commit_id(commit),
            update: nothing,
            norm: 1,
            weight: 1,
            late: commit.value().round < 5,
            voucher: None,
        });
        RoundRecord {
            run: RunId::of(b"run"),
            round: 5,
            prev: start().id,
            model_in: nothing,
            accepted: accepted.collect(),
            rejected: Vec::new(),
            frontier: nothing,
            model_out: nothing,
            outer_out: nothing,
            step: None,
            found: Findings::default(),
            parts: Parts { changes: Vec::new(), roster: nothing },
        }
    }

    #[test]
    fn only_accepted_commits_of_this_base_come_out() {
        let tip = start();
        let mut heard = Heard::default();
        let (good, late) = (commit(1, 5, tip.id, 5), commit(2, 4, tip.prev, 6));
        let (changed, left_out) = (commit(3, 5, tip.id, 6), commit(4, 5, tip.id, 7));
        let other = commit(5, 5, RoundId::of(b"other"), 8);
        for commit in [&good, &late, &commit(2, 5, tip.id, 6), &changed, &left_out, &other] {
            heard.hear(&tip, commit);
        }
        let record = record(&[&good, &late, &commit(3, 5, tip.id, 9), &other]);
        assert_eq!(heard.accepted(&record), [good.bytes(), late.bytes()]);
        assert!(heard.accepted(&record).is_empty(), "forgotten");
    }

    #[test]
    fn another_base_begins_anew() {
        let (tip, mut heard) = (start(), Heard::default());
        let old = commit(1, 5, tip.id, 5);
        heard.hear(&tip, &old);
        let next = Tip { round: 5, id: RoundId::of(b"next"), prev: RoundId::of(b"x"), ..tip };
        heard.hear(&next, &commit(2, 6, next.id, 5));
        assert!(heard.accepted(&record(&[&old])).is_empty());
    }
}
