//! An item that was looked at: what a gate is asked about it, and what it says itself.
//!
//! A row of a table is two works if a column holds a work: the row, and that value, which may be a
//! file's bytes that its maker opted out. A restriction of either refuses the item.
//!
//! Invariants: what cannot be understood is unreadable, never an item of which less is known. What
//! it is not: the answer (see `judge`).

use std::path::{Path, PathBuf};

use consent::terms::{Address, Found, cawg, iptc, tdmrep, x_robots};
use consent::{CodeKind, Marks, Use, Work};
use protocol::{ContentId, PublicKey};

use super::ScanOrder;
use super::site::TOKEN;
use super::source::{RawItem, missing};
use crate::likeness::Likeness;
use crate::seen::Seen;
use crate::table::{Raw, Row, RowForms};

/// How much of an outside term a report shows.
const TERM_CHARS_MAX: usize = 200;

/// An item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Which.
    pub place: Place,
    /// Its licence, if a column names it.
    pub licence: Option<String>,
    /// What is known of it.
    pub state: State,
}

/// Where an item is. Files have numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file.
    File(usize),
    /// A row of a table, by its number there.
    Row(usize, u64),
    /// Something that is no file, in a line.
    Said(String),
}

/// What is known of an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, and why.
    Unreadable(String),
    /// The works that it is, and the outside words that refuse it.
    Read(Vec<Known>, Vec<Word>),
}

/// A work, in a form that can be put aside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its content id.
    pub content: ContentId,
    /// Its codes, by the number of their kind.
    pub codes: Vec<(u8, [u8; 32])>,
    /// Its passages' fingerprints.
    pub passages: Vec<u64>,
    /// Who made it.
    pub makers: Vec<PublicKey>,
    /// Where it was found; each is an address.
    pub addresses: Vec<String>,
}

/// An outside term that refuses an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Its scheme.
    pub scheme: String,
    /// What it says, the beginning of it.
    pub term: String,
}

impl Item {
    /// The content ids of the works that it is.
    pub(super) fn contents(&self) -> impl Iterator<Item = ContentId> {
        let works = match &self.state {
            State::Unreadable(_) => &[][..],
            State::Read(works, _) => works,
        };
        works.iter().map(|known| known.content)
    }
}

impl Place {
    /// In words.
    pub(super) fn text(&self, files: &[PathBuf]) -> String {
        match self {
            Self::File(file) => files[*file].display().to_string(),
            Self::Row(file, row) => format!("{} row {row}", files[*file].display()),
            Self::Said(said) => said.clone(),
        }
    }
}

impl Known {
    /// A work of which only the bytes are known.
    pub(super) const fn of(content: ContentId) -> Self {
        Self {
            content,
            codes: Vec::new(),
            passages: Vec::new(),
            makers: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn new(content: ContentId, marks: Marks, url: Option<&String>) -> Self {
        let at = |kind| CodeKind::ALL.iter().position(|it| *it == kind).unwrap_or_default() as u8;
        let codes = marks.codes.into_iter().map(|(kind, code)| (at(kind), code)).collect();
        let Marks { passages, makers, .. } = marks;
        Self { content, codes, passages, makers, addresses: url.into_iter().cloned().collect() }
    }

    /// Whether the gate may find claims of likeness about it.
    pub(super) fn is_alike(&self) -> bool {
        !self.codes.is_empty() || !self.passages.is_empty()
    }

    /// The work as a gate takes it. Without its likeness, if that is known to find nothing.
    pub(super) fn work(&self, alike: bool) -> Work {
        let Self { content, codes, passages, makers, addresses } = self;
        let alike = alike && self.is_alike();
        if !alike && makers.is_empty() && addresses.is_empty() {
            return Work::from(*content);
        }
        let kind = |at: u8| CodeKind::ALL.get(usize::from(at)).copied();
        let known = |(at, code): &(u8, [u8; 32])| Some((kind(*at)?, *code));
        let marks = Marks {
            codes: codes.iter().filter(|_| alike).filter_map(known).collect(),
            passages: if alike { passages.clone() } else { Vec::new() },
            makers: makers.clone(),
            // They were read when the item was.
            addresses: addresses.iter().filter_map(|url| Address::parse(url).ok()).collect(),
        };
        Work { content: *content, marks: Some(Box::new(marks)) }
    }
}

/// What looks at items; one for all threads.
pub(super) struct Look<'a> {
    pub order: &'a ScanOrder,
    pub files: &'a [PathBuf],
}

impl Look<'_> {
    /// Looks at an item. Whatever is wrong with it is in the item.
    pub(super) fn at(&self, raw: &RawItem, forms: &mut RowForms) -> Item {
        let (mut licence, file) = (None, raw.file());
        let (place, state) = match raw {
            RawItem::Broken(_, why) => (Place::File(file), Err(why.clone())),
            RawItem::File(_) => (Place::File(file), self.file(&self.files[file])),
            RawItem::Row(_, raw) => {
                (Place::Row(file, raw.number), self.row(raw, forms, &mut licence))
            }
        };
        Item { place, licence, state: state.unwrap_or_else(State::Unreadable) }
    }

    fn file(&self, path: &Path) -> Result<State, String> {
        let seen = Seen::at(path)?;
        let marks = seen.likeness?.marks();
        let mut words = Vec::new();
        if let Some(bytes) = &seen.bytes {
            self.own_words(bytes, extension(path), &mut words)?;
        }
        let below = path.strip_prefix(&self.order.path).unwrap_or(path);
        let below = if below.as_os_str().is_empty() {
            Path::new(path.file_name().unwrap_or_default())
        } else {
            below
        };
        let url = self.order.site.as_ref().map(|site| site.url(below));
        self.site_words(url.as_ref(), &mut words)?;
        Ok(State::Read(vec![Known::new(seen.content, marks, url.as_ref())], words))
    }

    fn row(
        &self,
        raw: &Raw,
        forms: &mut RowForms,
        licence: &mut Option<String>,
    ) -> Result<State, String> {
        let row = forms.row(raw)?;
        let columns = &self.order.columns;
        let text = |name: &Option<String>| -> Result<Option<String>, String> {
            let Some(cell) = cell(&row, name)? else { return Ok(None) };
            let text = str::from_utf8(cell).map_err(|_| "a value is not UTF-8 text".to_owned())?;
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        };
        *licence = text(&columns.licence)?;
        let url = text(&columns.url)?;
        // A name that is no key is no identity of the ledger.
        let maker = text(&columns.author)?.and_then(|author| author.parse::<PublicKey>().ok());
        let mut words = Vec::new();
        self.site_words(url.as_ref(), &mut words)?;
        let mut marks = Marks::default();
        let value = cell(&row, &columns.content)?;
        if let Some(bytes) = value {
            marks = Likeness::of(bytes)?.marks();
            self.own_words(bytes, "", &mut words)?;
        }
        marks.makers.extend(maker);
        let works = match value {
            None => vec![Known::new(row.content, marks, url.as_ref())],
            Some(bytes) => {
                vec![Known::of(row.content), Known::new(ContentId::of(bytes), marks, url.as_ref())]
            }
        };
        Ok(State::Read(works, words))
    }

    /// What a file says of itself.
    fn own_words(
        &self,
        bytes: &[u8],
        extension: &str,
        words: &mut Vec<Word>,
    ) -> Result<(), String> {
        let has = |wanted: &[&str]| wanted.iter().any(|it| extension.eq_ignore_ascii_case(it));
        if has(&["html", "htm", "xhtml"]) {
            refusals([tdmrep::read_page(bytes), x_robots::read_page(bytes, TOKEN)], self, words)?;
        }
        if has(&["svg"]) || str::from_utf8(bytes).is_err() {
            refusals([iptc::read(bytes), cawg::read_picture(bytes)], self, words)?;
        }
        Ok(())
    }

    /// What its site says of it.
    fn site_words(&self, url: Option<&String>, words: &mut Vec<Word>) -> Result<(), String> {
        let Some(url) = url else { return Ok(()) };
        let address = Address::parse(url).map_err(|error| format!("its URL: {error}"))?;
        match &self.order.site {
            Some(site) => refusals(site.found(&address), self, words),
            None => Ok(()),
        }
    }

    const fn about(&self) -> Use {
        self.order.about
    }
}

/// The value in a named column; an error if the row has no such column.
fn cell<'r>(row: &'r Row<'_>, name: &Option<String>) -> Result<Option<&'r [u8]>, String> {
    let Some(name) = name else { return Ok(None) };
    let value = row.value(name).ok_or_else(|| missing(name, row.columns()))?;
    Ok(Some(value.bytes()).filter(|bytes| !bytes.is_empty()))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Adds those that refuse; an error if one cannot be read.
fn refusals(
    found: impl IntoIterator<Item = Found>,
    look: &Look<'_>,
    words: &mut Vec<Word>,
) -> Result<(), String> {
    for found in found {
        if let Some(fault) = found.fault() {
            return Err(fault.to_string());
        }
        let term = found.terms().iter().find(|term| term.value(look.about()).restricts());
        words.extend(term.map(|term| Word {
            scheme: term.origin.scheme.clone(),
            term: term.text.chars().take(TERM_CHARS_MAX).collect(),
        }));
    }
    Ok(())
}
