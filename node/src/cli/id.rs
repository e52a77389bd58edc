//! `accord id`: create, list, show, passphrase, rotate, recover, export, import.
//!
//! Invariants: a passphrase goes to the node of this machine and nowhere else. What it is not: the
//! keys' keeper; the node is.

use crate::api::dto::{FeedView, IdReply, IdRequest, IdView, KeyAccess};

use super::context::{Context, absolute_text};
use super::error::CliError;
use super::id_args::IdVerb;
use super::output::Style;
use super::passphrase::{access, given, given_or_asked, new, opening, replacement};
use super::progress::Reporter;
use super::table::{Table, pairs};
use super::units::count;

pub(super) async fn act(context: &Context, verb: IdVerb) -> Result<(), CliError> {
    let request = request(context, verb).await?;
    let one = matches!(request, IdRequest::List { name: Some(_) });
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let reply = client.identities(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&reply?, |reply, style| text(reply, one, style))?;
    Ok(())
}

async fn request(context: &Context, verb: IdVerb) -> Result<IdRequest, CliError> {
    Ok(match verb {
        IdVerb::List => IdRequest::List { name: None },
        IdVerb::Show { name } => IdRequest::List { name: Some(name) },
        IdVerb::Create { name, recovery, passphrase, secret } => {
            let passphrase = new(secret.passphrase_file.as_deref(), passphrase)?;
            let recovery = recovery.as_deref().map(absolute_text).transpose()?;
            IdRequest::Create { name, keys: KeyAccess { passphrase, recovery } }
        }
        IdVerb::Passphrase { name, remove, new_passphrase_file, secret } => {
            let passphrase = opening(context, &name, secret.passphrase_file.as_deref()).await?;
            let new = match remove {
                true => None,
                false => Some(replacement(new_passphrase_file.as_deref())?),
            };
            IdRequest::Passphrase { name, passphrase, new }
        }
        IdVerb::Rotate { name, keys } => {
            let keys = access(context, &name, &keys).await?;
            IdRequest::Rotate { name, keys }
        }
        IdVerb::Recover { file, name, offline, secret } => {
            let passphrase = given(secret.passphrase_file.as_deref())?;
            IdRequest::Recover { file: absolute_text(&file)?, name, passphrase, offline }
        }
        IdVerb::Export { name, out, plain, secret } => {
            let file = secret.passphrase_file.as_deref();
            let passphrase = match plain {
                true => given(file)?,
                false => given_or_asked(file, "passphrase of the identity and its file: ")?,
            };
            let keys = KeyAccess { passphrase, recovery: None };
            IdRequest::Export { name, out: absolute_text(&out)?, plain, keys }
        }
        IdVerb::Import { file, name, secret } => {
            let sealed = std::fs::read_to_string(&file).is_ok_and(|text| text.contains("\nseal "));
            let secret = secret.passphrase_file.as_deref();
            let passphrase = match sealed {
                true => given_or_asked(secret, "passphrase of the file: ")?,
                false => None,
            };
            IdRequest::Import { file: absolute_text(&file)?, name, passphrase }
        }
    })
}

fn text(reply: &IdReply, one: bool, style: Style) -> String {
    if !reply.did.is_empty() || one {
        let told = match (reply.records.is_empty(), reply.peers) {
            (true, _) => String::new(),
            (false, 0) => "; no peer is connected; it is told to those who come".to_owned(),
            (false, peers) => format!("; sent to {}", count(peers as u64, "peer")),
        };
        let did = if one { String::new() } else { format!("{}{told}\n", reply.did) };
        let shown = reply.identities.iter().map(|identity| pairs(&lines(identity), style));
        return did + &shown.collect::<String>();
    }
    let mut table = Table::new(["name", "key", "feeds", "root key", "keys", "state"]);
    for identity in &reply.identities {
        let key = identity.key.map(|key| key.to_string()).unwrap_or_default();
        let feeds = identity.feeds.iter().map(|feed| feed.feed.to_string()).collect::<Vec<_>>();
        table.row([
            identity.name.clone(),
            key,
            feeds.join(" "),
            root(identity).to_owned(),
            keys(identity),
            state(identity),
        ]);
    }
    table.text(style)
}

fn lines(identity: &IdView) -> Vec<(&'static str, String)> {
    let mut lines = vec![("name", identity.name.clone())];
    if let Some(key) = identity.key {
        lines.push(("key", key.to_string()));
        lines.push(("root key", root(identity).to_owned()));
        lines.push(("keys", keys(identity)));
    }
    lines.push(("state", state(identity)));
    for FeedView { feed, records, forked_at } in &identity.feeds {
        let here = if *feed == identity.feed { ", signed here" } else { "" };
        let forked = forked_at.map(|at| format!(", forked at {at}")).unwrap_or_default();
        lines.push(("feed", format!("{feed}: {}{here}{forked}", count(*records, "record"))));
    }
    lines
}

const fn root(identity: &IdView) -> &'static str {
    match (identity.key.is_some(), identity.root_elsewhere) {
        (false, _) => "",
        (true, true) => "in its recovery file",
        (true, false) => "here",
    }
}

fn keys(identity: &IdView) -> String {
    let sealed = if identity.sealed { ", under a passphrase" } else { "" };
    match identity.rotations {
        0 => format!("the first{sealed}"),
        times => format!("replaced {}{sealed}", count(times as u64, "time")),
    }
}

fn state(identity: &IdView) -> String {
    match (&identity.fault, identity.doubt.as_deref()) {
        (Some(fault), _) => fault.clone(),
        (None, None) => "good".to_owned(),
        (None, Some("forked")) => "forked: `accord consent reconcile` joins it".to_owned(),
        (None, Some("retired")) => "its keys were replaced elsewhere: import it again".to_owned(),
        (None, Some(_)) => "begun with different root keys: it can only refuse".to_owned(),
    }
}
