//! The contributor who opts works out in the middle of the run, and what must come of it.
//!
//! Invariants: what the nodes say they left out is compared with what the demo counted itself.
//! What it is not: the gate.

use std::collections::BTreeMap;
use std::time::Instant;

use protocol::{PublicKey, RecordId};

use super::DemoError;
use super::ask::{ask, promise, wait};
use super::data::{Files, OPTED_OUT, TRAINERS};
use super::nodes::Node;
use super::report::Report;
use crate::api::dto::{ConsentRequest, OwnView};

/// An opt-out that every node holds.
#[derive(Debug)]
pub(super) struct OptOut {
    pub record: RecordId,
    /// The first round that began after every node had the record.
    pub from: u64,
    /// Whose.
    identity: PublicKey,
    works: u64,
    /// How long the record took to every node.
    travel_ms: u128,
}

impl OptOut {
    /// Registers the contributor's file at node-2 and waits until every node holds the record.
    pub(super) async fn register(
        nodes: &[Node],
        files: &Files,
        run: &str,
    ) -> Result<Self, DemoError> {
        let request = ConsentRequest {
            paths: vec![files.works.display().to_string()],
            identity: Some("contributor".into()),
            ..ConsentRequest::default()
        };
        let said = ask(&nodes[1], nodes[1].client.opt_out(&request, drop)).await?;
        let at = Instant::now();
        for node in nodes {
            wait("the record to reach every node", || async {
                let status = ask(node, node.client.status()).await?;
                Ok((status.records >= said.records.len()).then_some(()))
            })
            .await?;
        }
        let travel_ms = at.elapsed().as_millis();
        promise(said.works == OPTED_OUT as u64, || format!("{OPTED_OUT} works are named"))?;
        let record = said.records.last().copied();
        let record = record.ok_or_else(|| DemoError::Promise("a statement was signed".into()))?;
        let mut open = 0;
        for node in &nodes[..TRAINERS] {
            open = open.max(ask(node, node.client.run(run)).await?.round + 1);
        }
        let (identity, works) = (said.identity, said.works);
        Ok(Self { record, from: open + 1, identity, works, travel_ms })
    }

    /// Says what was registered.
    pub(super) fn tell(&self, report: &Report) {
        report.say(&format!(
            "record {} by {} names {} works",
            self.record.short(),
            self.identity.short(),
            self.works
        ));
        report.say(&format!("all four nodes hold it after {} ms", self.travel_ms));
        report.say("a round that is under way may still use them; the next one may not");
    }

    /// Checks that the trainers left out exactly these works in a round.
    pub(super) fn check(
        &self,
        files: &Files,
        own: &[Option<OwnView>],
        round: u64,
    ) -> Result<(), DemoError> {
        for (at, own) in own.iter().enumerate() {
            // A trainer that was late in a round has nothing of its own to show for it.
            let Some(own) = own else { continue };
            let expected = files.opted_out[at];
            let by: BTreeMap<String, u64> = [(self.record.to_string(), expected)]
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect();
            promise(own.excluded_by == by && own.used == files.rows[at] - expected, || {
                format!(
                    "node-{} leaves out exactly {expected} works in round {round}, not {:?}",
                    at + 1,
                    own.excluded_by
                )
            })?;
        }
        Ok(())
    }
}
