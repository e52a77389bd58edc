//! The verbs of `accord consent` that make or show records that are not about files here.
//!
//! Invariants: every verb is one request. What it is not: the meaning of a record (see the crate
//! `consent`).

use crate::api::dto::{
    AttestRequest, DelegateRequest, OwnAct, OwnReply, OwnRequest, RecordView, RecordsReply,
    RecordsRequest, RemarkView, SayRequest,
};
use crate::home::ME;

use super::context::{Context, absolute_text};
use super::error::CliError;
use super::output::Style;
use super::own_args::{OwnVerb, SayOwnArguments, SpeakerArguments};
use super::passphrase::access;
use super::progress::Reporter;
use super::table::{Table, pairs};
use super::terms;
use super::units::count;

pub(super) async fn act(context: &Context, verb: OwnVerb) -> Result<(), CliError> {
    let (mut behalf, mut remark) = (None, None);
    let (speaker, act) = match verb {
        OwnVerb::Records { author, .. } => {
            let request = author.map_or(RecordsRequest::Mine, RecordsRequest::Author);
            return show(context, &request, false).await;
        }
        OwnVerb::Show { record } => {
            return show(context, &RecordsRequest::Record(record), true).await;
        }
        OwnVerb::Say(mut arguments) => {
            (behalf, remark) = (arguments.behalf.take(), arguments.remark.take());
            let request = say_request(&mut arguments)?;
            (arguments.speaker, OwnAct::Say(request))
        }
        OwnVerb::Import(mut arguments) => {
            behalf = arguments.behalf.take();
            let request = arguments.request()?;
            (arguments.speaker, OwnAct::Import(request))
        }
        OwnVerb::Export(arguments) => return terms::export(context, arguments).await,
        OwnVerb::Delegate { to, uses, allow, scope, days, speaker } => {
            let scope = scope.into_iter().map(scope_text).collect::<Result<_, _>>()?;
            let request = DelegateRequest { to, uses, may_allow: allow, scope, days };
            (speaker, OwnAct::Delegate(request))
        }
        OwnVerb::Revoke(named) => (named.speaker, OwnAct::Revoke(named.records)),
        OwnVerb::Lift(named) => (named.speaker, OwnAct::Lift(named.records)),
        OwnVerb::Attest { records, of, standing, evidence, speaker } => {
            remark = Some(evidence);
            let request = AttestRequest { records, identities: of, standing };
            (speaker, OwnAct::Attest(request))
        }
        OwnVerb::Dispute { records, reason, speaker } => {
            remark = Some(reason);
            (speaker, OwnAct::Dispute(records))
        }
        OwnVerb::Erase(named) => (named.speaker, OwnAct::Erase(named.records)),
        OwnVerb::Compromised { root, from_seq, speaker, .. } => {
            (speaker, OwnAct::Compromised { root, from_seq })
        }
        OwnVerb::Reconcile(speaker) => (speaker, OwnAct::Reconcile),
    };
    let SpeakerArguments { identity, keys } = speaker;
    let keys = access(context, identity.as_deref().unwrap_or(ME), &keys).await?;
    let request = OwnRequest { identity, keys, behalf, act, remark };
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let reply = client.say(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&reply?, said_text)?;
    Ok(())
}

fn say_request(arguments: &mut SayOwnArguments) -> Result<SayRequest, CliError> {
    let value = match (arguments.allow, arguments.constrained) {
        (true, _) => "allow",
        (_, true) => "constrained",
        _ => "deny",
    };
    let copy = arguments.terms_copy.as_deref().map(absolute_text).transpose()?;
    Ok(SayRequest {
        value: value.to_owned(),
        uses: std::mem::take(&mut arguments.uses),
        places: std::mem::take(&mut arguments.places),
        everything: arguments.everything,
        days: arguments.days,
        terms: arguments.terms.take().zip(copy),
    })
}

/// A file or directory as an absolute path, anything else as it is.
fn scope_text(text: String) -> Result<String, CliError> {
    let path = std::path::Path::new(&text);
    if path.exists() { absolute_text(path) } else { Ok(text) }
}

async fn show(context: &Context, request: &RecordsRequest, one: bool) -> Result<(), CliError> {
    let reply = context.client()?.records(request).await?;
    context.out.show(&reply, |reply, style| match &reply.records[..] {
        [record] if one => record_text(record, style),
        _ => records_text(reply, style),
    })?;
    Ok(())
}

fn said_text(reply: &OwnReply, style: Style) -> String {
    let told = match reply.peers {
        0 => "no peer is connected; it is told to those who come".to_owned(),
        peers => format!("sent to {}", count(peers as u64, "peer")),
    };
    let mut lines = vec![("identity", format!("{} ({})", reply.identity, reply.name))];
    for record in &reply.records {
        lines.push(("record", record.to_string()));
    }
    format!("{}; {told}\n", reply.did) + &pairs(&lines, style)
}

fn records_text(reply: &RecordsReply, style: Style) -> String {
    let mut table = Table::new(["record", ">feed", ">seq", "state", "kind", "says"]);
    for record in &reply.records {
        table.row([
            record.record.to_string(),
            record.feed.to_string(),
            record.seq.to_string(),
            record.state.clone(),
            record.kind.clone(),
            record.says.clone(),
        ]);
    }
    let more = reply.total.saturating_sub(reply.records.len() as u64);
    let more = if more > 0 { format!("and {more} older\n") } else { String::new() };
    table.text(style) + &more
}

fn record_text(record: &RecordView, style: Style) -> String {
    let mut lines = vec![
        ("record", record.record.to_string()),
        ("author", record.author.to_string()),
        ("feed", format!("{}, record {}", record.feed, record.seq)),
        ("kind", record.kind.clone()),
        ("state", record.state.clone()),
        ("says", record.says.clone()),
    ];
    match &record.remark {
        RemarkView::None => {}
        RemarkView::Text(text) => lines.push(("remark", text.clone())),
        RemarkView::NotHere => {
            lines.push(("remark", "not here, nor with any connected peer".into()))
        }
        RemarkView::Erased => lines.push(("remark", "erased, as its author asked".into())),
    }
    for (by, standing) in &record.attested {
        lines.push(("standing", format!("{standing}, says {by}")));
    }
    pairs(&lines, style)
}
