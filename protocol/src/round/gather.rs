//! What a steward has heard of the slices of a round, and the record that waits for them.
//!
//! Invariants: bounded by node; what is said of other bases is not kept. What it is not: a judgement on what
//! was said (see `committee`), or durable: what a crash loses is said again, or worked out.

use std::collections::BTreeMap;

use super::committee::{Committee, Standing};
use super::effect::Effect;
use super::slate::{Partial, Slate};
use crate::envelope::Signed;
use crate::id::FileHash;
use crate::key::PublicKey;
use crate::limits::PARTIALS_PER_NODE_MAX;

#[derive(Debug, Default)]
pub(super) struct Gather {
    heard: BTreeMap<PublicKey, Vec<Signed<Partial>>>,
    /// What waits to be built.
    pub(super) waiting: Option<Waiting>,
}

/// A record that waits for its slices.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What is to be built.
    pub(super) build: Effect,
    /// What others are asked to work out.
    pub(super) slate: Signed<Slate>,
    /// Until when it waits.
    pub(super) until_ms: u64,
}

impl Gather {
    /// Takes what a node says; of a node that talks too much only the first.
    pub(super) fn take(&mut self, partial: Signed<Partial>) {
        let said = self.heard.entry(partial.signer()).or_default();
        if said.len() < PARTIALS_PER_NODE_MAX && !said.contains(&partial) {
            said.push(partial);
        }
    }

    /// What was said of a slate.
    pub(super) fn of(&self, list: FileHash) -> Vec<Signed<Partial>> {
        let said = self.heard.values().flatten();
        said.filter(|partial| partial.value().slate == list).cloned().collect()
    }

    /// Whether there is nothing to wait for: of each slice two of three agree, or it must be worked out.
    fn is_settled(&self, committee: &Committee, list: FileHash) -> bool {
        let said = self.heard.values().flatten();
        let said = said.filter(|partial| partial.value().slate == list);
        committee.standing(said).iter().all(|standing| *standing != Standing::Open)
    }

    /// What was waiting, if it need not wait any more, with what was said of it.
    pub(super) fn settled(&mut self, committee: &Committee, now_ms: u64) -> Option<Effect> {
        let Waiting { slate, until_ms, .. } = self.waiting.as_ref()?;
        let list = slate.value().list;
        if now_ms < *until_ms && !self.is_settled(committee, list) {
            return None;
        }
        let heard = self.of(list);
        let mut build = self.waiting.take()?.build;
        if let Effect::Build { partials, .. } = &mut build {
            *partials = heard;
        }
        Some(build)
    }
}
