//! The report's own examples, and what it says of values and sequence.

use super::*;
use Value::{Allow, Constrained, Deny, Unset};

fn in_file(text: &str, path: &str) -> Value {
    read_file(text.as_bytes(), &UrlPath::new(path)).value(Use::TrainGenerative)
}

/// Section "TDM File on the Origin Server", both examples.
#[test]
fn the_report_s_files() {
    let all = r#"[{"location": "/", "tdm-reservation": 1}]"#;
    assert_eq!(in_file(all, "/anything"), Deny);
    let three = r#"[
        {"location": "/directory-a/", "tdm-reservation": 1},
        {"location": "/directory-b/html/", "tdm-reservation": 1,
         "tdm-policy": "https://provider.com/policies/policy.json"},
        {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0}]"#;
    assert_eq!(in_file(three, "/directory-a/x.pdf"), Deny);
    assert_eq!(in_file(three, "/directory-b/html/x.html"), Constrained);
    assert_eq!(in_file(three, "/directory-b/images/x.jpg"), Allow);
    assert_eq!(in_file(three, "/directory-b/images/x.png"), Unset);
    let found = read_file(three.as_bytes(), &UrlPath::new("/directory-b/html/"));
    let policy = found.terms()[0].policy_url.as_deref();
    assert_eq!(policy, Some("https://provider.com/policies/policy.json"));
    assert!(found.excludes(Use::Mine) && !found.excludes(Use::Index));
}

#[test]
fn the_first_match_counts_not_the_longest() {
    let file = r#"[{"location": "/", "tdm-reservation": 1}, {"location": "/free/", "tdm-reservation": 0}]"#;
    assert_eq!(in_file(file, "/free/x"), Deny);
    let file = r#"[{"location": "/free/", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}]"#;
    assert_eq!(in_file(file, "/free/x"), Allow);
    assert_eq!(in_file(r#"[{"location": "/foo-%24", "tdm-reservation": 1}]"#, "/foo-$"), Deny);
}

#[test]
fn values() {
    let rule = |value: &str| format!(r#"[{{"location": "/", "tdm-reservation": {value}}}]"#);
    for (value, expected) in [
        ("1", Deny),
        ("0", Allow),
        ("2", Unset),
        ("-1", Unset),
        ("\"1\"", Deny),
        ("true", Deny),
        ("\"0\"", Unset),
        ("null", Unset),
        ("1.0", Unset),
    ] {
        assert_eq!(in_file(&rule(value), "/x"), expected, "{value}");
    }
    for broken in [
        "",
        "{}",
        "[{}]",
        "[1]",
        r#"[{"location": "/"}]"#,
        r#"[{"tdm-reservation": 0}]"#,
        r#"[{"location": "/", "tdm-reservation": 1, "tdm-reservation": 0}]"#,
        "[",
        r#"[{"location": "/", "tdm-reservation": 0, "tdm-policy": 3}]"#,
        "<html>404</html>",
    ] {
        let found = read_file(broken.as_bytes(), &UrlPath::new("/x"));
        assert!(found.excludes(Use::Mine), "{broken}");
    }
}

/// Sections "TDM Header Field", "TDM Metadata in HTML Content" and "in PDF files".
#[test]
fn headers_pages_and_xmp() {
    let policy = b"https://provider.com/policies/policy.json".as_slice();
    assert_eq!(read_headers(Some(b"1"), None).value(Use::Mine), Deny);
    assert_eq!(read_headers(Some(b" 1 "), Some(policy)).value(Use::Mine), Constrained);
    assert_eq!(read_headers(Some(b"0"), Some(policy)).terms()[0].policy_url, None);
    assert_eq!(read_headers(None, Some(policy)), Found::Nothing);
    assert_eq!(read_headers(Some(b"yes"), None), Found::Nothing);
    let page = br#"<html><head><meta name="tdm-reservation" content="1">
        <meta name="tdm-policy" content="https://provider.com/policies/policy.json"></head>"#;
    assert_eq!(read_page(page).value(Use::TrainOther), Constrained);
    let two = b"<meta name=tdm-reservation content=0><meta name=tdm-reservation content=1>";
    assert_eq!(read_page(two).value(Use::TrainOther), Deny);
    let xmp = br#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <rdf:Description rdf:about="" xmlns:tdm="http://www.w3.org/ns/tdmrep/">
        <tdm:reservation>1</tdm:reservation>
        <tdm:policy>https://publisher.com/policies/policy.json</tdm:policy>
        </rdf:Description></rdf:RDF>"#;
    assert_eq!(read_xmp(xmp).value(Use::Mine), Constrained);
}

#[test]
fn later_sources_prevail_and_broken_ones_exclude() {
    let allow = read_headers(Some(b"0"), None);
    let deny = read_headers(Some(b"1"), None);
    let broken = read_file(b"[", &UrlPath::new("/"));
    let prevails = |found: [&Found; 3]| prevailing(found.map(Clone::clone)).value(Use::Mine);
    assert_eq!(prevails([&deny, &Found::Nothing, &allow]), Allow);
    assert_eq!(prevails([&allow, &deny, &Found::Nothing]), Deny);
    assert_eq!(prevails([&broken, &allow, &allow]), Deny);
    assert_eq!(prevails([&allow, &allow, &broken]), Deny);
}
