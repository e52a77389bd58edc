//! The drafts' own cases, and dictionaries by the rules of RFC 9651.

use sfv::FieldType;

use super::*;
use Use::{Ground, Index, TrainGenerative, TrainOther};
use Value::{Allow, Deny, Unset};
use Vocabulary::{AllTraining, FoundationModels, Generative, Unknown};

fn said(field: &str, vocabulary: Vocabulary) -> [Value; 3] {
    let found = read(field.as_bytes(), vocabulary);
    [TrainGenerative, TrainOther, Index].map(|atom| found.value(atom))
}

#[test]
fn one_word_and_three_meanings() {
    for (vocabulary, refused, permitted) in [
        (AllTraining, [Deny, Deny, Unset], [Allow, Allow, Unset]),
        (FoundationModels, [Deny, Deny, Unset], [Allow, Unset, Unset]),
        (Generative, [Deny, Unset, Unset], [Allow, Unset, Unset]),
        (Unknown, [Deny, Deny, Unset], [Allow, Unset, Unset]),
    ] {
        assert_eq!(said("train-ai=n", vocabulary), refused);
        assert_eq!(said("train-ai=y", vocabulary), permitted);
    }
    // Words that later drafts dropped refuse where the version does not rule them out.
    assert_eq!(said("bots=n, train-ai=y", Unknown), [Deny, Deny, Deny]);
    assert_eq!(said("bots=n, train-ai=y", Generative), [Allow, Unset, Unset]);
    assert_eq!(read(b"ai-output=n", Unknown).value(Ground), Deny);
    assert_eq!(said("all=y, tdm=y", Unknown), [Unset, Unset, Unset]);
}

/// draft-ietf-aipref-vocab-07, sections 6 and 7.
#[test]
fn odd_cases_of_the_draft() {
    let nothing = [Unset, Unset, Unset];
    for (field, expected) in [
        ("train-ai=y, search=n", [Allow, Unset, Deny]),
        ("train-ai=y, train-ai, search=n, search=\"n\"", nothing),
        ("train-ai;allow=n, train-ai=y", [Allow, Unset, Unset]),
        ("train-ai=n;allow=y", [Deny, Unset, Unset]),
        ("train-ai=N, search=yes", nothing),
        ("train-ai=(n), search=?0", nothing),
        ("train-ai=1, unknown=n", nothing),
        ("", nothing),
    ] {
        assert_eq!(said(field, Generative), expected, "{field}");
    }
    // The draft calls these unknown; they are no dictionary, so here the item is excluded. The
    // third ends in a lone semicolon, as printed in the draft.
    for field in
        ["Train-AI=n", "train-ai=n,", "train-ai;has;parameters=\"?\";", "train-ai=n; =", "é"]
    {
        assert_eq!(said(field, Generative), [Deny, Deny, Deny], "{field}");
    }
    assert_eq!(said("train-ai;has;parameters=\"?\"", Generative), nothing);
}

/// draft-ietf-aipref-attach-05, figure of section 3.4 and its table.
#[test]
fn the_draft_s_robots_file() {
    let text = "User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: train-ai=n\n\
                Content-Usage: /ai-ok/ train-ai=y\n\n\
                User-Agent: ExampleBot\nAllow: /\nContent-Usage: train-ai=y\n";
    let value = |token, path| {
        let path = UrlPath::new(path);
        read_robots(text.as_bytes(), token, &path, Generative).value(TrainGenerative)
    };
    assert_eq!(value("OtherBot", "/test"), Deny);
    assert_eq!(value("OtherBot", "/ai-ok/test"), Allow);
    assert_eq!(value("ExampleBot", "/test"), Allow);
    // N/A in the draft; the refusal stays here, and a permission would not.
    assert_eq!(value("OtherBot", "/never/test"), Deny);
    let shut = b"User-agent: *\nDisallow: /\nContent-Usage: train-ai=y";
    let found = read_robots(shut, "OtherBot", &UrlPath::new("/"), Generative);
    assert_eq!(found, Found::Nothing);
}

#[test]
fn rules_of_one_path_combine_and_a_broken_one_excludes() {
    let read = |text: &str| {
        read_robots(text.as_bytes(), "Bot", &UrlPath::new("/a/b"), Generative)
            .value(TrainGenerative)
    };
    assert_eq!(
        read("User-agent: *\nContent-Usage: /a train-ai=y\nContent-Usage: /a train-ai=n"),
        Deny
    );
    assert_eq!(read("User-agent: *\n content-usage :\t/a \t train-ai=n # why"), Deny);
    assert_eq!(read("User-agent: *\nContent-Usage: /a train-ai=;"), Deny);
    assert_eq!(read("User-agent: *\nContent-Usage: /x train-ai=n"), Unset);
    assert_eq!(read("User-agent: *\nContent-Usage: /a"), Unset);
}

/// Fields of `tests/vectors/structured-fields`, by the rules of RFC 9651.
#[derive(serde::Deserialize)]
struct FieldCase {
    rule: String,
    lines: Vec<String>,
    /// The dictionary as section 4.1 writes it, or nothing if it is to be refused.
    reads: Option<String>,
}

#[test]
fn dictionaries_read_as_the_rfc_says() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/structured-fields/cases.json");
    let text = std::fs::read_to_string(path).expect(path);
    let cases: Vec<FieldCase> = serde_json::from_str(&text).expect("JSON");
    let refused = cases.iter().filter(|case| case.reads.is_none()).count();
    assert_eq!((cases.len(), refused), (293, 191));
    for FieldCase { rule, lines, reads } in cases {
        let field = lines.join(",");
        let written = dictionary(field.as_bytes())
            .map(|said| said.serialize().unwrap_or_default())
            .map_err(|fault| fault.to_string());
        assert_eq!(written.as_ref().ok(), reads.as_ref(), "{rule}: {field:?}: {written:?}");
        let found = read(field.as_bytes(), Generative);
        assert_eq!(found.fault().is_some(), reads.is_none(), "{rule}: {field:?}");
    }
}

/// RFC 9651, sections 3.1.2, 3.3.3 and 3.3.4: every byte as the first and as a later character.
#[test]
fn keys_tokens_and_strings_have_the_characters_of_the_grammar() {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_key_start = |c: char| c.is_ascii_lowercase() || c == '*';
    let is_key = |c: char| is_key_start(c) || c.is_ascii_digit() || "_-.".contains(c);
    let is_token_start = |c: char| c.is_ascii_alphabetic() || c == '*';
    let is_token = |c: char| is_tchar(c) || ":/".contains(c);
    let is_string = |c: char| (' '..='~').contains(&c) && !"\"\\".contains(c);
    for byte in 0..=u8::MAX {
        let c = char::from(byte);
        let reads = |before: &str, after: &str| {
            let field = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            dictionary(&field).ok().map(|said| said.serialize().unwrap_or_default())
        };
        let same = |before: &str, after: &str| Some(format!("{before}{c}{after}"));
        let expect = |is: bool, before: &str, after: &str| {
            assert_eq!(reads(before, after), same(before, after).filter(|_| is), "{c:?}");
        };
        expect(is_string(c), "a=\"b", "d\"");
        // What separates is no part of a key or a token, and has a meaning of its own.
        if !" \t,;=".contains(c) {
            expect(is_key(c), "a", "b=1");
            expect(is_token(c), "a=b", "d");
            expect(is_key_start(c), "", "b=1");
        }
        if !"-0123456789".contains(c) {
            expect(is_token_start(c), "a=", "");
        }
    }
    assert_eq!(read(b"train-ai=a_b-c.d3:f%00/*", Generative), Found::Nothing);
}
