//! What the site that items are from says: its robots.txt, ai.txt, tdmrep.json and RSL documents, as
//! files here.
//!
//! Invariants: they speak of URLs of the base's host and port only; one that cannot be read refuses
//! all of those; of the RSL documents that the robots.txt names none is missing. What it is not: a
//! crawler. Whoever scans brings the files.

use std::path::Path;

use consent::terms::{
    Address, Found, Place, ai_token, ai_txt, aipref, content_signal, rsl, tdmrep,
};
use protocol::limits::TERMS_DOCUMENT_BYTES_MAX;

use crate::api::dto::ScanSite;

/// By this name a robots.txt can speak to whoever trains here; `*` speaks to everyone.
pub(crate) const TOKEN: &str = "accord";

/// A site's words.
#[derive(Debug)]
pub(crate) struct Site {
    base: String,
    origin: Place,
    robots: Option<Vec<u8>>,
    ai_txt: Option<Vec<u8>>,
    tdmrep: Option<Vec<u8>>,
    /// As they were read.
    rsl: Vec<Found>,
}

impl Site {
    /// Reads the site's files; a mistake is said in a line.
    pub(crate) fn open(site: &ScanSite) -> Result<Self, String> {
        let wrong = |why: String| format!("--base {}: {why}", site.base);
        let base = format!("{}/", site.base.trim_end_matches('/'));
        Address::parse(&base).map_err(|error| wrong(error.to_string()))?;
        let authority = base.split("://").nth(1).and_then(|rest| rest.split('/').next());
        let origin = format!("https://{}/", authority.unwrap_or_default());
        let origin = Place::parse(&origin).map_err(|error| wrong(error.to_string()))?;
        let read = |path: &Option<String>| path.as_deref().map(read_document).transpose();
        let (robots, ai_txt, tdmrep) =
            (read(&site.robots)?, read(&site.ai_txt)?, read(&site.tdmrep)?);
        let named = robots.as_deref().map(rsl::named_in_robots).unwrap_or_default();
        if named.len() > site.rsl.len() {
            let (named, given) = (named.join(", "), site.rsl.len());
            return Err(format!(
                "its robots.txt names the licences {named}, and --rsl gives {given}: give each"
            ));
        }
        let read = |path: &String| read_document(path).map(|bytes| rsl::read(&bytes));
        let rsl = site.rsl.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { base, origin, robots, ai_txt, tdmrep, rsl })
    }

    /// The URL of a file, by its path below the base.
    pub(super) fn url(&self, path: &Path) -> String {
        let mut url = self.base.clone();
        for byte in path.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    url.push(char::from(*byte));
                }
                _ => url.push_str(&format!("%{byte:02X}")),
            }
        }
        url
    }

    /// What it says of the item at an address.
    pub(super) fn found(&self, address: &Address) -> Vec<Found> {
        let mut found = Vec::new();
        if !self.origin.covers_address(address) {
            return found;
        }
        let path = address.path();
        if let Some(robots) = &self.robots {
            let vocabulary = aipref::Vocabulary::Unknown;
            found.push(aipref::read_robots(robots, TOKEN, path, vocabulary));
            found.push(ai_token::read(robots, path));
            found.push(content_signal::read(robots, TOKEN, path));
        }
        found.extend(self.ai_txt.as_ref().map(|bytes| ai_txt::read(bytes, path)));
        found.extend(self.tdmrep.as_ref().map(|bytes| tdmrep::read_file(bytes, path)));
        found.extend(self.rsl.iter().map(|document| rsl::of_address(document, address)));
        found
    }
}

/// A file of the site; one that is longer than any reader takes is cut a byte behind the bound, so
/// that it is refused there.
pub(crate) fn read_document(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(TERMS_DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::Use;

    #[test]
    fn a_site_speaks_of_its_own_urls() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            Some(path.display().to_string())
        };
        let robots = file("robots.txt", "User-agent: GPTBot\nDisallow: /art/\n");
        let tdmrep = file("tdmrep.json", "[{\"location\": \"/b/*\", \"tdm-reservation\": 1}]");
        let base = "https://example.org/".to_owned();
        let site = ScanSite { base, robots, tdmrep, ..ScanSite::default() };
        let site = Site::open(&site).expect("a site");
        let refuses = |url: &str| {
            let found = site.found(&Address::parse(url).expect("a URL"));
            found.iter().any(|found| found.excludes(Use::TrainGenerative))
        };
        assert!(refuses("https://example.org/art/a.png") && refuses("http://example.org/b/c"));
        assert!(!refuses("https://example.org/c") && !refuses("https://example.net/art/a.png"));
        assert_eq!(site.url(Path::new("a b/ü.png")), "https://example.org/a%20b/%C3%BC.png");
        let broken = file("tdmrep.json", "[");
        let base = "https://example.org".to_owned();
        let site = ScanSite { base, tdmrep: broken, ..ScanSite::default() };
        let site = Site::open(&site).expect("a site");
        let found = site.found(&Address::parse("https://example.org/x").expect("a URL"));
        assert!(found[0].excludes(Use::Index), "what cannot be read refuses everything");
        assert!(Site::open(&ScanSite { base: "example".into(), ..ScanSite::default() }).is_err());
    }

    #[test]
    fn an_rsl_document_refuses_and_none_that_is_named_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let robots = Some(file("robots.txt", "License: https://example.org/rsl.xml\n"));
        let document = "<rsl xmlns='https://rslstandard.org/rsl'><content url='/art/'><license>\
            <prohibits type='usage'>ai-train</prohibits></license></content></rsl>";
        let documents = [file("rsl.xml", document), file("broken.xml", "<rsl>")];
        let open = |rsl: &[String]| {
            let (base, rsl) = ("https://example.org".to_owned(), rsl.to_vec());
            Site::open(&ScanSite { base, robots: robots.clone(), rsl, ..ScanSite::default() })
        };
        let error = open(&[]).expect_err("the document is missing");
        assert!(error.contains("names the licences https://example.org/rsl.xml"), "{error}");
        let refuses = |site: &Site, url: &str, about| {
            let found = site.found(&Address::parse(url).expect("a URL"));
            found.iter().any(|found| found.excludes(about))
        };
        let site = open(&documents[..1]).expect("a site");
        assert!(refuses(&site, "https://example.org/art/a.png", Use::TrainGenerative));
        assert!(!refuses(&site, "https://example.org/art/a.png", Use::Index));
        assert!(!refuses(&site, "https://example.org/b.png", Use::TrainGenerative));
        let site = open(&documents).expect("a site");
        assert!(refuses(&site, "https://example.org/b.png", Use::Index), "one cannot be read");
    }
}
