//! Bytes of each node, by the number of nodes.
//!
//! `cargo bench -p tests --bench scale [-- --nodes N --seed N --svg FILE | --cut]`: simulated runs of two rounds on a
//! mesh of bounded degree, with a committee of four (ten nodes) or seven stewards and at most two hundred
//! trainers; the others follow. Training is a seeded stand-in, so updates and models are small: what they
//! are worth for a real one is in the number of updates, which the table gives as well. `--svg` writes a
//! plot of what one node sends a round.
//!
//! `--cut` shows instead what updates cost stewards and trainers when rounds are cut in slices and when they
//! are not: 7 stewards, a model of 64 chunks, rounds after the first (in which nobody has a standing yet).
//!
//! What it is not: a network. Delays are drawn, and frames, handshakes and control traffic are not counted.

use std::fmt::Write;
use std::time::Instant;

use tests::sim::{Plane, Report, Scenario, Traffic, measure};

/// Pixels of the plot, and of the room for its labels.
const SIZE: (f64, f64) = (640.0, 400.0);
const MARGIN: f64 = 60.0;
/// Colours of the lines.
const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#588157", "#6d597a"];

/// One size, measured.
struct Row {
    nodes: usize,
    scenario: Scenario,
    report: Report,
    traffic: Traffic,
    seconds: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        Some(words.get(at + 1).unwrap_or_else(|| panic!("{name} takes a value")).clone())
    };
    if words.iter().any(|word| word == "--cut") {
        return cut();
    }
    let number = |name: &str| after(name).map(|word| word.parse::<u64>().expect("a number"));
    let seed = number("--seed").unwrap_or(0);
    let sizes = number("--nodes").map(|nodes| vec![nodes as usize]);
    let sizes = sizes.unwrap_or_else(|| Scenario::MESHES.to_vec());
    let rows: Vec<Row> = sizes.into_iter().map(|nodes| row(nodes, seed)).collect();
    print!("{}", table(&rows));
    if let Some(file) = after("--svg") {
        std::fs::write(&file, plot(&rows)).expect("the plot can be written");
    }
}

/// Trainers, and slices of 64 chunks, that are compared.
const TRAINERS: [usize; 4] = [25, 50, 100, 250];
const CUTS: [u32; 3] = [1, 16, 64];
/// Rounds of the longer of two runs; the other has one.
const ROUNDS: u64 = 4;

/// Prints bytes a round of updates and of gossip, by trainers and slices.
fn cut() {
    println!(
        "| trainers | slices | updates and slices, a steward receives | a trainer sends | a trainer receives | gossip, any node |\n\
         |---|---|---|---|---|---|"
    );
    for trainers in TRAINERS {
        for slices in CUTS {
            let runs = [1, ROUNDS].map(|rounds| {
                let scenario = Scenario::cut(trainers, 64, slices, rounds);
                measure(0, &scenario).unwrap_or_else(|failure| panic!("{failure}")).1
            });
            let each = |part: std::ops::Range<usize>, plane: Plane| {
                let [one, all] = [0, 1].map(|at: usize| runs[at].of(part.clone(), plane).0);
                let a_round = |all: u64, one: u64| (all - one) / (ROUNDS - 1);
                (a_round(all.sent, one.sent), a_round(all.received, one.received))
            };
            let (stewards, of_trainers) = (0..7, 7..7 + trainers);
            let (_, steward) = each(stewards, Plane::Updates);
            let (sent, received) = each(of_trainers.clone(), Plane::Updates);
            let (gossip, _) = each(0..7 + trainers, Plane::Gossip);
            println!("| {trainers} | {slices} | {steward} | {sent} | {received} | {gossip} |");
        }
    }
}

fn row(nodes: usize, seed: u64) -> Row {
    let scenario = Scenario::mesh(nodes);
    let began = Instant::now();
    let (report, traffic) = measure(seed, &scenario).unwrap_or_else(|failure| panic!("{failure}"));
    Row { nodes, scenario, report, traffic, seconds: began.elapsed().as_secs_f64() }
}

impl Row {
    /// Mean and most bytes a round that nodes of one part send and receive, as text.
    fn cells(&self, part: Part, plane: Plane) -> String {
        let (mean, most) = self.traffic.of(self.part(part), plane);
        let cell =
            |mean: u64, most: u64| format!("{} ({})", self.a_round(mean), self.a_round(most));
        format!("{} | {}", cell(mean.sent, most.sent), cell(mean.received, most.received))
    }

    fn part(&self, part: Part) -> std::ops::Range<usize> {
        let cast = self.scenario.cast;
        let trainers = cast.stewards..cast.stewards + cast.trainers;
        match part {
            Part::Stewards => 0..cast.stewards,
            Part::Trainers => trainers,
            Part::Everyone => 0..self.nodes,
        }
    }

    fn a_round(&self, bytes: u64) -> u64 {
        bytes / self.report.rounds
    }
}

#[derive(Clone, Copy)]
enum Part {
    Stewards,
    Trainers,
    Everyone,
}

/// What is shown: a name, whose bytes, and which.
const SHOWN: [(&str, Part, Plane); 6] = [
    ("gossip, any node", Part::Everyone, Plane::Gossip),
    ("gossip, a steward", Part::Stewards, Plane::Gossip),
    ("updates, a trainer", Part::Trainers, Plane::Updates),
    ("updates, a steward", Part::Stewards, Plane::Updates),
    ("other blobs, any node", Part::Everyone, Plane::Blobs),
    ("questions and answers, any node", Part::Everyone, Plane::Answers),
];

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| nodes | stewards | trainers | what | sent a round, mean (most) | received a round |\n",
    );
    text += "|---|---|---|---|---|---|\n";
    for row in rows {
        let cast = row.scenario.cast;
        for (what, part, plane) in SHOWN {
            let (nodes, stewards, trainers) = (row.nodes, cast.stewards, cast.trainers);
            let cells = row.cells(part, plane);
            writeln!(text, "| {nodes} | {stewards} | {trainers} | {what} | {cells} |")
                .expect("text grows");
        }
    }
    text.push('\n');
    for Row { nodes, report, seconds, .. } in rows {
        let simulated = report.ended_ms as f64 / 1_000.0;
        let Report { events, rounds, .. } = report;
        writeln!(
            text,
            "{nodes} nodes: {rounds} rounds, {events} events, {simulated:.1} s simulated in {seconds:.1} s"
        )
        .expect("text grows");
    }
    text
}

/// Bytes that are sent a round over the number of nodes, both logarithmic.
fn plot(rows: &[Row]) -> String {
    let lines = [SHOWN[0], SHOWN[2], SHOWN[3], SHOWN[4]];
    let value = |row: &Row, (_, part, plane): (&str, Part, Plane)| {
        let flow = row.traffic.of(row.part(part), plane).0;
        // A steward's part in updates is to receive them.
        row.a_round(flow.sent.max(flow.received)).max(1) as f64
    };
    let most = rows.iter().flat_map(|row| lines.map(|line| value(row, line))).fold(10.0, f64::max);
    let decades = (most.log10().ceil(), rows.last().map_or(4.0, |row| (row.nodes as f64).log10()));
    let x = |nodes: f64| {
        MARGIN + (nodes.log10() - 1.0) / (decades.1 - 1.0).max(1.0) * (SIZE.0 - 2.0 * MARGIN)
    };
    let y = |bytes: f64| SIZE.1 - MARGIN - bytes.log10() / decades.0 * (SIZE.1 - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        SIZE.0, SIZE.1
    );
    let mut add = |line: String| svg += &(line + "\n");
    for decade in 0..=decades.0 as u32 {
        let at = y(10f64.powi(decade as i32));
        add(format!(
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>",
            SIZE.0 - MARGIN
        ));
        add(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">10^{decade}</text>",
            MARGIN - 6.0,
            at + 4.0
        ));
    }
    for row in rows {
        let at = x(row.nodes as f64);
        add(format!(
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            SIZE.1 - MARGIN + 18.0,
            row.nodes
        ));
    }
    for (line, colour) in lines.into_iter().zip(COLOURS) {
        let points: Vec<String> = rows
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row.nodes as f64), y(value(row, line))))
            .collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
    }
    for (at, ((name, ..), colour)) in lines.into_iter().zip(COLOURS).enumerate() {
        let y = 18.0 + 15.0 * at as f64;
        add(format!("<text x=\"{}\" y=\"{y}\" fill=\"{colour}\">{name}</text>", MARGIN + 10.0));
    }
    add(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">nodes</text>",
        SIZE.0 / 2.0,
        SIZE.1 - 14.0
    ));
    add(format!(
        "<text x=\"14\" y=\"{}\" transform=\"rotate(-90 14 {})\" text-anchor=\"middle\">bytes a round</text>",
        SIZE.1 / 2.0,
        SIZE.1 / 2.0
    ));
    svg + "</svg>\n"
}
