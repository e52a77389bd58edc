//! `accord share`, `models`, `get` and `eval`.
//!
//! Invariants: what the next command needs is printed so that it can be copied.
//! What it is not: formats or transfers; the node does both.

use crate::api::dto::{EvalReply, EvalRequest, GetReply, GetRequest, RevisionView, ShareRequest};

use super::args::{EvalArguments, GetArguments, ShareArguments};
use super::context::{Context, absolute_text, model_text};
use super::error::CliError;
use super::output::Style;
use super::progress::Reporter;
use super::table::{Table, pairs};
use super::units::{count, duration, micro, percent, rate, short, shorts, size};

pub(super) async fn share(context: &Context, arguments: &ShareArguments) -> Result<(), CliError> {
    let path = absolute_text(&arguments.path)?;
    let request = ShareRequest { path, name: arguments.name.clone() };
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let shared = client.share(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&shared?, shared_text)?;
    Ok(())
}

pub(super) async fn list(context: &Context) -> Result<(), CliError> {
    let models = context.client()?.models().await?;
    context.out.show(models.as_slice(), models_text)?;
    Ok(())
}

pub(super) async fn get(context: &Context, arguments: GetArguments) -> Result<(), CliError> {
    let out = arguments.out.as_deref().map(absolute_text).transpose()?;
    let client = context.client()?;
    let request = GetRequest { model: arguments.model, out, overwrite: arguments.overwrite };
    let mut reporter = Reporter::new(context.out);
    let got = client.get(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&got?, got_text)?;
    Ok(())
}

pub(super) async fn eval(context: &Context, arguments: &EvalArguments) -> Result<(), CliError> {
    let model = model_text(&arguments.model)?;
    let request = EvalRequest { model, data: absolute_text(&arguments.data)? };
    let client = context.client()?;
    let mut reporter = Reporter::new(context.out);
    let reply = client.eval(&request, |progress| reporter.say(progress)).await;
    reporter.end();
    context.out.show(&reply?, eval_text)?;
    Ok(())
}

/// Names that were not shared, if any.
fn left_out_text(names: u64) -> Option<String> {
    let verb = if names == 1 { "was" } else { "were" };
    (names > 0).then(|| format!("{} starting with a dot {verb} left out", count(names, "name")))
}

fn shared_text(view: &RevisionView, style: Style) -> String {
    let (files, bytes) = (count(view.files.len() as u64, "file"), size(view.bytes));
    let first = format!("shared {} as revision {}: {files}, {bytes}\n", view.name, view.seq);
    let left_out = left_out_text(view.left_out).map_or_else(String::new, |text| text + "\n");
    first
        + &left_out
        + &pairs(
            &[
                ("revision", view.revision.to_string()),
                ("elsewhere", format!("accord get {}/{}", view.owner, view.name)),
            ],
            style,
        )
}

fn models_text(models: &[RevisionView], style: Style) -> String {
    if models.is_empty() {
        return "no models yet: publish one with `accord share PATH`".to_owned();
    }
    let mut table = Table::new(["model", ">rev", "revision", ">files", ">size", "here", "note"]);
    for view in models {
        let note = if view.forked { "forked: its owner signed two of this number" } else { "" };
        // Until its manifest is here, a revision's files are not known.
        let known = |text: String| if view.files.is_empty() { "-".to_owned() } else { text };
        table.row([
            format!("{}/{}", short(view.owner), view.name),
            view.seq.to_string(),
            short(view.revision),
            known(view.files.len().to_string()),
            known(size(view.bytes)),
            if view.local { "yes" } else { "no" }.to_owned(),
            note.to_owned(),
        ]);
    }
    table.text(style)
}

fn got_text(reply: &GetReply, style: Style) -> String {
    let view = &reply.revision;
    let model = format!("{}/{}", short(view.owner), view.name);
    let first = match reply.fetched_bytes {
        0 => format!("{model} is here already, verified\n"),
        bytes => format!(
            "fetched {model}, verified: {} in {} ({}) from {}\n",
            size(bytes),
            duration(reply.elapsed_ms),
            rate(bytes, reply.elapsed_ms),
            shorts(&reply.from),
        ),
    };
    let mut lines = vec![("revision", format!("{} (number {})", view.revision, view.seq))];
    if let Some(out) = &reply.out {
        lines.push(("written to", out.clone()));
    }
    let mut table = Table::new(["file", ">size", "blake3"]);
    for file in &view.files {
        table.row([file.path.clone(), size(file.bytes), file.blake3.to_string()]);
    }
    first + &pairs(&lines, style) + &table.text(style)
}

fn eval_text(reply: &EvalReply, style: Style) -> String {
    let result = &reply.evaluation;
    let right = format!("{} of {} right", result.correct, count(result.samples, "sample"));
    let mut lines = vec![
        ("accuracy", format!("{} ({right})", percent(result.accuracy()))),
        ("loss", micro(result.loss_micro)),
        ("model", reply.model.to_string()),
    ];
    if reply.excluded > 0 {
        let excluded = format!("{} for want of consent to evaluate", count(reply.excluded, "row"));
        lines.push(("left out", excluded));
    }
    pairs(&lines, style)
}

#[cfg(test)]
mod tests {
    use protocol::{FileHash, RevisionId, SecretKey};

    use super::*;
    use crate::api::dto::{EvalView, FileView};

    fn view() -> RevisionView {
        let blake3 = FileHash::of(b"file");
        RevisionView {
            owner: SecretKey::from_seed(&[1; 32]).public(),
            name: "digits".into(),
            revision: RevisionId::of(b"revision"),
            seq: 2,
            files: vec![FileView { path: "config.json".into(), bytes: 2_048, blake3 }],
            bytes: 2_048,
            local: true,
            forked: false,
            left_out: 0,
        }
    }

    #[test]
    fn what_is_needed_next_can_be_copied() {
        let view = view();
        let text = shared_text(&view, Style::PLAIN);
        assert!(text.contains(&format!("accord get {}/digits\n", view.owner)), "{text}");
        let text = models_text(std::slice::from_ref(&view), Style::PLAIN);
        assert!(text.contains(&format!("{}/digits", view.owner.short())), "{text}");
        assert!(models_text(&[], Style::PLAIN).contains("accord share"));
        let mut reply = GetReply {
            from: vec![view.owner],
            revision: view,
            fetched_bytes: 2_048,
            elapsed_ms: 2,
            out: Some("/out".into()),
        };
        let text = got_text(&reply, Style::PLAIN);
        assert!(text.contains("2.0 KiB in 2 ms (1000.0 KiB/s) from "), "{text}");
        assert!(text.contains("written to  /out"), "{text}");
        reply.fetched_bytes = 0;
        assert!(got_text(&reply, Style::PLAIN).contains("here already"));
    }

    #[test]
    fn what_was_left_out_is_counted() {
        assert_eq!(left_out_text(0), None);
        assert_eq!(left_out_text(1).as_deref(), Some("1 name starting with a dot was left out"));
        let text = shared_text(&RevisionView { left_out: 2, ..view() }, Style::PLAIN);
        assert!(text.contains("2 names starting with a dot were left out"), "{text}");
    }

    #[test]
    fn an_evaluation_says_what_was_left_out() {
        let evaluation = EvalView { samples: 360, correct: 350, loss_micro: 91_000 };
        let reply = EvalReply { model: FileHash::of(b""), evaluation, excluded: 1 };
        let text = eval_text(&reply, Style::PLAIN);
        assert!(text.contains("97.2 % (350 of 360 samples right)"), "{text}");
        assert!(text.contains("1 row for want of consent"), "{text}");
    }
}
