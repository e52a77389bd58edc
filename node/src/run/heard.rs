//! Commits of the round under way as this node heard them, so that what the accepted ones say can
//! be shown when the round is certified.
//!
//! Invariants: one a trainer, all on one base, at most `UPDATES_MAX`; only what a certificate
//! accepted is ever stored. What it is not: the stewards' tally, which decides.

use std::collections::BTreeMap;

use protocol::limits::UPDATES_MAX;
use protocol::round::{RoundRecord, UpdateCommit, commit_id};
use protocol::{PublicKey, RoundId, Signed};

/// Commits by trainer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    base: Option<RoundId>,
    commits: BTreeMap<PublicKey, Signed<UpdateCommit>>,
}

impl Heard {
    /// Notes a verified commit, if it is on `base`.
    pub(super) fn hear(&mut self, base: RoundId, commit: &Signed<UpdateCommit>) {
        if self.base.replace(base) != Some(base) {
            self.commits.clear();
        }
        let known = self.commits.contains_key(&commit.signer());
        if commit.value().base == base && (known || self.commits.len() < UPDATES_MAX) {
            self.commits.insert(commit.signer(), commit.clone());
        }
    }

    /// The envelopes of the commits that `record` accepted; the rest is forgotten.
    pub(super) fn accepted(&mut self, record: &RoundRecord) -> Vec<Vec<u8>> {
        let mut commits = std::mem::take(&mut self.commits);
        let accepted = record.accepted.iter().filter_map(|entry| {
            let commit = commits.remove(&entry.trainer)?;
            (commit_id(&commit) == entry.commit).then(|| commit.bytes().to_vec())
        });
        accepted.collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::round::{Accepted, DataCommit};
    use protocol::{FileHash, RunId, SecretKey};

    use super::*;

    fn commit(seed: u8, base: RoundId, used: u64) -> Signed<UpdateCommit> {
        let nothing = FileHash::of(b"");
        let data = DataCommit {
            used,
            used_root: nothing,
            excluded: 0,
            excluded_root: nothing,
            frontier: nothing,
            policy: nothing,
        };
        let run = RunId::of(b"run");
        let commit = UpdateCommit { run, round: 1, base, update: nothing, update_bytes: 1, data };
        Signed::sign(commit, &SecretKey::from_seed(&[seed; 32]))
    }

    fn record(accepted: &[&Signed<UpdateCommit>]) -> RoundRecord {
        let nothing = FileHash::of(b"");
        let accepted = accepted.iter().map(|commit| Accepted {
            trainer: commit.signer(),
            commit: commit_id(commit),
            update: nothing,
            weight: 1,
        });
        RoundRecord {
            run: RunId::of(b"run"),
            round: 1,
            prev: RoundId::of(b"base"),
            model_in: nothing,
            accepted: accepted.collect(),
            rejected: Vec::new(),
            frontier: nothing,
            model_out: nothing,
            outer_out: nothing,
            step: None,
        }
    }

    #[test]
    fn only_accepted_commits_of_this_base_come_out() {
        let base = RoundId::of(b"base");
        let mut heard = Heard::default();
        let (good, changed, left_out) =
            (commit(1, base, 5), commit(2, base, 6), commit(3, base, 7));
        for commit in [&good, &changed, &left_out, &commit(4, RoundId::of(b"other"), 8)] {
            heard.hear(base, commit);
        }
        let record = record(&[&good, &commit(2, base, 9)]);
        assert_eq!(heard.accepted(&record), [good.bytes()]);
        assert!(heard.accepted(&record).is_empty(), "forgotten");
    }

    #[test]
    fn another_base_begins_anew() {
        let (base, next) = (RoundId::of(b"base"), RoundId::of(b"next"));
        let mut heard = Heard::default();
        let old = commit(1, base, 5);
        heard.hear(base, &old);
        heard.hear(next, &commit(2, next, 5));
        assert!(heard.accepted(&record(&[&old])).is_empty());
    }
}
