//! Cases of the RFC and of Google's matcher, and files that nobody should write.

use proptest::prelude::*;

use super::*;

/// Each case: a file, then `allow` or `deny`, crawler and path. See the vectors' README.
#[test]
fn vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/robots/cases.json");
    let text = std::fs::read_to_string(path).expect(path);
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let mut checked = 0;
    for case in &cases {
        let file = case["file"].as_str().expect("a file");
        let robots = Robots::parse(file.as_bytes()).expect("read");
        for (verdict, allowed) in [("allow", true), ("deny", false)] {
            for pair in case[verdict].as_array().into_iter().flatten() {
                let (agent, path) =
                    (pair[0].as_str().expect("agent"), pair[1].as_str().expect("path"));
                let name = &case["name"];
                assert_eq!(
                    robots.allows(agent, &UrlPath::new(path)),
                    allowed,
                    "{name}: {agent} {path}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn bounds_marks_and_line_ends() {
    let deny =
        |text: &[u8]| !Robots::parse(text).expect("read").allows("Foo", &UrlPath::new("/x/y"));
    for ends in ["\n", "\r\n", "\r"] {
        let text = ["user-agent: foo", "allow: /z", "", "disallow: /x"].join(ends);
        assert!(deny(text.as_bytes()), "{ends:?}");
    }
    assert!(deny(b"\xef\xbb\xbfuser-agent: foo\ndisallow: /x"));
    assert!(deny(b"user-agent: foo\n\xff\xfe\ndisallow: /\xff\ndisallow: /x"));
    let full = vec![b'#'; ROBOTS_BYTES_MAX];
    assert!(Robots::parse(&full).is_ok());
    assert!(Robots::parse(&[full, vec![b'#']].concat()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_file(bytes in proptest::collection::vec(any::<u8>(), 0..200),
        like in "((user-agent|allow|disallow|content-usage|x)[ :]{0,2}[*/a$%#b ]{0,6}[\r\n]{1,2}){0,12}",
        token in "[a*]{0,3}", path in ".{0,20}") {
        let path = UrlPath::new(&path);
        for bytes in [bytes, like.into_bytes()] {
            let robots = Robots::parse(&bytes).expect("short enough");
            let _ = robots.allows(&token, &path);
            let _ = robots.about_use(&token, RuleKind::ContentUsage, &path);
            let _ = crate::terms::ai_token::read(&bytes, &path);
        }
    }
}
