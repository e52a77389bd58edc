//! The grid as tables in Markdown.
//!
//! What it is not: a judgement; the reader compares rows.

use super::hostile::Attack;
use super::scene::{Cell, Outcome, Split, TRAINERS};
use super::{HOSTILE, RULES};

/// Prints a table for each split and share of hostile trainers.
pub(crate) fn print(found: &[(Cell, Vec<Outcome>)]) {
    for split in [Split::Iid, Split::Dirichlet] {
        for hostile in HOSTILE {
            let here: Vec<_> = found
                .iter()
                .filter(|(cell, _)| cell.split == split && cell.hostile == hostile)
                .collect();
            if !here.is_empty() {
                print_one(split, hostile, &here, found);
            }
        }
    }
}

fn print_one(
    split: Split,
    hostile: usize,
    here: &[&(Cell, Vec<Outcome>)],
    all: &[(Cell, Vec<Outcome>)],
) {
    let name = if split == Split::Iid { "alike" } else { "Dirichlet(0.1)" };
    let percent = hostile * 100 / TRAINERS;
    println!("\nData {name}, {percent} % hostile; in brackets honest updates left out\n");
    let attacks: Vec<Attack> = Attack::ALL
        .into_iter()
        .filter(|a| here.iter().any(|(cell, _)| cell.attack == *a))
        .collect();
    let names: Vec<&str> =
        attacks.iter().map(|a| if hostile == 0 { "nobody" } else { a.name() }).collect();
    println!("| rule | {} | worst loss |", names.join(" | "));
    println!("|---|{}---|", "---|".repeat(names.len()));
    for (at, (rule, _)) in RULES.iter().enumerate() {
        let unharmed = all
            .iter()
            .find(|(cell, _)| cell.split == split && cell.rule == at && cell.hostile == 0)
            .map(|(_, found)| mean(found));
        let mut worst = 0.0f64;
        let mut cells = Vec::new();
        for attack in &attacks {
            let found = here.iter().find(|(cell, _)| cell.rule == at && cell.attack == *attack);
            let Some((_, found)) = found else { continue };
            let accuracy = mean(found);
            worst = worst.max(unharmed.map_or(0.0, |unharmed| unharmed - accuracy));
            let left: Vec<f64> = found.iter().filter_map(|outcome| outcome.left_out).collect();
            let left = match left.len() {
                0 => String::new(),
                count => format!(" ({:.0} %)", 100.0 * left.iter().sum::<f64>() / count as f64),
            };
            cells.push(format!("{:.1}{left}", 100.0 * accuracy));
        }
        if !cells.is_empty() {
            println!("| {rule} | {} | {:.1} |", cells.join(" | "), 100.0 * worst);
        }
    }
}

fn mean(found: &[Outcome]) -> f64 {
    found.iter().map(|outcome| outcome.accuracy).sum::<f64>() / found.len() as f64
}
