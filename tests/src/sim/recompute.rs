//! The checker's own look at a record: what it comes to by the library's bytes.
//!
//! Invariants: the product's functions, over bytes that no node is asked for. What it is not: a rule about
//! what nodes say (see `checker`).

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::round::check::{Base, Counted, Evidence, Exhibits, verify, work_out};
use protocol::round::{Partial, RoundRecord, Sliced, UpdateCommit, open_slate_list};
use protocol::{CommitId, PublicKey, Signed};

use super::bus::Outcome;
use super::checker::{Checker, Sender};
use super::job::{envelope_hash, named_commits, named_proofs, reports_reach};
use super::library::Library;
use super::report::{Rule, Violation};

impl Checker {
    /// Recomputes a record, on the record that it says it follows.
    pub(super) fn recompute(
        &self,
        library: &Library,
        record: &RoundRecord,
    ) -> Result<Base, Violation> {
        let broken =
            |rule, what: String| Violation::new(rule, format!("r{}: {what}", record.round));
        let unknown =
            || broken(Rule::Recomputes, "it follows a record that nobody proposed".into());
        let base = self.outcomes.get(&record.prev).ok_or_else(unknown)?;
        let mut trainers: Vec<PublicKey> = record.accepted.iter().map(|a| a.trainer).collect();
        trainers.sort();
        if trainers.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(broken(Rule::TrainerOnce, "somebody counts twice".into()));
        }
        let mut evidence = BTreeMap::new();
        for commit in named_commits(record) {
            let found = find(library, commit);
            let missing =
                || broken(Rule::Recomputes, format!("nobody has the bytes of {commit:?}"));
            evidence.insert(commit, found.ok_or_else(missing)?);
        }
        for accepted in &record.accepted {
            let commit = &evidence[&accepted.commit].commit;
            let known = library.frontier(&commit.value().data.frontier);
            if !known.is_some_and(|known| known.dominates(&base.required)) {
                let what = format!("counts {:?}, which was decided too early", accepted.commit);
                return Err(broken(Rule::Consent, what));
            }
            // What a liar used nobody can know.
            let honest = !self.facts.is_liars(accepted.trainer);
            if let Some(work) = library.misused(commit, &base.required).filter(|_| honest) {
                let what = format!("counts {:?}, which used {work:?}", accepted.commit);
                return Err(broken(Rule::Consent, what));
            }
        }
        let bound = library.frontier(&record.frontier);
        let missing = || broken(Rule::Recomputes, "nobody has its frontier's bytes".into());
        let (required, spec) = (bound.ok_or_else(missing)?, self.facts.spec.value());
        let proofs = named_proofs(record)
            .filter_map(|hash| Some((hash, library.blob(&hash)?.to_vec())))
            .collect();
        let before = |record: &RoundRecord| self.proposed.get(&record.prev).cloned();
        let ancestors = std::iter::successors(before(record), before);
        let ancestors = ancestors.take(reports_reach(record)).collect();
        let bound = required.clone();
        let exhibits =
            Exhibits { commits: evidence, proofs, ancestors, bound, ..Exhibits::default() };
        let room = base.room(spec);
        verify(self.facts.run, spec, base, record, &exhibits, &room.outputs(), 1)
            .map_err(|error| broken(Rule::Recomputes, error.to_string()))?;
        let (weights, state) = (room.weights.into_bytes(), room.state.into_bytes());
        let tip = base.tip.after(record);
        let tip = tip.map_err(|error| broken(Rule::Recomputes, error.to_string()))?;
        Base::new(tip, Arc::new(weights), Arc::new(state), required)
            .map_err(|error| broken(Rule::Recomputes, error.to_string()))
    }
}

impl Checker {
    /// An honest node says what slices come to: nothing else than that.
    pub(super) fn partial_sent(
        &self,
        library: &Library,
        sender: &Sender<'_>,
        partial: &Signed<Partial>,
    ) -> Outcome {
        let (value, spec) = (partial.value(), self.facts.spec.value());
        let list = library.blob(&value.slate);
        let accepted = list.and_then(|bytes| open_slate_list(bytes).ok());
        // A liar need not have made the list that a record stands for known to anyone.
        let Some((accepted, base)) = accepted.zip(self.outcomes.get(&value.base)) else {
            return Ok(());
        };
        let counted = accepted.into_iter().map(|entry| {
            let update = library.blob(&entry.update).cloned().unwrap_or_default();
            Counted { entry, update }
        });
        let counted: Vec<Counted> = counted.collect();
        for said in &value.slices {
            let made = work_out(spec, &base.tip, &*base.state, &counted, said.slice, 1);
            if made.ok().map(|made| Sliced::of(&made)) != Some(*said) {
                let what = format!("n{} says of slice {} what is not so", sender.node, said.slice);
                return Err(Violation::new(Rule::Recomputes, what));
            }
        }
        Ok(())
    }
}

pub(super) fn find(library: &Library, commit: CommitId) -> Option<Evidence> {
    let commit = Signed::<UpdateCommit>::open(library.blob(&envelope_hash(commit))?).ok()?;
    // What the terms refuse is refused without them, and may never have been served.
    let blob = |hash| library.blob(hash).cloned().unwrap_or_default();
    let (update, frontier) = (blob(&commit.value().update), blob(&commit.value().data.frontier));
    Some(Evidence { commit, update, frontier: frontier.to_vec() })
}
