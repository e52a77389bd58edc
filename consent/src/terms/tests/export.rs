//! The law of exports over every set of rules, and verbatim returns.

use super::super::aipref::{self as aipref_in, Vocabulary};
use super::super::{Found, UrlPath, ai_txt as ai_txt_in, content_signal as signal_in};
use super::super::{tdmrep as tdmrep_in, x_robots as x_robots_in};
use super::*;

const VALUES: [Value; 4] = [Value::Unset, Value::Allow, Value::Constrained, Value::Deny];

/// Every exporter with its importers.
fn round_trips(rules: &[(Use, Value)]) -> Vec<(&'static str, Exported, Found)> {
    let path = UrlPath::new("/any/picture.png");
    let mut trips = Vec::new();
    for vocabulary in [
        Vocabulary::AllTraining,
        Vocabulary::FoundationModels,
        Vocabulary::Generative,
        Vocabulary::Unknown,
    ] {
        let exported = aipref(rules);
        let found = aipref_in::read(exported.text.as_bytes(), vocabulary);
        trips.push(("aipref", exported.clone(), found));
        let file = format!("User-agent: *\nContent-Usage: {}\n", exported.text);
        let found = aipref_in::read_robots(file.as_bytes(), "accord", &path, vocabulary);
        trips.push(("aipref in robots.txt", exported, found));
    }
    let exported = content_signal(rules);
    let file = format!("User-agent: *\nContent-Signal: {}\n", exported.text);
    trips.push(("content-signal", exported, signal_in::read(file.as_bytes(), "accord", &path)));
    let exported = ai_txt(rules);
    let found = ai_txt_in::read(exported.text.as_bytes(), &path);
    trips.push(("ai.txt", exported, found));
    let exported = x_robots(rules);
    let found = x_robots_in::read(exported.text.as_bytes(), "accord");
    trips.push(("x-robots", exported, found));
    for policy in [None, Some("https://example.org/policy.json")] {
        let exported = tdmrep(rules, policy);
        let found = tdmrep_in::read_file(exported.text.as_bytes(), &path);
        trips.push(("tdmrep", exported, found));
    }
    trips
}

fn check(rules: &[(Use, Value)], trips: Vec<(&'static str, Exported, Found)>) {
    for (name, exported, found) in trips {
        assert!(found.fault().is_none(), "{name}: {found:?}");
        for atom in Use::ALL {
            let (before, after) = (value(rules, atom), found.value(atom));
            let said = !exported.unsaid.contains(&atom);
            assert!(!before.restricts() || !said || after >= before, "{name} {rules:?} {atom}");
            assert!(after != Value::Allow || before == Value::Allow, "{name} {rules:?} {atom}");
            let heard_by_some = name.starts_with("aipref") && atom == Use::TrainOther;
            assert!(said || heard_by_some || after == Value::Unset, "{name} has a word for {atom}");
        }
    }
}

#[test]
fn nothing_read_back_is_weaker_over_all_rules() {
    for number in 0..4usize.pow(7) {
        let rules = Use::ALL.map(|atom| {
            let place = u32::try_from(atom as usize).expect("small");
            (atom, VALUES[number / 4usize.pow(place) % 4])
        });
        check(&rules, round_trips(&rules));
    }
}

/// robots.txt is long, and only two bits of the rules matter to it.
#[test]
fn nothing_read_back_from_robots_is_weaker() {
    let path = UrlPath::new("/a");
    for number in 0..64usize {
        let uses = [Use::TrainGenerative, Use::TrainOther, Use::Ground];
        let mut rules: Vec<(Use, Value)> = (0u32..)
            .zip(uses)
            .map(|(at, atom)| (atom, VALUES[number / 4usize.pow(at) % 4]))
            .collect();
        rules.push((Use::Archive, VALUES[number % 4]));
        let exported = robots(&rules);
        let found = super::super::ai_token::read(exported.text.as_bytes(), &path);
        check(&rules, vec![("robots", exported, found)]);
    }
}

/// The last drafts read `train-ai` as generative alone: a refusal of other training has no word
/// there, and the export says so.
#[test]
fn the_latest_vocabulary_has_one_word_less() {
    let exported = aipref(&[(Use::TrainOther, Value::Deny)]);
    assert_eq!(
        (exported.text.as_str(), &exported.unsaid[..]),
        ("train-ai=n", &[Use::TrainOther][..])
    );
    let found = aipref_in::read(exported.text.as_bytes(), Vocabulary::Generative);
    assert_eq!(found.value(Use::TrainOther), Value::Unset);
}

#[test]
fn restrictions_without_a_word_are_named() {
    let rules = [(Use::Archive, Value::Deny), (Use::Index, Value::Constrained)];
    assert_eq!(aipref(&rules), Exported { text: "search=n".into(), unsaid: vec![Use::Archive] });
    let error = aipref(&rules).whole(Scheme::Aipref).expect_err("archive has no word");
    assert_eq!(error.to_string(), "aipref has no word for a restriction of archive");
    assert_eq!(x_robots(&rules[1..]).whole(Scheme::XRobots), Ok("noindex".to_owned()));
    let open = [Use::TrainGenerative, Use::TrainOther, Use::Mine].map(|a| (a, Value::Constrained));
    let text = r#"[{"location":"/","tdm-policy":"https://p.example/","tdm-reservation":1}]"#;
    let exported = tdmrep(&open, Some("https://p.example/"));
    let tree: serde_json::Value = serde_json::from_str(&exported.text).expect("JSON");
    assert_eq!(tree, serde_json::from_str::<serde_json::Value>(text).expect("JSON"));
}

#[test]
fn terms_return_verbatim_to_their_scheme() {
    let path = UrlPath::new("/a/b.png");
    let signals = "User-agent: *\nContent-Signal: /a  search=yes,ai-train=no\n";
    let usage = "User-agent: *\nContent-Usage: /a train-ai=n;x=1,  search=y\n";
    let tdm = r#"[{"location":"/a","tdm-reservation":1,"x":2}]"#;
    let cases = [
        (Scheme::Aipref, aipref_in::read(b" train-ai=n;x=1,  search=y ", Vocabulary::Unknown)),
        (Scheme::Aipref, aipref_in::read_robots(usage.as_bytes(), "a", &path, Vocabulary::Unknown)),
        (Scheme::ContentSignal, signal_in::read(signals.as_bytes(), "a", &path)),
        (Scheme::XRobots, x_robots_in::read(b"noodp, NOAI", "a")),
        (Scheme::Tdmrep, tdmrep_in::read_file(tdm.as_bytes(), &path)),
        (Scheme::AiTxt, ai_txt_in::read(b"User-agent: x\nDisallow:  *.PNG", &path)),
    ];
    let texts = [
        "train-ai=n;x=1,  search=y",
        "/a train-ai=n;x=1,  search=y",
        "/a  search=yes,ai-train=no",
        "noodp, NOAI",
        tdm,
        "Disallow: *.PNG",
    ];
    for ((scheme, found), text) in cases.into_iter().zip(texts) {
        let term = &found.terms()[0];
        assert_eq!(of_term(term, scheme).map(|exported| exported.text).as_deref(), Some(text));
        assert!(of_term(term, Scheme::Cawg).is_none());
        // To another scheme it goes by its rules.
        assert_eq!(
            of_term(term, Scheme::XRobots).is_some_and(|e| e.text.contains("noai")),
            scheme != Scheme::XRobots
        );
    }
}
