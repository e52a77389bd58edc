//! What places are the same, which cover which, and which texts are none.

use proptest::prelude::*;

use super::*;

fn place(text: &str) -> Place {
    Place::parse(text).expect(text)
}

#[test]
fn one_place_has_one_text() {
    for (text, canonical) in [
        ("Example.ORG.", "example.org"),
        ("https://EXAMPLE.org", "https://example.org/"),
        ("http://example.org:80/a/../b#frag", "https://example.org/b"),
        ("https://example.org:443/%7euser/", "https://example.org/~user/"),
        ("http://example.org:8080/x", "https://example.org:8080/x"),
        ("example.org/art/*", "https://example.org/art/"),
        ("https://example.org?q=1", "https://example.org/?q=1"),
        // Found by fuzzing: without its wildcard a dot at the end would be resolved when read again.
        ("https://example.org/a/.*", "https://example.org/a/.*"),
        ("https://example.org/a/%2e**$", "https://example.org/a/.*"),
        ("example.org/a/..*", "https://example.org/a/..*"),
        ("github.com/o/.*", "https://github.com/o/.*"),
        ("example.org/a/.b*", "https://example.org/a/.b"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://github.com/Owner/Name", "code:github.com/owner/name"),
        ("https://www.github.com/Owner/Name.git/", "code:github.com/owner/name"),
        ("git@github.com:Owner/Name.git", "code:github.com/owner/name"),
        ("ssh://git@gitlab.com/group/sub/name.git", "code:gitlab.com/group/sub/name"),
        ("github.com/owner/name", "code:github.com/owner/name"),
        ("code:GitHub.com/Owner", "code:github.com/owner"),
        ("https://github.com/owner/name/tree/main", "https://github.com/owner/name/tree/main"),
        ("https://github.com/topics/art", "https://github.com/topics/art"),
    ] {
        assert_eq!(place(text).to_string(), canonical, "{text}");
        assert_eq!(place(canonical), place(text), "{text}");
    }
}

#[test]
fn tricks_are_no_places() {
    for text in [
        "",
        "com",
        "localhost",
        "https://example.org@evil.example/",
        "user:pw@example.org",
        "https:\\\\example.org",
        "https://exa mple.org/",
        "ftp://example.org/",
        "example.org:8080",
        "https://example.org:x/",
        "https://example.org:99999/",
        "https://0x7f.1/",
        "https://%65.org/",
        "https://a\u{200b}\u{0000}b.org/",
        "code:github.com",
        "code:github.com/",
        "code:github.com/a/..",
        "code:github.com/a/b c",
        "https://github.com/o/n*",
        "git@github.com",
        "javascript://example.org/%0aalert(1)",
    ] {
        assert!(Place::parse(text).is_err(), "{text}");
    }
    assert!(matches!(Place::parse(&"a".repeat(PLACE_BYTES_MAX + 1)), Err(PlaceError::Length(_))));
}

#[test]
fn places_cover_urls() {
    for (text, url, covered) in [
        ("example.org", "http://art.EXAMPLE.org:8080/x", true),
        ("example.org", "https://badexample.org/", false),
        ("example.org", "https://example.org.evil.example/", false),
        ("https://example.org/art/", "https://example.org/art/a.png", true),
        ("https://example.org/art/", "https://example.org/x/../art/a.png", true),
        ("https://example.org/art/", "https://example.org/art/../x.png", false),
        ("https://example.org/art/", "https://example.org/%61rt/a.png", true),
        ("https://example.org/art/", "https://www.example.org/art/a.png", false),
        ("https://example.org/a/.*", "https://example.org/a/.hidden", true),
        ("https://example.org/a/.*", "https://example.org/a/b", false),
        ("https://example.org/a/..*", "https://example.org/b", false),
        ("https://example.org/*.png$", "https://example.org/a/b.png", true),
        ("https://example.org/*.png$", "https://example.org/a/b.png?x", false),
        ("https://example.org/", "https://example.org:8080/", false),
        ("code:github.com/o/n", "https://github.com/O/N/blob/main/a.rs", true),
        ("code:github.com/o/n", "https://raw.githubusercontent.com/o/n/main/a.rs", true),
        ("code:github.com/o/n", "https://github.com/o/n2", false),
        ("code:github.com/o", "https://github.com/o/anything.git", true),
        ("code:github.com/o", "https://github.com/other/n", false),
    ] {
        assert_eq!(place(text).covers(url), Ok(covered), "{text} {url}");
    }
    // Nobody can tell where this item is: the caller excludes it.
    assert!(place("example.org").covers("https://example.org@evil.example/").is_err());
    assert!(place("example.org").covers("a.png").is_err());
}

#[test]
fn places_contain_places() {
    for (wide, narrow, contained) in [
        ("example.org", "a.example.org", true),
        ("a.example.org", "example.org", false),
        ("example.org", "https://a.example.org:8080/x", true),
        ("https://example.org/a", "https://example.org/a/b*c", true),
        ("https://example.org/", "example.org", false),
        ("code:github.com/o", "code:github.com/o/n", true),
        ("code:github.com/o/n", "code:github.com/o", false),
        ("code:github.com/o/n", "https://github.com/o/n/tree/", true),
        ("code:github.com/o/n", "https://github.com/o/n2/", false),
        ("github.com", "code:github.com/o/n", true),
    ] {
        assert_eq!(place(wide).contains(&place(narrow)), contained, "{wide} {narrow}");
    }
}

fn near_places() -> impl Strategy<Value = String> {
    let letters = "(https?://|code:|git@|)[aAｂü.]{0,4}(github.com|example.org|例え.jp)?(:[0-9]{1,5})?\
                   (/[a.%2eE*$?ü]{0,6}){0,4}(/[.]{0,3}[*]?|.git)?";
    prop_oneof![letters, ".{0,80}"]
}

proptest! {
    #[test]
    fn the_text_is_unique_and_reads_back(text in near_places()) {
        if let Ok(place) = Place::parse(&text) {
            let canonical = place.to_string();
            let again = Place::parse(&canonical);
            prop_assert_eq!(again.map(|p| p.to_string()), Ok(canonical.clone()));
            prop_assert_eq!(Place::parse(&canonical), Ok(place.clone()));
            prop_assert!(place.contains(&place));
        }
    }

    #[test]
    fn what_contains_covers_what_the_other_covers(
        a in near_places(), b in near_places(), url in "https?://(a[.])?(github.com|example.org)(/[ab.]{0,3}){0,4}"
    ) {
        let read = (Place::parse(&a), Place::parse(&b), Address::parse(&url));
        if let (Ok(a), Ok(b), Ok(url)) = read
            && a.contains(&b)
            && b.covers_address(&url)
        {
            prop_assert!(a.covers_address(&url));
        }
    }
}

#[test]
fn a_place_is_short_enough_in_its_one_spelling_too() {
    let spelt = |braces: usize| Place::parse(&format!("e.org/{}", "{".repeat(braces)));
    assert_eq!(spelt(1_000).map(|place| place.to_string().len()), Ok(14 + 3 * 1_000));
    assert_eq!(spelt(1_500), Err(PlaceError::Length(14 + 3 * 1_500)));
}
