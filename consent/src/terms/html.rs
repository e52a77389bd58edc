//! The `meta` elements of a page.
//!
//! Invariants: reads any bytes as a browser would, roughly: comments and the insides of scripts,
//! styles, titles and text areas are skipped, the first of two attributes of one name counts. A page
//! in UTF-16 is refused, for its elements would not be seen. What it is not: an HTML parser.

use protocol::limits::{HTML_BYTES_MAX, HTML_METAS_MAX};

use super::found::{Fault, bounded};

/// One element: its name in lower case and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) content: String,
    /// The element as it stands there.
    pub(super) verbatim: String,
}

const RAW: [&str; 4] = ["script", "style", "title", "textarea"];

/// The named `meta` elements of a page, in order.
pub(super) fn metas(bytes: &[u8]) -> Result<Vec<Meta>, Fault> {
    bounded(bytes, HTML_BYTES_MAX)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Fault::malformed("a page in UTF-8", "it starts with the mark of UTF-16"));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut rest: &str = &text;
    let mut metas = Vec::new();
    while let Some(at) = rest.find('<') {
        let tag = &rest[at..];
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = after_comment(comment);
            continue;
        }
        let name = name_of(tag);
        rest = &tag[1 + name.len()..];
        if name.eq_ignore_ascii_case("meta") {
            let (attributes, after) = attributes(rest);
            let verbatim = &tag[..tag.len() - after.len()];
            metas.extend(meta(&attributes, verbatim));
            rest = after;
        } else if let Some(raw) = RAW.iter().find(|raw| name.eq_ignore_ascii_case(raw)) {
            rest = after_raw(rest, raw);
        }
        if metas.len() > HTML_METAS_MAX {
            return Err(Fault::TooMany(HTML_METAS_MAX, "meta elements"));
        }
    }
    Ok(metas)
}

fn name_of(tag: &str) -> &str {
    let name = &tag[1..];
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    &name[..end]
}

fn after_comment(comment: &str) -> &str {
    // `<!-->` and `<!--->` are whole comments.
    if let Some(rest) = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->")) {
        return rest;
    }
    let plain = comment.find("-->").map(|at| at + 3);
    let odd = comment.find("--!>").map(|at| at + 4);
    let end = plain.into_iter().chain(odd).min();
    end.map_or("", |end| &comment[end..])
}

/// What follows the element's closing tag; nothing if it never closes.
fn after_raw<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = rest[from..].find("</") {
        from += at + 2;
        let close = rest.as_bytes().get(from..from + name.len());
        if close.is_some_and(|close| close.eq_ignore_ascii_case(name.as_bytes())) {
            return &rest[from..];
        }
    }
    ""
}

fn meta(attributes: &[(String, String)], verbatim: &str) -> Option<Meta> {
    let first = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, v)| v);
    let name = first("name").or_else(|| first("property"))?.trim().to_ascii_lowercase();
    let content = first("content").cloned().unwrap_or_default();
    Some(Meta { name, content, verbatim: verbatim.to_owned() })
}

/// Names in lower case with their values, and what follows the tag.
fn attributes(tag: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return (found, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        // A name may start with an equals sign, and with nothing else that ends it.
        let skip = rest.chars().next().map_or(0, char::len_utf8);
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=');
        let end = rest[skip..].find(ends).map_or(rest.len(), |at| at + skip);
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start_matches(|c: char| c.is_ascii_whitespace());
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
            (value, rest) = quoted(after);
        }
        found.push((name, unescaped(value)));
    }
}

fn quoted(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at(end)
}

/// Character references by number, and the few names that matter in a value.
fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let number =
            name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            });
        let letter = match name {
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "colon" => Some(':'),
            "comma" => Some(','),
            "num" => Some('#'),
            _ => number.and_then(char::from_u32),
        };
        match letter {
            Some(letter) => {
                out.push(letter);
                rest = after.strip_prefix(';').unwrap_or(after);
            }
            None => out.push('&'),
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn metas_as_a_browser_sees_them() {
        let page = "<!DOCTYPE html><HTML><!-- <meta name=robots content=all> --><title><meta name=a></title>\
            <META NAME='Robots' content=noai,noindex/><script>'<meta name=x content=1>'</script>\
            <meta content=\"a &amp; &#98;&#x63; &unknown\" property = tdm:policy name=b name=c>\
            <meta charset=utf-8><!--><meta name=last content='<>'";
        let metas = metas(page.as_bytes()).expect("a page");
        let seen: Vec<(&str, &str)> =
            metas.iter().map(|meta| (meta.name.as_str(), meta.content.as_str())).collect();
        assert_eq!(seen, [("robots", "noai,noindex/"), ("b", "a & bc &unknown"), ("last", "<>")]);
        assert_eq!(metas[0].verbatim, "<META NAME='Robots' content=noai,noindex/>");
        assert!(super::metas(&[0xff, 0xfe, b'<', 0]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page(bytes in proptest::collection::vec(any::<u8>(), 0..200),
            like in "(<(meta|!--|script|/script|title)?[ a-z=\"'>&#;é-]{0,12}){0,10}") {
            prop_assert!(metas(like.as_bytes()).is_ok());
            let _ = metas(&bytes);
        }
    }
}
