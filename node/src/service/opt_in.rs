//! `opt-in`: works by their exact bytes, after what this identity refused of them was taken back.
//!
//! Taken back is what an opt-out of the same files would say: their bytes, their likeness, and all of
//! them as one collection. Another collection that holds some is named and stays.
//!
//! Invariants: nothing is allowed by half: a file that cannot be read stops it; what refuses a work
//! all the same is in the answer. What it is not: what a record means (see the `consent` crate).

use std::collections::BTreeSet;

use consent::{
    Denial, Gate, Marks, Match, Policy, Reopener, SetAside, Silence, Statement, Subject, Use, Work,
};
use protocol::limits::{OPT_IN_DAYS_MAX, SCAN_LISTED_MAX};
use protocol::{ContentId, PublicKey, RecordId};

use super::consent_calls::{DAY_MS, said, uses};
use super::{NodeService, existing, failed, misused, own_failure};
use crate::api::dto::{ConsentReply, ConsentRequest, HoldingView, OptInReply, Refusal};
use crate::api::{Answer, ProgressSender};
use crate::clock::now_ms;
use crate::collections::collection_of;
use crate::ledger::Holding;
use crate::likeness::Likeness;
use crate::works::Works;

/// How long an opt-in holds if nothing is said.
const OPT_IN_DAYS: u64 = 365;

/// A work that is opted in.
#[derive(Debug)]
struct Known {
    place: String,
    content: ContentId,
    likeness: Option<Box<Likeness>>,
}

/// What is to be named.
#[derive(Debug, Default)]
struct Named {
    works: Vec<Known>,
    contents: BTreeSet<ContentId>,
    /// All that an opt-out of these files would name.
    subjects: BTreeSet<Subject>,
    unlike: Vec<String>,
}

impl Named {
    fn under(paths: &[String], progress: &ProgressSender) -> Answer<Self> {
        let mut named = Self::default();
        for path in paths {
            let mut found = Works::under(existing(path)?, true, progress).map_err(failed)?;
            named.unlike.append(&mut found.unlike);
            for work in found.whole().map_err(failed)? {
                if named.contents.insert(work.content) {
                    let likeness = work.likeness.as_ref();
                    named.subjects.extend(likeness.iter().flat_map(|it| it.subjects()));
                    let (place, content) = (work.place, work.content);
                    named.works.push(Known { place, content, likeness: work.likeness });
                }
            }
        }
        named.subjects.extend(named.contents.iter().copied().map(Subject::Content));
        named.subjects.insert(Subject::Collection(collection_of(&named.contents).0));
        Ok(named)
    }
}

/// Works that are refused still.
#[derive(Debug, Default)]
struct Still {
    listed: Vec<Refusal>,
    count: u64,
}

impl NodeService {
    pub(super) async fn register_in(
        &self,
        request: ConsentRequest,
        progress: &ProgressSender,
    ) -> Answer<OptInReply> {
        let uses = uses(&request.uses)?;
        let days = request.days.unwrap_or(OPT_IN_DAYS);
        if days == 0 || days > OPT_IN_DAYS_MAX {
            return Err(misused(format!("--days is {days}: 1 to {OPT_IN_DAYS_MAX} are allowed")));
        }
        let named = tokio::task::block_in_place(|| Named::under(&request.paths, progress))?;
        let (speaker, made, name) = self.speaker(&request)?;
        self.tell_of_birth(&speaker, progress);
        let (ledger, behalf, now_ms) = (&self.means.ledger, request.behalf, now_ms());
        let allow = Statement::allow(&uses, now_ms + days * DAY_MS);
        let by = Reopener { author: speaker.author(), behalf };
        let opted = tokio::task::block_in_place(|| {
            let opted = ledger.opt_in(&speaker, &named.subjects, &allow, behalf, now_ms)?;
            let holdings = ledger.holdings(by, &named.contents, &uses)?;
            Ok((opted, holdings))
        });
        let (opted, holdings) = opted.map_err(own_failure)?;
        let alike = named.works.iter().filter(|work| work.likeness.is_some()).count() as u64;
        let reply = ConsentReply {
            works: named.works.len() as u64,
            alike,
            unlike: named.unlike.into_iter().take(SCAN_LISTED_MAX).collect(),
            ..said(&speaker, name, made)
        };
        let (works, maker) = (named.works, behalf.unwrap_or(by.author));
        let still = tokio::task::block_in_place(|| self.still(works, maker, &uses, &holdings));
        Ok(OptInReply {
            said: self.told(reply, opted.made).await,
            lifted: opted.lifted,
            collections: holdings.into_iter().map(view).collect(),
            still: still.listed,
            still_count: still.count,
        })
    }

    /// What refuses these works here where silence is no and a yes counts at once, but for what is
    /// named already.
    fn still(
        &self,
        works: Vec<Known>,
        maker: PublicKey,
        uses: &[Use],
        holdings: &[Holding],
    ) -> Still {
        let default = Silence::OptIn;
        let policy = Policy { default, cooling_ms: 0, ..Policy::default() };
        let named: BTreeSet<RecordId> = holdings.iter().map(|holding| holding.record).collect();
        let ask = |gate: &Gate<'_>| {
            let mut still = Still::default();
            for known in works {
                let marks = known.likeness.map(|likeness| likeness.marks()).unwrap_or_default();
                let marks = Some(Box::new(Marks { makers: vec![maker], ..marks }));
                let work = Work { content: known.content, marks };
                let answers =
                    uses.iter().map(|about| gate.check(&work, *about, &SetAside::default()));
                let is_new = |denial: &Denial| {
                    let records = &denial.records;
                    records.is_empty() || records.iter().any(|record| !named.contains(record))
                };
                let Some(denial) = answers.filter_map(Result::err).find(is_new) else { continue };
                still.count += 1;
                if still.listed.len() < SCAN_LISTED_MAX {
                    still.listed.push(refusal(known.place, denial));
                }
            }
            still
        };
        self.means.ledger.with_gate(&policy, ask).1
    }
}

fn refusal(place: String, denial: Denial) -> Refusal {
    let found = match denial.found {
        None | Some(Match::Content) => String::new(),
        Some(found) => format!(", by {found}"),
    };
    let reason = format!("{}: {}{found}", denial.about, denial.reason);
    Refusal { place, content: denial.work, reason, records: denial.records }
}

fn view(holding: Holding) -> HoldingView {
    let Holding { record, works, held } = holding;
    HoldingView { record, works, held }
}
