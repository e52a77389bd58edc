//! What the demo does, step by step, and what must hold at each.
//!
//! Invariants: a promise is checked on what the nodes themselves answer. What it is not: printing
//! (see `report`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use protocol::{FileHash, PublicKey, RecordId};

use super::DemoError;
use super::ask::{ask, promise, wait, watch};
use super::data::{self, Files, OPTED_OUT, TRAINERS};
use super::nodes::{Node, Processes};
use super::opt_out::OptOut;
use super::picture;
use super::report::{Report, RoundLine, Summary};
use crate::api::dto::{
    AuditRequest, CreateRequest, EvalRequest, GetRequest, JoinRequest, OwnView, RoundView, RunView,
    ShareRequest,
};

/// Rounds of the demo's run.
const ROUNDS: u64 = 10;
/// After which round the contributor opts out.
const OPT_OUT_AFTER: u64 = 4;
/// What the final model must reach on held-out digits.
const ACCURACY_MIN: f64 = 0.93;

/// Tells the story in `dir`, with nodes that go on running after it.
pub(super) async fn tell(
    dir: &Path,
    processes: &mut Processes,
    report: &Report,
) -> Result<Summary, DemoError> {
    let started = Instant::now();
    let files = data::prepare(dir)?;
    report.open(&format!(
        "1,797 handwritten digits, {} of them held out",
        1_797 - files.rows.iter().sum::<u64>()
    ));
    report.open(&format!(
        "{TRAINERS} trainers hold the others, split by Dirichlet(0.5): {:?} rows",
        files.rows
    ));
    let mut nodes: Vec<Node> = Vec::new();
    for at in 1..=TRAINERS + 1 {
        let peers: Vec<String> = nodes.iter().flat_map(|node| node.addresses.clone()).collect();
        nodes.push(processes.start(dir, &format!("node-{at}"), &peers).await?);
    }
    report.open(&format!("four nodes are up after {:.1} s", started.elapsed().as_secs_f64()));
    told(&nodes, &files, dir, report, started).await
}

async fn told(
    nodes: &[Node],
    files: &Files,
    dir: &Path,
    report: &Report,
    started: Instant,
) -> Result<Summary, DemoError> {
    report.step("1. node-1 publishes an initial model; the others find it by name and fetch it");
    let owner = publish(nodes, files, report).await?;
    report.step("2. a run is created; node-1, node-2 and node-3 train");
    let run = create(nodes, files, report).await?;
    let record = train(nodes, files, &run, report).await?;
    report.step("4. the final model is published; node-4, which took no part, fetches it");
    let last = finished(&nodes[0], &run).await?;
    let (accuracy, fetched) = judge(&nodes[3], files, owner, &last, dir, report).await?;
    report.step("5. node-4 audits the run from the first round");
    let audit =
        ask(&nodes[3], nodes[3].client.audit(&run, &AuditRequest::default(), report.bar())).await?;
    promise(audit.rounds == ROUNDS && audit.model == last.model, || {
        format!(
            "the audit reaches round {ROUNDS} and root {}, not {} and {}",
            last.model, audit.rounds, audit.model
        )
    })?;
    report.say(&format!(
        "verified {} certificates, aggregated {} updates again in {} ms: same root",
        audit.rounds, audit.updates, audit.elapsed_ms
    ));
    report.step("6. an artist opts a picture out at node-1; node-4 scans a folder with copies");
    let copies = picture::refused(nodes, dir, report).await?;
    Ok(Summary {
        run,
        rounds: audit.rounds,
        accuracy,
        opted_out: OPTED_OUT as u64,
        record,
        copies,
        model: last.model,
        fetched_bytes: fetched,
        updates: audit.updates,
        signatures: audit.signatures,
        published: last.published.unwrap_or_default(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

async fn publish(nodes: &[Node], files: &Files, report: &Report) -> Result<PublicKey, DemoError> {
    let path = files.model.display().to_string();
    let request = ShareRequest { path, name: Some("digits".into()) };
    let shared = ask(&nodes[0], nodes[0].client.share(&request, report.bar())).await?;
    report.say(&format!(
        "node-1 shares {}/{} (revision {}, {} bytes)",
        shared.owner.short(),
        shared.name,
        shared.revision.short(),
        shared.bytes
    ));
    let model = format!("{}/digits", shared.owner);
    for node in &nodes[1..] {
        let known = |models: Vec<crate::api::dto::RevisionView>| {
            models.into_iter().find(|m| m.owner == shared.owner && m.name == "digits")
        };
        wait("the model's name to arrive", || async {
            ask(node, node.client.models()).await.map(known)
        })
        .await?;
        let request = GetRequest { model: model.clone(), out: None, overwrite: false };
        let got = ask(node, node.client.get(&request, report.bar())).await?;
        promise(got.revision.revision == shared.revision && got.revision.local, || {
            format!("{} holds revision {}", node.name, shared.revision)
        })?;
        report.fetched(&node.name, &got);
    }
    Ok(shared.owner)
}

async fn create(nodes: &[Node], files: &Files, report: &Report) -> Result<String, DemoError> {
    let held_out = files.held_out.display().to_string();
    let spec = format!(
        r#"name = "digits"

[model]
repo = "me/digits"
held_out = {held_out:?}

[rounds]
count = {ROUNDS}
updates_min = 2
train_seconds = 10
agree_ms = 500

[local]
epochs = 5
batch_size = 32
learning_rate = 0.1
momentum = 0.9

[aggregate]
norm_max = 20

[outer]
rate = 0.7
momentum = 0.7

[consent]
default = "opt-out"
cooling_hours = 0
"#
    );
    let request = CreateRequest { spec, dir: "/".into() };
    let view = ask(&nodes[0], nodes[0].client.create(&request, |_| ())).await?;
    let run = view.run.to_string();
    report.say(&format!(
        "run {} ({}): {} rounds, {} steward",
        view.run.short(),
        view.name,
        view.rounds_count,
        view.stewards.len()
    ));
    report.say("a work may be used until its maker says no");
    for (node, part) in nodes.iter().zip(&files.parts) {
        wait("the run to be announced", || async {
            let runs = ask(node, node.client.runs()).await?;
            Ok(runs.into_iter().find(|known| known.run == view.run))
        })
        .await?;
        let request =
            JoinRequest { data: part.display().to_string(), shows: false, invitation: None };
        ask(node, node.client.join(&run, &request)).await?;
    }
    Ok(run)
}

/// Watches the run; in the middle the contributor opts out. Returns the record.
async fn train(
    nodes: &[Node],
    files: &Files,
    run: &str,
    report: &Report,
) -> Result<RecordId, DemoError> {
    report.round_header();
    let mut opted_out: Option<OptOut> = None;
    for round in 1..=ROUNDS {
        let (view, own) = round_done(nodes, run, round).await?;
        report.round(&line(&view, &own));
        if round == OPT_OUT_AFTER {
            report.step(&format!(
                "3. a contributor opts {OPTED_OUT} works out, at node-2, with a key of their own"
            ));
            let registered = OptOut::register(nodes, files, run).await?;
            registered.tell(report);
            report.round_header();
            opted_out = Some(registered);
        }
        let Some(opted_out) = &opted_out else { continue };
        if round >= opted_out.from {
            let all = view.accepted.len() == TRAINERS;
            promise(all || round > opted_out.from, || {
                format!("all trainers are in round {round}")
            })?;
            opted_out.check(files, &own, round)?;
        }
        if round == opted_out.from {
            report.say(&format!(
                "exactly those {OPTED_OUT} works are left out from round {round} on: {:?} by node",
                files.opted_out
            ));
        }
    }
    let record = opted_out.map(|opted_out| opted_out.record);
    record.ok_or_else(|| DemoError::Promise("somebody opted out".into()))
}

/// The round as node-1 sees it once it is evaluated, and what each trainer says of its own part.
async fn round_done(
    nodes: &[Node],
    run: &str,
    round: u64,
) -> Result<(RoundView, Vec<Option<OwnView>>), DemoError> {
    let what = format!("round {round}");
    let found = |view: RunView| {
        view.history.into_iter().find(|r| r.round == round && r.evaluation.is_some())
    };
    let view = watch(&nodes[0], run, &what, found).await?;
    let mut own = Vec::new();
    for node in &nodes[..TRAINERS] {
        let found = |view: RunView| view.history.into_iter().find(|r| r.round == round);
        own.push(watch(node, run, &what, found).await?.own);
    }
    Ok((view, own))
}

fn line(view: &RoundView, own: &[Option<OwnView>]) -> RoundLine {
    let mut refused = BTreeMap::new();
    for own in own.iter().flatten() {
        for (record, count) in &own.excluded_by {
            *refused.entry(record.clone()).or_default() += count;
        }
    }
    RoundLine {
        round: view.round,
        evaluation: view.evaluation.clone(),
        bytes: own.iter().flatten().map(|own| own.update_bytes).collect(),
        used: own.iter().flatten().map(|own| own.used).sum(),
        refused,
        accepted: view.accepted.len(),
        model: view.model,
    }
}

/// The run's last view, once its model is published.
async fn finished(node: &Node, run: &str) -> Result<RunView, DemoError> {
    let published = |view: RunView| (view.finished && view.published.is_some()).then_some(view);
    watch(node, run, "the model to be published", published).await
}

/// Node-4 fetches the published model, hashes it and evaluates it.
async fn judge(
    node: &Node,
    files: &Files,
    owner: PublicKey,
    last: &RunView,
    dir: &Path,
    report: &Report,
) -> Result<(f64, u64), DemoError> {
    let published = last.published.clone().unwrap_or_default();
    wait("the new revision to arrive", || async {
        let models = ask(node, node.client.models()).await?;
        Ok(models.into_iter().find(|m| m.owner == owner && m.seq >= 2))
    })
    .await?;
    let out = dir.join("fetched");
    let out_text = Some(out.display().to_string());
    let request = GetRequest { model: published.clone(), out: out_text, overwrite: false };
    let got = ask(node, node.client.get(&request, report.bar())).await?;
    report.fetched(&node.name, &got);
    let path = out.join("model.safetensors");
    let bytes = std::fs::read(&path).map_err(|e| DemoError::Write(path.clone(), e))?;
    let hash = FileHash::of(&bytes);
    promise(hash == last.model, || {
        format!("{} hashes to the certified {}, not to {hash}", path.display(), last.model)
    })?;
    report.say(&format!("its bytes hash to {}, which the last round certifies", hash.short()));
    let data = files.held_out.display().to_string();
    let request = EvalRequest { model: published, data };
    let reply = ask(node, node.client.eval(&request, |_| ())).await?;
    let accuracy = reply.evaluation.accuracy();
    report.say(&format!(
        "{} of {} held-out digits are right: {:.1} %",
        reply.evaluation.correct,
        reply.evaluation.samples,
        accuracy * 100.0
    ));
    promise(accuracy >= ACCURACY_MIN, || {
        format!("the model reaches {:.0} %, not {:.1} %", ACCURACY_MIN * 100.0, accuracy * 100.0)
    })?;
    Ok((accuracy, got.fetched_bytes))
}
