//! An identity's file, for the node itself, for another device, or for recovery.
//!
//! ```text
//! accord-identity 1
//! name NAME
//! author KEY                  the first daily public key
//! feed NUMBER                 the feed that the device signs
//! device KEY                  the node whose device it is; only in a node's own file
//! root here | elsewhere       whether the root keys are in this file
//! rotations COUNT
//! keys DAILY ROOT             seeds of 64 digits, oldest first; ROOT is `#` and the hash of the
//! next DAILY ROOT             public key where it is elsewhere; `next` is for a rotation under way
//! ```
//!
//! Under a passphrase the last lines are replaced by `seal PARAMETERS` and `box DIGITS`; everything
//! above `box` is authenticated with it. Before version 1 a file was two lines: the daily and the
//! root seed; such files are read still.
//!
//! Invariants: what is written is read back equal. What it is not: a place on disk (see `store`).

use consent::RootKey;
use protocol::limits::ROTATIONS_MAX;
use protocol::{FileHash, PublicKey, SecretKey};

use super::keyring::{Generation, Keyring};
use super::seal::{Seal, SealError};
use crate::api::dto::Passphrase;

const FIRST_LINE: &str = "accord-identity ";
const VERSION: u32 = 1;

/// Why a text is no identity.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Damaged(&'static str),
    #[error("written by a newer program")]
    Newer,
    #[error("under a passphrase")]
    Sealed,
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// What a file says without its passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Its local name where it was written.
    pub(crate) name: String,
    /// The identity.
    pub(crate) author: PublicKey,
    /// The feed that the device signs.
    pub(crate) feed: u32,
    /// The device.
    pub(crate) device: Option<PublicKey>,
    /// Whether the root keys are elsewhere.
    pub(crate) root_elsewhere: bool,
    /// How often it was rotated.
    pub(crate) rotations: usize,
    /// Whether it is under a passphrase.
    pub(crate) sealed: bool,
}

/// What a file says, with its passphrase if it has one. `name` is for files that tell none.
pub(super) fn parse(
    text: &str,
    name: &str,
    passphrase: Option<&Passphrase>,
) -> Result<Keyring, FileError> {
    if !text.starts_with(FIRST_LINE) {
        return parse_two_seeds(text, name);
    }
    let summary = summarize(text, name)?;
    let opened;
    let lines = match text.split_once("\nseal ") {
        None => text,
        Some((above, rest)) => {
            let passphrase = passphrase.ok_or(FileError::Sealed)?;
            let (line, sealed) = rest.split_once("\nbox ").ok_or(DAMAGED)?;
            let sealed = hex::decode(sealed.trim()).map_err(|_| DAMAGED)?;
            let seal = Seal::parse(line)?;
            let around = format!("{above}\nseal {line}\n");
            let text = seal.open(passphrase, &sealed, around.as_bytes())?;
            opened = String::from_utf8(text).map_err(|_| DAMAGED)?;
            &opened
        }
    };
    let mut generations = Vec::new();
    let mut next = None;
    for line in lines.lines() {
        match line.split_once(' ') {
            Some(("keys", keys)) => generations.push(parse_keys(keys).ok_or(DAMAGED)?),
            Some(("next", keys)) => next = Some(parse_keys(keys).ok_or(DAMAGED)?),
            _ => {}
        }
    }
    let Summary { name, author, feed, device, root_elsewhere, rotations, .. } = summary;
    let fits = generations.first().is_some_and(|first| first.daily.public() == author)
        && generations.len() == rotations + 1
        && rotations <= ROTATIONS_MAX;
    if !fits {
        return Err(FileError::Damaged("its keys are not those of its author"));
    }
    Ok(Keyring { name, feed, device, root_elsewhere, generations, next })
}

/// What a file says without its passphrase. `name` is for files that tell none.
pub(super) fn summarize(text: &str, name: &str) -> Result<Summary, FileError> {
    let Some(rest) = text.strip_prefix(FIRST_LINE) else {
        let ring = parse_two_seeds(text, name)?;
        let author = ring.author();
        return Ok(Summary {
            name: ring.name,
            author,
            feed: 0,
            device: None,
            root_elsewhere: false,
            rotations: 0,
            sealed: false,
        });
    };
    let version = rest.lines().next().and_then(|version| version.trim().parse().ok());
    match version {
        Some(VERSION) => {}
        Some(later) if later > VERSION => return Err(FileError::Newer),
        _ => return Err(DAMAGED),
    }
    let field = |field: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(name, _)| *name == field).map(|(_, value)| value)
    };
    let number = |name: &str| field(name).and_then(|value| value.parse().ok()).ok_or(DAMAGED);
    let device = field("device").map(str::parse).transpose().map_err(|_| DAMAGED)?;
    Ok(Summary {
        name: field("name").unwrap_or(name).to_owned(),
        author: field("author").and_then(|key| key.parse().ok()).ok_or(DAMAGED)?,
        feed: number("feed")?,
        device,
        root_elsewhere: match field("root") {
            Some("here") => false,
            Some("elsewhere") => true,
            _ => return Err(DAMAGED),
        },
        rotations: number("rotations")? as usize,
        sealed: field("seal").is_some(),
    })
}

/// The file of these keys, sealed if there is a passphrase.
pub(super) fn print(ring: &Keyring, passphrase: Option<&Passphrase>) -> Result<String, FileError> {
    let root = if ring.root_elsewhere { "elsewhere" } else { "here" };
    let (name, author, feed) = (&ring.name, ring.author(), ring.feed);
    let mut text = format!("{FIRST_LINE}{VERSION}\nname {name}\nauthor {author}\nfeed {feed}\n");
    if let Some(device) = &ring.device {
        text += &format!("device {device}\n");
    }
    text += &format!("root {root}\nrotations {}\n", ring.generations.len() - 1);
    let mut keys = String::new();
    for (word, held) in ring
        .generations
        .iter()
        .map(|held| ("keys", held))
        .chain(ring.next.iter().map(|held| ("next", held)))
    {
        keys += &format!("{word} {}\n", print_keys(held));
    }
    match passphrase {
        None => text += &keys,
        Some(passphrase) => {
            let seal = Seal::fresh()?;
            text += &format!("seal {}\n", seal.line());
            let sealed = seal.seal(passphrase, keys.as_bytes(), text.as_bytes())?;
            text += &format!("box {}\n", hex::encode(sealed));
        }
    }
    Ok(text)
}

const DAMAGED: FileError = FileError::Damaged("it is not an identity's file of version 1");

fn parse_two_seeds(text: &str, name: &str) -> Result<Keyring, FileError> {
    let mut seeds = text.lines().map(parse_seed);
    let rule = "it does not hold two seeds of 64 hexadecimal digits";
    let (daily, root) =
        seeds.next().flatten().zip(seeds.next().flatten()).ok_or(FileError::Damaged(rule))?;
    let generation = Generation { daily, root: root.into() };
    Ok(Keyring {
        name: name.to_owned(),
        feed: 0,
        device: None,
        root_elsewhere: false,
        generations: vec![generation],
        next: None,
    })
}

fn parse_keys(text: &str) -> Option<Generation> {
    let (daily, root) = text.split_once(' ')?;
    let root = match root.strip_prefix('#') {
        None => parse_seed(root)?.into(),
        Some(hash) => RootKey::Elsewhere(hash.parse::<FileHash>().ok()?),
    };
    Some(Generation { daily: parse_seed(daily)?, root })
}

fn print_keys(held: &Generation) -> String {
    let root = match &held.root {
        RootKey::Here(key) => hex::encode(key.seed()),
        RootKey::Elsewhere(hash) => format!("#{hash}"),
    };
    format!("{} {root}", hex::encode(held.daily.seed()))
}

fn parse_seed(text: &str) -> Option<SecretKey> {
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).ok()?;
    Some(SecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let keys = |seed| Generation { daily: key(seed), root: key(seed + 1).into() };
        Keyring {
            name: "artist".into(),
            feed: 9,
            device: Some(key(8).public()),
            root_elsewhere: false,
            generations: vec![keys(1), keys(3)],
            next: Some(keys(5)),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let ring = ring();
        for ring in [Keyring { root_elsewhere: true, ..ring.clone() }.kept(), ring] {
            for passphrase in [None, Some(Passphrase::new("a b"))] {
                let text = print(&ring, passphrase.as_ref()).expect("printed");
                let read = parse(&text, "", passphrase.as_ref()).expect("parsed");
                assert_eq!(print(&read, None).expect("again"), print(&ring, None).expect("plain"));
                let summary = summarize(&text, "").expect("summarized");
                assert_eq!((summary.rotations, summary.feed), (1, 9));
                assert_eq!(summary.sealed, passphrase.is_some());
                assert_eq!(summary.author, ring.author());
                if passphrase.is_some() {
                    assert!(matches!(parse(&text, "", None), Err(FileError::Sealed)));
                    assert!(!text.contains(&hex::encode([1; 32])), "the seed is not readable");
                    let other = text.replace("feed 9", "feed 8");
                    let error = parse(&other, "", passphrase.as_ref());
                    assert!(matches!(error, Err(FileError::Seal(SealError::Wrong))));
                }
            }
        }
    }

    #[test]
    fn two_seeds_of_before_are_read() {
        let text = format!("{}\n{}\n", hex::encode([1; 32]), hex::encode([2; 32]));
        let ring = parse(&text, "me", None).expect("parsed");
        assert_eq!((ring.author(), ring.feed), (SecretKey::from_seed(&[1; 32]).public(), 0));
        assert!(ring.has_roots() && !summarize(&text, "me").expect("summarized").sealed);
        assert!(matches!(parse("ab\n", "me", None), Err(FileError::Damaged(_))));
        let later = "accord-identity 2\n";
        assert!(matches!(parse(later, "me", None), Err(FileError::Newer)));
    }
}
