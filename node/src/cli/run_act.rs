//! `accord run invite`, `motion`, `members`, `follow`, `log` and `export`.
//!
//! Invariants: a log that is followed shows each round once, and ends with the run, with Ctrl-C, or with an
//! error if the node stops first. What it is not: how rounds look in `status` (see `rounds`).

use std::path::Path;

use crate::api::dto::{
    AuditsView, ChangeName, LogReport, LogView, MemberView, MembersView, MotionView, RunAct,
    RunActReply, RunActRequest,
};
use crate::signals::Signals;

use super::args::RunArgument;
use super::context::{Context, absolute_text};
use super::error::CliError;
use super::output::Style;
use super::progress::Reporter;
use super::run_args::ChangeArgument;
use super::table::{Table, pairs};
use super::units::{count, micro, percent, short, shorts, size};

/// Asks the node, with a bar for what takes long.
async fn ask(context: &Context, run: &str, act: RunAct) -> Result<RunActReply, CliError> {
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let request = RunActRequest { run: run.to_owned(), act };
    let reply = client.run_act(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    Ok(reply?)
}

/// Asks, and shows the answer.
pub(super) async fn act(context: &Context, run: &RunArgument, act: RunAct) -> Result<(), CliError> {
    let reply = ask(context, &run.run, act).await?;
    context.out.show(&reply, reply_text)?;
    Ok(())
}

/// `accord run export`.
pub(super) async fn export(
    context: &Context,
    run: &RunArgument,
    out: &Path,
    updates: bool,
) -> Result<(), CliError> {
    act(context, run, RunAct::Export { out: absolute_text(out)?, updates }).await
}

/// `accord run log`.
pub(super) async fn log(
    context: &Context,
    run: &RunArgument,
    from: u64,
    follow: bool,
) -> Result<(), CliError> {
    let mut next = from.max(1);
    if !follow {
        return show_log(context, &run.run, &mut next).await;
    }
    let mut watch = context.client()?.watch(&run.run).await?;
    let mut signals = Signals::new().map_err(CliError::System)?;
    loop {
        let view = tokio::select! {
            view = watch.next() => view?.ok_or(CliError::Stopped)?,
            () = signals.next() => return Ok(()),
        };
        // An evaluation under way belongs to its round.
        let waits = |round: u64| view.evaluating.is_some_and(|first| round >= first);
        if view.round >= next && !waits(next) {
            show_log(context, &view.run.to_string(), &mut next).await?;
        }
        if view.finished && next > view.round {
            return Ok(());
        }
    }
}

async fn show_log(context: &Context, run: &str, next: &mut u64) -> Result<(), CliError> {
    loop {
        let reply = ask(context, run, RunAct::Log { from: *next }).await?;
        let RunActReply::Log(rounds) = reply else { return Ok(()) };
        if rounds.is_empty() {
            return Ok(());
        }
        for round in &rounds {
            context.out.show(round, log_text)?;
            *next = round.round + 1;
        }
    }
}

fn reply_text(reply: &RunActReply, style: Style) -> String {
    match reply {
        RunActReply::Followed { name, .. } => {
            format!("following {name} from now on, also after a restart")
        }
        RunActReply::Invitation { run, invitation, .. } => format!(
            "{invitation}\n\nwith this text the trainer joins: accord run join {run} --data FILE \
             --invitation TEXT"
        ),
        RunActReply::Motion(motion) => motion_text(motion),
        RunActReply::Members(members) => members_text(members, style),
        RunActReply::Log(rounds) => rounds.iter().map(|round| log_text(round, style)).collect(),
        RunActReply::Exported { out, rounds, files, bytes } => format!(
            "wrote {} in {} of {} to {out}; its README.md says what is what",
            count(*rounds, "round"),
            count(*files, "file"),
            size(*bytes)
        ),
    }
}

fn change_text(change: ChangeName) -> &'static str {
    match change {
        ChangeName::Appoint => "appoint",
        ChangeName::Dismiss => "dismiss",
        ChangeName::Remove => "remove",
        ChangeName::Readmit => "readmit",
    }
}

/// A motion with how far it is.
pub(super) fn motion_text(motion: &MotionView) -> String {
    let (moved, needed) = (motion.moved_by.len(), motion.needed);
    let state = if moved >= needed {
        "the next certified round carries it out".to_owned()
    } else {
        format!("{} more must move it", count((needed - moved) as u64, "steward"))
    };
    let change = change_text(motion.change);
    format!("{change} {}: moved by {moved} of the {needed} it takes; {state}", motion.node)
}

fn members_text(view: &MembersView, style: Style) -> String {
    let mut text = pairs(
        &[
            ("run", view.run.to_string()),
            ("after", format!("round {}", view.round)),
            ("stewards", format!("{}: {}", view.stewards.len(), shorts(&view.stewards))),
        ],
        style,
    );
    for motion in &view.motions {
        text += &format!("motion     {}\n", motion_text(motion));
    }
    if view.members.is_empty() {
        return text + "\nno update has counted yet";
    }
    let mut table =
        Table::new(["trainer", ">since", ">counted", ">late", ">rejected", "audits", "standing"]);
    for member in &view.members {
        table.row([
            short(member.trainer),
            member.since.to_string(),
            member.accepted.to_string(),
            member.late.to_string(),
            member.rejected.values().sum::<u64>().to_string(),
            audits_text(&member.audits),
            standing(member, view.probation_rounds),
        ]);
    }
    text += &format!("\n{}", table.text(style));
    for member in &view.members {
        for (reason, times) in &member.rejected {
            let times = count(*times, "time");
            let line = format!("{} was rejected {times}: {reason}", short(member.trainer));
            text += &(style.bad(&line) + "\n");
        }
    }
    text
}

/// What audits found, in a few words.
fn audits_text(audits: &AuditsView) -> String {
    let of =
        |found: u64, all: u64, what: &str| (all > 0).then(|| format!("{what} {found} of {all}"));
    let alike = (audits.alike > 0).then(|| format!("alike {}", audits.alike));
    let parts = [
        of(audits.passed, audits.evaluated, "passed"),
        of(audits.matched, audits.retrained, "same again"),
        alike,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "none yet".into() } else { parts.join(", ") }
}

/// A report in a line.
fn report_text(report: &LogReport) -> String {
    let mut text = format!(
        "  audited   {}  by {} in round {}",
        short(report.trainer),
        short(report.auditor),
        report.round
    );
    let Some(said) = &report.said else { return text + ": the report is not here" };
    if let (Some(before), Some(after), Some(samples)) =
        (said.before_micro, said.after_micro, said.samples)
    {
        let samples = count(samples, "sample");
        text += &format!(": loss {} to {} on {samples}", micro(before), micro(after));
        if let Some(control) = said.control_micro {
            text += &format!(", {} with another's", micro(control));
        }
    }
    if let (Some(segment), Some(segments), Some(found)) =
        (said.segment, said.segments, &said.retraining)
    {
        text += &format!("; part {} of {segments} trained again: {found}", segment + 1);
    }
    text
}

fn standing(member: &MemberView, probation_rounds: u32) -> String {
    let part = if member.removed {
        "removed".to_owned()
    } else if member.accepted < probation_rounds.into() {
        format!("on trial: {} of {probation_rounds}", member.accepted)
    } else {
        "full weight".to_owned()
    };
    match member.voucher {
        Some(voucher) => format!("{part}; vouched for by {}", short(voucher)),
        None => part,
    }
}

/// A round of the log, in a few lines.
fn log_text(round: &LogView, style: Style) -> String {
    let signed = count(round.signed_by.len() as u64, "steward");
    let evaluation = round.evaluation.as_ref().map_or_else(String::new, |found| {
        format!("; accuracy {}, loss {}", percent(found.accuracy()), micro(found.loss_micro))
    });
    let heading = format!("round {}", round.round);
    let mut text = format!("{}  {}\n", style.bold(&heading), round.id);
    text += &format!("  signed by {signed} at attempt {}{evaluation}\n", round.attempt);
    text += &format!("  model {}\n", round.hashes.model_out);
    for update in &round.accepted {
        let used = update.used.map_or_else(String::new, |used| format!(", {used} samples"));
        let late = if update.late { ", late" } else { "" };
        let voucher = update
            .voucher
            .map_or_else(String::new, |voucher| format!(", vouched for by {}", short(voucher)));
        let weight = match update.weight {
            0 => "on trial".to_owned(),
            weight => format!("weight {weight}"),
        };
        let trainer = short(update.trainer);
        text += &format!("  counted   {trainer}  {weight}{used}{late}{voucher}\n");
    }
    for rejected in &round.rejected {
        let line = format!("  rejected  {}  {}", short(rejected.trainer), rejected.reason);
        text += &(style.bad(&line) + "\n");
    }
    for pair in &round.found.alike {
        let [one, other] = pair.trainers.map(short);
        let cosine = f64::from(pair.cosine_milli) / 1e3;
        let line = format!("  alike     {one} and {other}: cosine {cosine}");
        text += &(style.bad(&line) + "\n");
    }
    for report in &round.found.reports {
        text += &(report_text(report) + "\n");
    }
    for change in &round.changes {
        let (what, cause) = (change_text(change.change), &change.cause);
        text += &format!("  changed   {what} {} because of a proven {cause}\n", change.node);
    }
    text
}

/// The name of a change as typed.
pub(super) fn change_name(argument: ChangeArgument) -> ChangeName {
    match argument {
        ChangeArgument::Appoint => ChangeName::Appoint,
        ChangeArgument::Dismiss => ChangeName::Dismiss,
        ChangeArgument::Remove => ChangeName::Remove,
        ChangeArgument::Readmit => ChangeName::Readmit,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use protocol::{RunId, SecretKey};

    use super::*;

    fn member(accepted: u64) -> MemberView {
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        MemberView {
            trainer: key(1),
            voucher: Some(key(2)),
            since: 1,
            last: 4,
            accepted,
            late: 1,
            rejected: BTreeMap::from([("its norm is too large".to_owned(), 2)]),
            removed: false,
            audits: AuditsView { evaluated: 9, passed: 8, alike: 2, ..AuditsView::default() },
        }
    }

    #[test]
    fn members_show_their_standing_and_why_they_were_rejected() {
        let stewards = vec![SecretKey::from_seed(&[3; 32]).public()];
        let motion = MotionView {
            change: ChangeName::Remove,
            node: stewards[0],
            moved_by: stewards.clone(),
            needed: 3,
        };
        let members = vec![member(2), MemberView { removed: true, ..member(9) }];
        let view = MembersView {
            run: RunId::of(b""),
            round: 4,
            stewards,
            probation_rounds: 3,
            members,
            motions: vec![motion],
        };
        let text = members_text(&view, Style::PLAIN);
        for part in [
            "on trial: 2 of 3; vouched for by",
            "removed; vouched for",
            "2 times: its norm is too large",
            "passed 8 of 9, alike 2",
            "moved by 1 of the 3 it takes; 2 stewards more must move it",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
