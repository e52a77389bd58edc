//! The law of imports over made-up documents: what the documents refuse of an address is refused, and
//! what is permitted is what they permit.

use proptest::prelude::*;

use super::super::aipref::{self as aipref_in, Vocabulary};
use super::super::robots::Robots;
use super::super::{Address, Found, ai_token, ai_txt, bigcode, content_signal, rsl, tdmrep};
use super::*;

const TOKEN: &str = "accord";
const UNTIL: Option<u64> = Some(1_000);

fn site() -> Site {
    Site::parse("http://Example.org/robots.txt").expect("a site")
}

/// What statements say of an address and a use.
fn value(imports: &Imports, address: &Address, about: Use) -> Value {
    let speaks = |imported: &&Imported| {
        imported.statement.subjects.iter().any(|subject| match subject {
            Subject::Place(place) => place.covers_address(address),
            _ => false,
        })
    };
    let said = imports.said.iter().filter(speaks).map(|it| it.statement.values()[about as usize]);
    said.fold(Value::Unset, Value::join)
}

fn texts(imports: &Imports) -> Vec<&str> {
    imports.said.iter().map(|imported| imported.text.as_str()).collect()
}

#[test]
fn each_scheme_is_said_with_its_words() {
    let site = site();
    let robots = b"User-agent: GPTBot\nDisallow: /art/\nUser-agent: *\nContent-Usage: train-ai=n\n\
        Content-Signal: /b/ search=yes, ai-train=no\n";
    let robots = Robots::parse(robots).expect("a file");
    let mut terms = ai_token::terms(&robots).expect("read");
    terms.extend(aipref_in::terms(&robots, TOKEN, Vocabulary::Unknown).expect("read"));
    terms.extend(content_signal::terms(&robots, TOKEN).expect("read"));
    let imports = statements(&terms, Some(&site), UNTIL).expect("said");
    let said = |text: &str| {
        let imported = imports.said.iter().find(|it| it.text == text);
        imported.unwrap_or_else(|| panic!("{text}: {:?}", texts(&imports)))
    };
    let art = said("User-agent: GPTBot\nDisallow: /art/");
    assert_eq!(
        art.statement.subjects,
        [Subject::Place(Place::parse("https://example.org/art/").expect("a place"))]
    );
    assert_eq!(art.statement.origin.as_ref().map(|origin| origin.scheme.as_str()), Some("robots"));
    assert_eq!(said("train-ai=n").statement.subjects, [Subject::Place(site.whole().clone())]);
    let signals: Vec<_> = imports.said.iter().filter(|it| it.text.starts_with("/b/")).collect();
    assert_eq!(signals.len(), 2, "a refusal and a permission: {:?}", texts(&imports));
    assert!(imports.said.iter().all(|it| it.statement.check().is_ok()));
    // Without an end nothing is permitted.
    let imports = statements(&terms, Some(&site), None).expect("said");
    assert!(imports.said.iter().all(|it| it.statement.restricts()) && imports.left_out == 1);
    assert_eq!(statements(&terms, None, None), Err(ImportError::NoSite));
}

#[test]
fn lists_and_documents_name_their_own_places() {
    let Found::Terms(terms) = bigcode::read(b"octo\nocto/cat\n", "github.com") else { panic!() };
    let imports = statements(&terms, None, None).expect("said");
    assert_eq!(texts(&imports), ["octo\nocto/cat"], "one statement");
    assert_eq!(imports.said[0].statement.subjects.len(), 2);
    let document = b"<rsl xmlns='https://rslstandard.org/rsl'><content url='https://other.org/'>\
        <license><prohibits type='usage'>ai-train</prohibits></license></content></rsl>";
    let found = rsl::read(document);
    assert!(matches!(statements(found.terms(), Some(&site()), None), Err(ImportError::Outside(_))));
}

#[test]
fn a_media_extension_is_refused_in_every_spelling() {
    let terms =
        ai_txt::terms(b"User-Agent: *\nDisallow: *.png\nDisallow: *.x3dvzq\n").expect("read");
    let imports = statements(&terms[..1], Some(&site()), None).expect("said");
    let about = |imports: &Imports, url: &str| {
        value(imports, &Address::parse(url).expect("a URL"), Use::TrainGenerative)
    };
    for url in
        ["https://example.org/a.png", "http://example.org/b/a.PnG?c", "https://example.org/.PNG"]
    {
        assert_eq!(about(&imports, url), Value::Deny, "{url}");
    }
    assert_eq!(about(&imports, "https://example.org/a.jpg"), Value::Unset);
    let imports = statements(&terms, Some(&site()), None).expect("said");
    assert_eq!(about(&imports, "https://example.org/a.jpg"), Value::Deny, "the whole site");
}

#[test]
fn many_lines_are_few_statements_with_all_their_words() {
    let lines: String = (0..500).map(|n| format!("Disallow: /pictures/of/{n}/\n")).collect();
    let terms = ai_txt::terms(format!("User-Agent: *\n{lines}").as_bytes()).expect("read");
    let imports = statements(&terms, Some(&site()), None).expect("said");
    assert!(imports.said.len() < 20, "{}", imports.said.len());
    assert!(imports.said.iter().all(|it| it.text.len() <= ORIGIN_TERM_BYTES_MAX));
    let all: BTreeSet<&str> = imports.said.iter().flat_map(|it| it.text.lines()).collect();
    assert_eq!(all.len(), 500);
}

#[test]
fn sites_are_hosts() {
    for (url, whole) in [
        ("example.org", "https://example.org/"),
        ("http://EXAMPLE.org:80/a/b?c", "https://example.org/"),
        ("https://example.org:8080", "https://example.org:8080/"),
    ] {
        assert_eq!(Site::parse(url).expect("a site").whole().to_string(), whole);
    }
    for url in ["", "ftp://example.org/", "https://a@example.org/", "https://localhost/"] {
        assert!(Site::parse(url).is_err(), "{url}");
    }
}

fn paths() -> impl Strategy<Value = String> {
    "(/(a|b|A|)(/|\\.|)(b|png|PnG|)(\\?c|))"
}

fn patterns() -> impl Strategy<Value = String> {
    "(/|/a|/a/|/a/b|/\\*b|/a\\$|\\*\\.png|/\\*\\.png\\$|/b\\.|b)"
}

/// A line of some scheme's document.
fn lines(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (0..names.len(), patterns()).prop_map(move |(name, pattern)| names[name].replace('@', &pattern))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_is_refused_less_or_permitted_more(
        robots in prop::collection::vec(lines(&[
            "User-agent: GPTBot", "User-agent: *", "Disallow: @", "Allow: @",
            "Content-Usage: @ train-ai=n", "Content-Usage: @ train-ai=y, search=y",
            "Content-Usage: train-ai=y", "Content-Signal: @ ai-train=yes, search=no",
            "Content-Signal: ai-train=yes",
        ]), 0..8),
        media in prop::collection::vec(lines(&["Disallow: @", "Allow: @"]), 0..4),
        mining in prop::collection::vec((patterns(), 0..2), 0..4),
        path in paths(),
    ) {
        let robots = format!("User-agent: *\n{}\n", robots.join("\n"));
        let media = format!("User-agent: *\n{}\n", media.join("\n"));
        let mining: Vec<serde_json::Value> = mining
            .into_iter()
            .map(|(at, no)| serde_json::json!({ "location": at, "tdm-reservation": no }))
            .collect();
        let mining = serde_json::to_vec(&mining).expect("JSON");
        let address = Address::parse(&format!("https://example.org{path}")).expect("a URL");
        let (at, vocabulary) = (address.path(), Vocabulary::Unknown);
        let parsed = Robots::parse(robots.as_bytes()).expect("a file");
        for (terms, found) in [
            (ai_token::terms(&parsed), ai_token::read(robots.as_bytes(), at)),
            (
                aipref_in::terms(&parsed, TOKEN, vocabulary),
                aipref_in::read_robots(robots.as_bytes(), TOKEN, at, vocabulary),
            ),
            (
                content_signal::terms(&parsed, TOKEN),
                content_signal::read(robots.as_bytes(), TOKEN, at),
            ),
            (ai_txt::terms(media.as_bytes()), ai_txt::read(media.as_bytes(), at)),
            (tdmrep::terms(&mining), tdmrep::read_file(&mining, at)),
        ] {
            let Ok(terms) = terms else { continue };
            let imports = statements(&terms, Some(&site()), UNTIL).expect("said");
            for about in Use::ALL {
                let (said, read) = (value(&imports, &address, about), found.value(about));
                prop_assert!(!read.restricts() || said >= read, "{about}: {said:?} of {read:?}");
                prop_assert!(said != Value::Allow || read == Value::Allow, "{about}: {read:?}");
            }
        }
    }
}
