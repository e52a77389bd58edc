//! One spelling for a path (RFC 3986 section 6, RFC 9309 section 2.2.2).
//!
//! Invariants: an unreserved character stands for itself, everything that a URL cannot hold is
//! percent-encoded in capitals, `.` and `..` are resolved, and doing it twice changes nothing.
//! What it is not: a decoder. Reserved characters stay as they were written, so `%2F` is no `/`.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A path with its query, of a URL. `*` and `$` are encoded: in patterns they mean something else.
pub(super) fn path(text: &str) -> String {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut out = without_dots(&encoded(path, true));
    if let Some(query) = query {
        out.push('?');
        out.push_str(&encoded(query, true));
    }
    out
}

/// A pattern of robots.txt; `*`, and `$` at its end, keep their meaning.
pub(super) fn pattern(text: &str) -> String {
    let (body, end) = match text.strip_suffix('$') {
        Some(body) => (body, "$"),
        None => (text, ""),
    };
    let encoded: Vec<String> = body.split('*').map(|part| encoded(part, true)).collect();
    encoded.join("*") + end
}

fn encoded(text: &str, special: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'%' {
            push(&mut out, byte, keeps(byte) && !(special && matches!(byte, b'*' | b'$')));
            continue;
        }
        let digits =
            bytes.get(at..at + 2).and_then(|pair| Some((nibble(pair[0])?, nibble(pair[1])?)));
        match digits {
            Some((high, low)) => {
                at += 2;
                let decoded = high << 4 | low;
                push(&mut out, decoded, unreserved(decoded));
            }
            None => push(&mut out, b'%', false),
        }
    }
    out
}

fn push(out: &mut String, byte: u8, plain: bool) {
    if plain {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

const fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

const fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a byte may stand in a URL's path or query as it is.
const fn keeps(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'%' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// RFC 3986 section 5.2.4, for a path that starts with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." if last => kept.push(""),
            "." => (),
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_spelling() {
        for (text, expected) in [
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/../../x", "/x"),
            ("/%2e%2E/%61", "/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/ツ", "/%E3%83%84"),
            ("/%zz", "/%25zz"),
            ("/a b?c=*&d=../e", "/a%20b?c=%2A&d=../e"),
            ("/a//b", "/a//b"),
            ("", "/"),
        ] {
            assert_eq!(path(text), expected, "{text}");
        }
        assert_eq!(pattern("/a*/$b$"), "/a*/%24b$");
    }

    proptest! {
        #[test]
        fn twice_is_once(text in ".{0,60}", path_like in "/[a%2eE./*$?]{0,30}") {
            for text in [text, path_like] {
                let once = path(&text);
                prop_assert_eq!(path(&once), once.clone());
                let once = pattern(&text);
                prop_assert_eq!(pattern(&once), once.clone());
            }
        }
    }
}
