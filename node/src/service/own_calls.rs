//! Requests for an identity's records that are not about files.
//!
//! Invariants: records are on this node's disk before they are gossiped and before the answer.
//! What it is not: what a record means (see the `consent` crate).

use consent::payload::{Attestation, Delegation};
use consent::terms::Place;
use consent::{Identity, Payload, Standing, Statement, Subject, Terms, Use, Value};
use protocol::limits::{NAMED_MAX, OPT_IN_DAYS_MAX};
use protocol::{FileHash, PublicKey, RecordId};

use super::consent_calls::{DAY_MS, uses};
use super::id_calls::access;
use super::terms_calls::{imports, say_imports};
use super::{NodeService, existing, failed, identity_failure, misused, own_failure};
use crate::announce::announce_record;
use crate::api::dto::{AttestRequest, DelegateRequest, OwnAct, OwnReply, OwnRequest, SayRequest};
use crate::api::{Answer, ProgressSender};
use crate::clock::now_ms;
use crate::home::ME;
use crate::identity::Speaker;
use crate::ledger::{Giving, LedgerBook, Made, Own, OwnError, ids};
use crate::works::Works;

impl NodeService {
    pub(super) async fn say_own(
        &self,
        request: OwnRequest,
        progress: &ProgressSender,
    ) -> Answer<OwnReply> {
        let name = request.identity.as_deref().unwrap_or(ME);
        if request.behalf.is_some() && !matches!(request.act, OwnAct::Say(_) | OwnAct::Import(_)) {
            return Err(misused("only statements are made in somebody's name"));
        }
        let identities = self.home.identities();
        let open = || identities.open(name, &access(&request.keys));
        let mut speaker = tokio::task::block_in_place(open).map_err(identity_failure)?;
        speaker.remark_with(request.remark);
        let ledger = &self.means.ledger;
        let (act, behalf) = (request.act, request.behalf);
        let (did, made) = tokio::task::block_in_place(|| match act {
            OwnAct::Import(request) => {
                let imports = imports(&request)?;
                self.tell_of_birth(&speaker, progress);
                say_imports(ledger, &mut speaker, imports, behalf)
            }
            act => {
                self.tell_of_birth(&speaker, progress);
                say(ledger, &speaker, act, behalf)
            }
        })?;
        let net = &self.means.net;
        for (_, envelope) in &made {
            announce_record(net, envelope).await;
        }
        Ok(OwnReply {
            identity: speaker.author(),
            name: name.to_owned(),
            did,
            records: ids(&made),
            peers: net.peers().await.len(),
        })
    }
}

fn say(
    ledger: &LedgerBook,
    who: &Speaker,
    act: OwnAct,
    behalf: Option<PublicKey>,
) -> Answer<(String, Made)> {
    let made = match act {
        OwnAct::Delegate(request) => {
            let delegation = delegation(&request)?;
            let did = format!("gave {} leave to speak for {}", request.to, who.name());
            let made = ledger.speak(who, Giving::Daily, |own| {
                Ok(vec![own.identity.delegate(&own.head, &delegation)?])
            });
            (did, made)
        }
        OwnAct::Revoke(records) => {
            let did = "revoked the delegation".to_owned();
            let made = ledger.speak(who, Giving::No, |own| {
                for record in &records {
                    check_kind(own, record, "a delegation of this identity", |payload, mine| {
                        mine && matches!(payload, Payload::Delegation(_))
                    })?;
                }
                Ok(vec![own.identity.revoke(&own.head, records)?])
            });
            (did, made)
        }
        OwnAct::Lift(records) => ("took it back".to_owned(), lift(ledger, who, records)),
        OwnAct::Attest(request) => ("spoke as a witness".to_owned(), attest(ledger, who, request)?),
        OwnAct::Dispute(records) => {
            let made = ledger.speak(who, Giving::No, |own| {
                for record in &records {
                    check_kind(own, record, "a statement", |payload, _| {
                        matches!(payload, Payload::Statement(_))
                    })?;
                }
                Ok(vec![own.identity.dispute(&own.head, records)?])
            });
            ("disputed it".to_owned(), made)
        }
        OwnAct::Erase(records) => {
            let made = ledger.speak(who, Giving::No, |own| {
                let lacks = |id: &&RecordId| !matches!(own.has_remark(id), Ok(true));
                if let Some(id) = records.iter().find(lacks) {
                    let rule = format!("there is no remark of this identity beside record {id}");
                    return Err(OwnError::Refused(rule));
                }
                Ok(vec![own.identity.erase(&own.head, records)?])
            });
            ("erased the remarks here and asked everyone to".to_owned(), made)
        }
        OwnAct::Compromised { root, from_seq } => compromised(ledger, who, root, from_seq),
        OwnAct::Reconcile => {
            ("joined the branches of its feed".to_owned(), ledger.join_branches(who))
        }
        OwnAct::Say(request) => state(ledger, who, &request, behalf)?,
        OwnAct::Import(_) => return Err(misused("terms are read before they are said")),
    };
    let (did, made) = made;
    Ok((did, made.map_err(own_failure)?))
}

/// Refuses a record that is not what it should be; `is` hears the payload and whether the author
/// is this identity.
fn check_kind(
    own: &Own<'_>,
    record: &RecordId,
    what: &str,
    is: impl FnOnce(&Payload, bool) -> bool,
) -> Result<(), OwnError> {
    let (feed, payload) = own.payload(record)?;
    match is(&payload, feed.author == own.identity.author()) {
        true => Ok(()),
        false => Err(OwnError::Refused(format!("record {record} is not {what}"))),
    }
}

fn lift(ledger: &LedgerBook, who: &Speaker, records: Vec<RecordId>) -> Result<Made, OwnError> {
    ledger.speak(who, Giving::Root, |own| {
        for record in &records {
            let me = own.identity.author();
            check_kind(own, record, "a record that this identity may lift", |payload, mine| {
                match payload {
                    Payload::Statement(statement) => {
                        mine || statement.behalf.is_some_and(|behalf| behalf.principal == me)
                    }
                    Payload::Delegation(_) | Payload::Attestation(_) | Payload::Dispute(_) => mine,
                    _ => false,
                }
            })?;
        }
        Ok(own.identity.lifts(&own.head, records)?)
    })
}

fn attest(
    ledger: &LedgerBook,
    who: &Speaker,
    request: AttestRequest,
) -> Answer<Result<Made, OwnError>> {
    let standings = [Standing::Place, Standing::Registrar, Standing::Signer];
    let named = standings.into_iter().find(|standing| standing.as_str() == request.standing);
    let standing = named.ok_or_else(|| {
        misused(format!("--standing is {:?}: place, registrar or signer", request.standing))
    })?;
    let (mut records, mut identities) = (request.records, request.identities);
    records.sort();
    records.dedup();
    identities.sort();
    identities.dedup();
    let attestation = Attestation { records, identities, standing };
    Ok(ledger.speak(who, Giving::Daily, |own| {
        for record in &attestation.records {
            check_kind(own, record, "a statement", |payload, _| {
                matches!(payload, Payload::Statement(_))
            })?;
        }
        Ok(vec![own.identity.attest(&own.head, &attestation)?])
    }))
}

fn compromised(
    ledger: &LedgerBook,
    who: &Speaker,
    root: bool,
    from_seq: Option<u64>,
) -> (String, Result<Made, OwnError>) {
    let key = |identity: &Identity| match root {
        true => identity.root_public(),
        false => Ok(identity.daily()),
    };
    let made = ledger.speak(who, Giving::No, |own| {
        let next = own.head.seq + 1;
        let kept = from_seq.unwrap_or(next);
        if kept > next {
            let rule = format!("--from-seq is {kept}: the feed goes up to record {}", own.head.seq);
            return Err(OwnError::Refused(rule));
        }
        Ok(vec![own.identity.compromise(&own.head, key(&own.identity)?, kept)?])
    });
    let which = if root { "root" } else { "daily" };
    (format!("said that the {which} key is in the wrong hands; rotate next"), made)
}

fn state(
    ledger: &LedgerBook,
    who: &Speaker,
    request: &SayRequest,
    behalf: Option<PublicKey>,
) -> Answer<(String, Result<Made, OwnError>)> {
    let now_ms = now_ms();
    let statement = statement(request, now_ms)?;
    let mut subjects = places(&request.places)?;
    if request.everything {
        subjects.push(Subject::Identity(behalf.unwrap_or_else(|| who.author())));
    }
    if subjects.is_empty() {
        return Err(misused("nothing is named: give --place or --identity-of-mine"));
    }
    let did = format!("said {} of {} subjects", request.value, subjects.len());
    let statements = statement.over_subjects(subjects);
    Ok((did, ledger.state(who, &statements, behalf, now_ms)))
}

fn statement(request: &SayRequest, now_ms: u64) -> Answer<Statement> {
    let uses = uses(&request.uses)?;
    let days = request.days.unwrap_or(365);
    if !(1..=OPT_IN_DAYS_MAX).contains(&days) {
        return Err(misused(format!("--days is {days}: 1 to {OPT_IN_DAYS_MAX} are allowed")));
    }
    let mut statement = match request.value.as_str() {
        "deny" => Statement::deny(&uses),
        "allow" => Statement::allow(&uses, now_ms.saturating_add(days * DAY_MS)),
        "constrained" => {
            let constrained = |about: &Use| (*about, Value::Constrained);
            let mut rules: Vec<(Use, Value)> = uses.iter().map(constrained).collect();
            rules.sort();
            rules.dedup();
            Statement { rules, ..Statement::deny(&uses) }
        }
        other => return Err(misused(format!("{other:?} is not deny, allow or constrained"))),
    };
    if let Some((uri, copy)) = &request.terms {
        let text = std::fs::read(existing(copy)?)
            .map_err(|error| failed(format!("cannot read {copy}: {error}")))?;
        statement.terms = Some(Terms { uri: uri.clone(), hash: FileHash::of(&text) });
    }
    Ok(statement)
}

fn places(texts: &[String]) -> Answer<Vec<Subject>> {
    let place = |text: &String| Place::parse(text).map(Subject::Place).map_err(misused);
    texts.iter().map(place).collect()
}

fn delegation(request: &DelegateRequest) -> Answer<Delegation> {
    let mut uses = uses(&request.uses)?;
    uses.sort();
    uses.dedup();
    let mut scope = Vec::new();
    for text in &request.scope {
        // What is there is meant as files, anything else as a place.
        if std::path::Path::new(text).exists() {
            let works = Works::under(std::path::Path::new(text), false, &ProgressSender::none());
            let works = works.and_then(Works::whole).map_err(failed)?;
            scope.extend(works.into_iter().map(|work| Subject::Content(work.content)));
        } else {
            scope.extend(places(std::slice::from_ref(text))?);
        }
    }
    scope.sort();
    scope.dedup();
    if scope.len() > NAMED_MAX {
        let named = scope.len();
        return Err(misused(format!("--scope names {named} works: at most {NAMED_MAX}")));
    }
    let not_after_ms = now_ms().saturating_add(request.days.saturating_mul(DAY_MS));
    let (delegate, may_allow) = (request.to, request.may_allow);
    Ok(Delegation { delegate, uses, may_allow, scope, not_after_ms })
}
