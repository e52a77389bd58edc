//! Terms of other schemes: read into statements, and written from them.
//!
//! Invariants: a document that cannot be read is said to be so, and nothing of any is registered;
//! neither way weakens a refusal or widens a permission (see `consent::terms`). What it is not: a
//! crawler, or proof that whoever speaks may speak for the site.

use consent::terms::import::{Imports, Site, statements};
use consent::terms::{
    Fault, Place, Scheme, Scope, Term, ai_token, ai_txt, aipref, bigcode, content_signal, export,
    robots, rsl, tdmrep,
};
use consent::{Origin, Payload, RecordState, Statement, Subject, Use, Value};
use protocol::limits::OPT_IN_DAYS_MAX;
use protocol::{PublicKey, RecordId};

use super::consent_calls::DAY_MS;
use super::{NodeService, existing, failed, identity_failure, misused, own_failure};
use crate::api::Answer;
use crate::api::dto::{ExportReply, ExportRequest, ImportRequest, ScanSite};
use crate::clock::now_ms;
use crate::identity::Speaker;
use crate::ledger::{Beside, LedgerBook, Made};
use crate::scan::{TOKEN, read_document};

/// What documents say, in statements.
pub(super) fn imports(request: &ImportRequest) -> Answer<Imports> {
    let mut terms = Vec::new();
    if let Some(site) = &request.site {
        of_site(site, &mut terms)?;
    }
    if let Some(path) = &request.code_list {
        let found = bigcode::read(&read(path)?, &request.forge);
        match found.fault() {
            Some(error) => {
                return Err(failed(format!("{path}: {}; nothing was said", error.fault)));
            }
            None => terms.extend_from_slice(found.terms()),
        }
    }
    let site = request.site.as_ref().map(|site| Site::parse(&site.base)).transpose();
    let site = site.map_err(|error| misused(format!("--base: {error}")))?;
    let days = request.days.unwrap_or(1);
    if !(1..=OPT_IN_DAYS_MAX).contains(&days) {
        return Err(misused(format!("--days is {days}: 1 to {OPT_IN_DAYS_MAX} are allowed")));
    }
    let until_ms = request.days.map(|days| now_ms().saturating_add(days * DAY_MS));
    let imports = statements(&terms, site.as_ref(), until_ms).map_err(misused)?;
    match (imports.said.is_empty(), imports.left_out) {
        (false, _) => Ok(imports),
        (true, 0) => Err(failed("nothing about models stands there")),
        (true, _) => {
            Err(failed("only permissions stand there, and none that can be said as it is"))
        }
    }
}

fn of_site(site: &ScanSite, terms: &mut Vec<Term>) -> Answer<()> {
    let unread = |path: &str| {
        let path = path.to_owned();
        move |fault: Fault| failed(format!("{path}: {fault}; nothing was said"))
    };
    if let Some(path) = &site.robots {
        let bytes = read(path)?;
        let named = rsl::named_in_robots(&bytes);
        if named.len() > site.rsl.len() {
            let (named, given) = (named.join(", "), site.rsl.len());
            return Err(misused(format!(
                "{path} names the licences {named}, and --rsl gives {given}: give each"
            )));
        }
        let file = robots::Robots::parse(&bytes).map_err(unread(path))?;
        let vocabulary = aipref::Vocabulary::Unknown;
        terms.extend(ai_token::terms(&file).map_err(unread(path))?);
        terms.extend(aipref::terms(&file, TOKEN, vocabulary).map_err(unread(path))?);
        terms.extend(content_signal::terms(&file, TOKEN).map_err(unread(path))?);
    }
    if let Some(path) = &site.ai_txt {
        terms.extend(ai_txt::terms(&read(path)?).map_err(unread(path))?);
    }
    if let Some(path) = &site.tdmrep {
        terms.extend(tdmrep::terms(&read(path)?).map_err(unread(path))?);
    }
    for path in &site.rsl {
        let found = rsl::read(&read(path)?);
        if let Some(error) = found.fault() {
            return Err(unread(path)(error.fault.clone()));
        }
        terms.extend_from_slice(found.terms());
    }
    Ok(())
}

fn read(path: &str) -> Answer<Vec<u8>> {
    existing(path)?;
    read_document(path).map_err(failed)
}

/// Registers them, each with its words beside it.
pub(super) fn say_imports(
    ledger: &LedgerBook,
    who: &mut Speaker,
    imports: Imports,
    behalf: Option<PublicKey>,
) -> Answer<(String, Made)> {
    let all = imports.said.len();
    let refusals = imports.said.iter().filter(|it| it.statement.restricts()).count();
    let (mut made, now_ms) = (Made::new(), now_ms());
    for (done, imported) in imports.said.into_iter().enumerate() {
        who.remark_with(Some(imported.text));
        let new = ledger.state(who, &[imported.statement], behalf, now_ms).map_err(|error| {
            let failure = own_failure(error);
            let error = match done {
                0 => failure.error,
                done => {
                    format!("{done} of {all} statements were made, and then: {}", failure.error)
                }
            };
            crate::api::dto::Failure { error, ..failure }
        })?;
        made.extend(new);
    }
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let permissions = counted(all - refusals, "permission");
    let mut did = format!("said {} and {permissions}", counted(refusals, "refusal"));
    if imports.left_out > 0 {
        let left_out = counted(imports.left_out, "permission");
        did +=
            &format!("; left out {left_out} without an end (--days), or narrowed by other lines");
    }
    Ok((did, made))
}

impl NodeService {
    pub(super) fn export_terms(&self, request: &ExportRequest) -> Answer<ExportReply> {
        let scheme: Scheme = request.scheme.parse().map_err(misused)?;
        let site = Site::parse(&request.place).map_err(misused)?;
        tokio::task::block_in_place(|| {
            let of = self.key_of(request.of.as_deref().unwrap_or(crate::home::ME))?;
            let said = self.said_of(of, site.whole())?;
            if said.is_empty() {
                return Err(failed(format!("{of} said nothing of {}", request.place)));
            }
            let (term, verbatim) = self.term(&said, site.whole(), scheme)?;
            let exported = export::of_term(&term, scheme);
            let exported = exported.ok_or_else(|| {
                misused(format!(
                    "{scheme} is only read here; write aipref, robots, ai.txt, tdmrep, \
                                 x-robots or content-signal"
                ))
            })?;
            let text = exported.whole(scheme).map_err(failed)?;
            let records = said.into_iter().map(|(record, _)| record).collect();
            Ok(ExportReply { text, records, verbatim })
        })
    }

    /// A key, or that of an identity of this node.
    fn key_of(&self, text: &str) -> Answer<PublicKey> {
        match text.parse() {
            Ok(key) => Ok(key),
            Err(_) => {
                let summary = self.home.identities().summary(text).map_err(identity_failure)?;
                Ok(summary.author)
            }
        }
    }

    /// The statements that count of, or in the name of, an identity about a place.
    fn said_of(&self, of: PublicKey, place: &Place) -> Answer<Vec<(RecordId, Statement)>> {
        let (ledger, now_ms) = (&self.means.ledger, now_ms());
        let near: Vec<_> = ledger.with_ledger(|ledger| {
            ledger.about_place(place).into_iter().map(|slot| ledger.at(slot)).collect()
        });
        let mut said = Vec::new();
        for held in near {
            let Some(listed) = ledger.listed(&held.id).map_err(failed)? else { continue };
            let Payload::Statement(statement) = listed.payload else { continue };
            let is_theirs = held.feed.author == of
                || statement.behalf.is_some_and(|behalf| behalf.principal == of);
            let is_over = statement.not_after_ms.is_some_and(|end| end <= now_ms);
            if is_theirs && !is_over && listed.state == RecordState::Live {
                said.push((held.id, statement));
            }
        }
        Ok(said)
    }

    /// What statements say of all of a site, and whether it is in the words of one.
    fn term(
        &self,
        said: &[(RecordId, Statement)],
        site: &Place,
        scheme: Scheme,
    ) -> Answer<(Term, bool)> {
        let (mut origin, mut text) =
            (Origin { scheme: String::new(), version: String::new() }, String::new());
        if let [(record, Statement { origin: Some(named), .. })] = said
            && named.scheme == scheme.as_str()
            && let Beside::Text(words) = self.means.ledger.beside(record).map_err(failed)?
        {
            (origin, text) = (named.clone(), words);
        }
        let value = |about: Use| {
            let values = said.iter().map(|(_, statement)| {
                let value = statement.values()[about as usize];
                // A permission of a part is none of the whole; a refusal of a part becomes one.
                let holds = |subject: &Subject| {
                    matches!(subject, Subject::Place(place) if place.contains(site))
                };
                let counts = value.restricts() || statement.subjects.iter().any(holds);
                if counts { value } else { Value::Unset }
            });
            values.fold(Value::Unset, Value::join)
        };
        let rules = Use::ALL.into_iter().map(|about| (about, value(about)));
        let rules = rules.filter(|(_, value)| *value != Value::Unset).collect();
        let mut links = said.iter().filter_map(|(_, statement)| statement.terms.as_ref());
        let policy_url = links.next().filter(|_| said.len() == 1).map(|terms| terms.uri.clone());
        let term = Term {
            rules,
            scope: Scope::Whole,
            policy_url,
            origin,
            text,
            inferred: false,
            qualifiers: Vec::new(),
        };
        let verbatim = term.verbatim(scheme).is_some();
        Ok((term, verbatim))
    }
}
