//! One spelling for the host of a URL.
//!
//! Invariants: lower case, punycode (UTS 46), no dot at the end, an address only in its usual form;
//! so full-width letters and ideographic dots do not make another host, and a look-alike of another
//! script stays another host. What it is not: a resolver, nor a list of public suffixes: who may
//! speak for `github.io` is a matter of standing.

use core::net::{Ipv4Addr, Ipv6Addr};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// Letters that no host holds; glyphless ones are refused with them.
const REFUSED: AsciiDenyList = AsciiDenyList::new(true, "%#/:<>?@[\\]^|*!$&'()+,;=\"`{}~");

/// The host in its one spelling; none where it is no host with a dot in it.
pub(super) fn canonical(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), REFUSED, Hyphens::Allow, DnsLength::VerifyAllowRootDot)
        .ok()?;
    let host = ascii.strip_suffix('.').unwrap_or(&ascii);
    let (_, last) = host.rsplit_once('.')?;
    let number = last.strip_prefix("0x").unwrap_or(last);
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || (number.len() < last.len() && number.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if numeric {
        return host.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    Some(host.to_owned())
}

/// Whether `host` is `domain` or below it.
pub(super) fn within(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || (above.ends_with('.') && !is_address(domain)))
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        for (text, expected) in [
            ("Example.ORG", "example.org"),
            ("ｅｘａｍｐｌｅ。ｏｒｇ", "example.org"),
            ("example.org.", "example.org"),
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
            // A Cyrillic letter makes another host, and shows.
            ("\u{430}pple.com", "xn--pple-43d.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("foo_bar.example.org", "foo_bar.example.org"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            ".",
            "com",
            "a..b",
            "a b.c",
            "2130706433",
            "0x7f.1",
            "192.0.2.01",
            "1.2.3.0x4",
            "a.b..",
            "%65xample.org",
            "*.example.org",
            "user@example.org",
            "[::1",
            "xn--a.org.xn--",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert!(within("art.example.org", "example.org") && within("example.org", "example.org"));
        assert!(!within("badexample.org", "example.org") && !within("1.192.0.2.1", "192.0.2.1"));
    }
}
