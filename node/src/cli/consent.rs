//! `accord consent opt-out`, `opt-in` and `check`; `scan` has a file of its own.
//!
//! Invariants: works never leave the machine; only their ids do, and the node makes those.
//! What it is not: the ledger or the gate (see the crate `consent`).

use crate::api::dto::{
    CheckReply, CheckRequest, ConsentReply, ConsentRequest, HoldingView, OptInReply, Refusal,
};
use crate::home::ME;

use super::args::{ConsentVerb, SayArguments};
use super::context::{Context, absolute_text};
use super::error::CliError;
use super::output::Style;
use super::own;
use super::passphrase::access;
use super::progress::Reporter;
use super::proof;
use super::scan;
use super::table::{Table, pairs};
use super::units::{count, shorts};

/// Records that are shown one by one.
const RECORDS_SHOWN: usize = 8;

pub(super) async fn act(context: &Context, verb: ConsentVerb) -> Result<(), CliError> {
    match verb {
        ConsentVerb::Own(verb) => own::act(context, verb).await?,
        ConsentVerb::OptOut { say, exact, collection } => {
            let request = request(context, say, None).await?;
            let request = ConsentRequest { exact, collection, ..request };
            let client = context.client()?;
            let mut reporter = Reporter::new(context.out);
            let reply = client.opt_out(&request, |progress| reporter.say(progress)).await;
            reporter.end();
            let reply = reply?;
            context.out.show(&reply, opted_out_text)?;
            if reply.unread_count > 0 {
                return Err(CliError::Said);
            }
        }
        ConsentVerb::OptIn { say, days } => {
            let request = request(context, say, days).await?;
            let client = context.client()?;
            let mut reporter = Reporter::new(context.out);
            let reply = client.opt_in(&request, |progress| reporter.say(progress)).await;
            reporter.end();
            context.out.show(&reply?, opted_in_text)?;
        }
        ConsentVerb::Scan(arguments) => scan::act(context, arguments).await?,
        ConsentVerb::Check { path, use_name, default } => {
            let request = CheckRequest { path: absolute_text(&path)?, use_name, default };
            let client = context.client()?;
            let mut reporter = Reporter::new(context.out);
            let reply = client.check(&request, |progress| reporter.say(progress)).await;
            reporter.end();
            let about = request.use_name;
            context.out.show(&reply?, |reply, style| checked_text(reply, &about, style))?;
        }
        ConsentVerb::Prove(arguments) => proof::prove(context, arguments).await?,
        ConsentVerb::VerifyProof { file, policy } => {
            proof::verify(context, &file, policy.as_deref())?;
        }
    }
    Ok(())
}

async fn request(
    context: &Context,
    say: SayArguments,
    days: Option<u64>,
) -> Result<ConsentRequest, CliError> {
    let paths = say.paths.iter().map(|path| absolute_text(path)).collect::<Result<_, _>>()?;
    let keys = access(context, say.identity.as_deref().unwrap_or(ME), &say.keys).await?;
    let SayArguments { identity, uses, behalf, .. } = say;
    let (exact, collection) = (false, false);
    Ok(ConsentRequest { paths, identity, uses, days, keys, behalf, exact, collection })
}

fn opted_out_text(reply: &ConsentReply, style: Style) -> String {
    let mut lines = identity_lines(reply);
    let alike = match reply.alike {
        0 => "none: exact bytes only".to_owned(),
        alike => format!("{} by what is alike too", count(alike, "work")),
    };
    lines.push(("likeness", alike));
    lines.extend(record_lines(reply));
    headline(reply, "out") + &pairs(&lines, style)
}

fn headline(reply: &ConsentReply, way: &str) -> String {
    let (works, records) = (count(reply.works, "work"), reply.records.len() as u64);
    let told = match reply.peers {
        0 => "no peer is connected; it is told to those who come".to_owned(),
        peers => format!("sent to {}", count(peers as u64, "peer")),
    };
    format!("opted {works} {way} with {}; {told}\n", count(records, "record"))
}

fn identity_lines(reply: &ConsentReply) -> Vec<(&'static str, String)> {
    let mut lines = vec![("identity", format!("{} ({})", reply.identity, reply.name))];
    if let Some(keys) = &reply.made {
        lines.push(("its keys", format!("{keys} (made just now: keep a copy)")));
    }
    lines
}

fn record_lines(reply: &ConsentReply) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.extend(reply.collection.map(|root| ("collection", root.to_string())));
    // Of hundreds a person needs none; the first are the identity's own and the exact bytes.
    for record in reply.records.iter().take(RECORDS_SHOWN) {
        lines.push(("record", record.to_string()));
    }
    let more = reply.records.len().saturating_sub(RECORDS_SHOWN);
    if more > 0 {
        lines.push(("", format!("and {more} more records")));
    }
    if reply.dotted > 0 {
        lines.push(("left out", count(reply.dotted, "name") + " that begin with a dot"));
    }
    lines.extend(reply.unlike.iter().map(|why| ("exact only", why.clone())));
    lines.extend(reply.unread.iter().map(|why| ("NOT registered", why.clone())));
    let more = reply.unread_count.saturating_sub(reply.unread.len() as u64);
    if more > 0 {
        lines.push(("", format!("and {more} more that cannot be read")));
    }
    lines
}

fn opted_in_text(reply: &OptInReply, style: Style) -> String {
    let mut lines = identity_lines(&reply.said);
    lines.extend(record_lines(&reply.said));
    if !reply.lifted.is_empty() {
        let lifted = count(reply.lifted.len() as u64, "earlier record");
        lines.push(("taken back", format!("{lifted} that refused them")));
    }
    if reply.said.alike > 0 {
        let copies = "no yes is said of changed copies: where silence is no, each needs its own";
        lines.push(("copies", copies.to_owned()));
    }
    let identity = match reply.said.name.as_str() {
        ME => String::new(),
        name => format!(" --identity {name}"),
    };
    for HoldingView { record, works, held } in &reply.collections {
        let works = count(*works, "work");
        let why = format!("{held} by record {record}, a collection of {works}; to take that back");
        lines.push(("STILL REFUSED", format!("{why}: accord consent lift {record}{identity}")));
    }
    for Refusal { place, reason, records, .. } in &reply.still {
        let by = records.first().map(|record| format!(" (record {record})")).unwrap_or_default();
        lines.push(("STILL REFUSED", format!("{place}, {reason}{by}")));
    }
    let more = reply.still_count.saturating_sub(reply.still.len() as u64);
    if more > 0 {
        lines.push(("", format!("and {more} more works")));
    }
    headline(&reply.said, "in") + &pairs(&lines, style)
}

fn checked_text(reply: &CheckReply, about: &str, style: Style) -> String {
    let works = count(reply.works, "work");
    let (allowed, refused) = (reply.allowed, reply.refused);
    let mut text = format!("{about}: of {works}, {allowed} may be used and {refused} may not\n");
    if reply.refusals.is_empty() {
        return text;
    }
    let mut table = Table::new(["refused", "records", "why"]);
    for refusal in &reply.refusals {
        table.row([refusal.place.clone(), shorts(&refusal.records), refusal.reason.clone()]);
    }
    text += &table.text(style);
    let more = refused.saturating_sub(reply.refusals.len() as u64);
    if more > 0 {
        text += &format!("and {more} more\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::{ContentId, RecordId, SecretKey};

    use super::*;

    fn reply() -> ConsentReply {
        ConsentReply {
            identity: SecretKey::from_seed(&[1; 32]).public(),
            name: "artist".into(),
            made: Some("/d/identities/artist".into()),
            works: 100,
            alike: 7,
            collection: None,
            dotted: 2,
            unread: vec!["bad.csv: is empty".into()],
            unread_count: 3,
            unlike: vec!["cut.jpg: cut off".into()],
            records: vec![RecordId::of(b"record")],
            peers: 3,
        }
    }

    #[test]
    fn a_record_is_shown_whole_where_it_is_made() {
        let mut reply = reply();
        let record = reply.records[0];
        let text = opted_out_text(&reply, Style::PLAIN);
        assert!(text.starts_with("opted 100 works out with 1 record; sent to 3 peers\n"), "{text}");
        assert!(text.contains(&record.to_string()) && text.contains("keep a copy"), "{text}");
        for said in [
            "7 works by what is alike",
            "2 names that begin with a dot",
            "NOT registered  bad.csv: is empty",
            "exact only      cut.jpg",
            "and 2 more that cannot be read",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        reply.peers = 0;
        assert!(opted_out_text(&reply, Style::PLAIN).contains("no peer is connected"));
    }

    #[test]
    fn what_refuses_after_an_opt_in_is_named_with_what_lifts_it() {
        let said = ConsentReply { name: "artist".into(), ..reply() };
        let (collection, other) = (RecordId::of(b"collection"), RecordId::of(b"other"));
        let refusal = Refusal {
            place: "a.png".into(),
            content: ContentId::of(b"work"),
            reason: "mine: denied, by its pdq code, 3 of 256 bits away".into(),
            records: vec![other],
        };
        let reply = OptInReply {
            said,
            lifted: vec![RecordId::of(b"lifted")],
            collections: vec![HoldingView { record: collection, works: 20, held: 1 }],
            still: vec![refusal],
            still_count: 3,
        };
        let text = opted_in_text(&reply, Style::PLAIN);
        for said in [
            "opted 100 works in with 1 record",
            "1 earlier record that refused them",
            "copies",
            &format!("1 by record {collection}, a collection of 20 works"),
            &format!("accord consent lift {collection} --identity artist\n"),
            &format!("a.png, mine: denied, by its pdq code, 3 of 256 bits away (record {other})"),
            "and 2 more works",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let me = ConsentReply { name: ME.into(), alike: 0, ..reply.said.clone() };
        let text = opted_in_text(&OptInReply { said: me, ..reply }, Style::PLAIN);
        assert!(!text.contains("--identity") && !text.contains("copies"), "{text}");
    }

    #[test]
    fn refusals_name_place_reason_and_records() {
        let records = vec![RecordId::of(b"record")];
        let refusal = Refusal {
            place: "a.csv row 3".into(),
            content: ContentId::of(b"work"),
            reason: "denied".into(),
            records,
        };
        let reply = CheckReply { works: 5, allowed: 2, refused: 3, refusals: vec![refusal] };
        let text = checked_text(&reply, "mine", Style::PLAIN);
        assert!(text.starts_with("mine: of 5 works, 2 may be used and 3 may not\n"), "{text}");
        assert!(text.contains("a.csv row 3") && text.ends_with("and 2 more\n"), "{text}");
    }
}
