//! Requests for records of the ledger, with what has become of them.
//!
//! Invariants: answers are bounded, the newest first. What it is not: a judgement about a work;
//! that is the gate's, under a policy.

use consent::{Payload, Statement, Subject};
use protocol::RecordId;
use protocol::limits::RECORDS_LISTED_MAX;

use super::{NodeService, failed, identity_failure, misused};
use crate::api::Answer;
use crate::api::dto::{RecordView, RecordsReply, RecordsRequest, RemarkView};
use crate::ledger::{Beside, LedgerBook, Listed, pull_remark};

impl NodeService {
    /// Lists records. The remark beside one that is asked for by its id is fetched if it is elsewhere.
    pub(super) async fn list_records(&self, request: &RecordsRequest) -> Answer<RecordsReply> {
        let (ledger, net) = (&self.means.ledger, &self.means.net);
        let mut reply = self.listed_records(request)?;
        if let (RecordsRequest::Record(id), [record]) = (request, &mut reply.records[..])
            && let Beside::Away(name) = beside(ledger, id)?
            && let Some(text) = pull_remark(net, ledger, *id, name).await
        {
            record.remark = RemarkView::Text(one_line(&text));
        }
        Ok(reply)
    }

    fn listed_records(&self, request: &RecordsRequest) -> Answer<RecordsReply> {
        let ledger = &self.means.ledger;
        tokio::task::block_in_place(|| {
            let (listed, total) = match request {
                RecordsRequest::Record(id) => {
                    let unknown = || misused(format!("there is no record {id} in the ledger here"));
                    let found = ledger.listed(id).map_err(failed)?;
                    (vec![found.ok_or_else(unknown)?], 1)
                }
                RecordsRequest::Author(author) => {
                    ledger.records_by(&[*author], RECORDS_LISTED_MAX).map_err(failed)?
                }
                RecordsRequest::Mine => {
                    let identities = self.home.identities();
                    let names = identities.names().map_err(identity_failure)?;
                    let found = names.iter().filter_map(|name| identities.summary(name).ok());
                    let authors: Vec<_> = found.map(|summary| summary.author).collect();
                    ledger.records_by(&authors, RECORDS_LISTED_MAX).map_err(failed)?
                }
            };
            let view = |listed: Listed| {
                let remark = beside(ledger, &listed.held.id)?;
                Ok(view(listed, remark))
            };
            let records = listed.into_iter().map(view).collect::<Answer<_>>()?;
            Ok(RecordsReply { records, total: total as u64 })
        })
    }
}

fn beside(ledger: &LedgerBook, id: &RecordId) -> Answer<Beside> {
    tokio::task::block_in_place(|| ledger.beside(id)).map_err(failed)
}

fn view(listed: Listed, remark: Beside) -> RecordView {
    let Listed { held, kind, payload, state, attested } = listed;
    let attested = attested.into_iter().map(|(by, standing)| (by, standing.to_string()));
    RecordView {
        record: held.id,
        author: held.feed.author,
        feed: held.feed.feed,
        seq: held.seq,
        kind,
        state: state.as_str().to_owned(),
        says: says(&payload),
        remark: match remark {
            Beside::Nothing => RemarkView::None,
            Beside::Text(text) => RemarkView::Text(one_line(&text)),
            Beside::Away(_) => RemarkView::NotHere,
            Beside::Erased => RemarkView::Erased,
        },
        attested: attested.collect(),
        received_ms: held.received_ms,
    }
}

/// What a record says, in one line.
fn says(payload: &Payload) -> String {
    match payload {
        Payload::Genesis(_) => "begins a feed".to_owned(),
        Payload::Statement(statement) => statement_says(statement),
        Payload::Lift(lift) => format!("takes back {}", joined(&lift.statements)),
        Payload::Rotation(rotation) => format!("the daily key is {} from here on", rotation.daily),
        Payload::Compromise(said) => {
            format!("{} is in the wrong hands from record {} on", said.key, said.kept)
        }
        Payload::Delegation(given) => {
            let may = if given.may_allow { "deny and allow" } else { "deny" };
            let scope = match given.scope.len() {
                0 => "all its works".to_owned(),
                1 => subject(&given.scope[0]),
                count => format!("{count} works"),
            };
            format!("{} may {may} {} of {scope}", given.delegate, joined(&given.uses))
        }
        Payload::Revocation(ended) => format!("ends {}", joined(&ended.delegations)),
        Payload::Attestation(word) => {
            let named = [joined(&word.records), joined(&word.identities)];
            let named: Vec<String> = named.into_iter().filter(|text| !text.is_empty()).collect();
            format!("{} for {}", word.standing, named.join(", "))
        }
        Payload::Dispute(doubt) => format!("doubts {}", joined(&doubt.records)),
        Payload::Tombstone(wish) => {
            format!("asks to erase the remarks beside {}", joined(&wish.records))
        }
        Payload::Reconcile(joins) => format!("joins {}", joined(&joins.heads)),
        Payload::Unknown => "of a kind that this version does not know".to_owned(),
    }
}

fn statement_says(statement: &Statement) -> String {
    let rules = statement.rules.iter().map(|(about, value)| format!("{value} {about}"));
    let subjects = match &statement.subjects[..] {
        [one] => subject(one),
        many => format!("{} works", many.len()),
    };
    let mut text = format!("{} of {subjects}", rules.collect::<Vec<_>>().join(", "));
    if let Some(behalf) = &statement.behalf {
        text += &format!(", for {}", behalf.principal);
    }
    if let Some(terms) = &statement.terms {
        text += &format!(", terms {}", one_line(&terms.uri));
    }
    text
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Content(content) => content.to_string(),
        Subject::Collection(all) => format!("a collection of {} works", all.count),
        Subject::Code(kind, _) => format!("what is like one work ({kind})"),
        Subject::Passages(prints) => format!("{} passages", prints.len()),
        Subject::Identity(key) => format!("everything that {key} makes"),
        Subject::Place(place) => place.to_string(),
        Subject::Unknown { kind, .. } => format!("a subject of the unknown kind {kind}"),
    }
}

fn joined<T: ToString>(things: &[T]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A stranger's text, so that it cannot draw on a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
