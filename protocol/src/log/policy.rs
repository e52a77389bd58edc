//! Trust policies: which logs and witnesses, and how many of them, make a checkpoint good enough
//! (C2SP tlog-policy).
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> all|any|<k> <name>...
//! quorum <name>|none
//! ```
//!
//! Invariants: names are defined before they are used, once, and belong to one group at most, so a
//! witness counts in one way only; exactly one quorum. A policy that is not understood in full is
//! refused. What it is not: a place for other rules, such as how fresh a cosignature must be; the
//! times that such a rule needs are in [`Trusted`].

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::{OpenCheckpointError, SignedCheckpoint};
use super::note::{Note, NoteError, VerifyError};
use super::vkey::{Algorithm, VerifierKey, VkeyError};
use crate::limits::{LOG_POLICY_BYTES_MAX, LOG_POLICY_NAMES_MAX};

/// Why a line of a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyLineError {
    /// An octet that no policy has, such as a carriage return.
    #[error("control characters other than tab are not allowed")]
    Character,
    /// Not one of the four kinds of line, or with too few or too many items.
    #[error("not a line `log`, `witness`, `group` or `quorum` with its items")]
    Form,
    /// Not a key.
    #[error("key: {0}")]
    Key(#[from] VkeyError),
    /// A log's key is not of type `0x01`, or a witness's not of type `0x04`.
    #[error("a log needs a key of type 0x01, a witness one of type 0x04")]
    KeyType,
    /// The same public key again.
    #[error("the key is listed already")]
    DuplicateKey,
    /// The same name again, or `none`.
    #[error("the name is taken")]
    DuplicateName,
    /// A name that no line before defines.
    #[error("a name is not defined on a line before")]
    UnknownName,
    /// A name that is in a group already.
    #[error("a name is in a group already")]
    DuplicateMember,
    /// Not `all`, `any` or a number from one to the count of members.
    #[error("the threshold is not `all`, `any` or one to the number of members")]
    Threshold,
    /// A second quorum.
    #[error("there is a quorum already")]
    DuplicateQuorum,
    /// More than [`LOG_POLICY_NAMES_MAX`] logs, witnesses or groups.
    #[error("at most {LOG_POLICY_NAMES_MAX} logs, witnesses and groups each are allowed")]
    TooMany,
}

/// Why bytes are not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than [`LOG_POLICY_BYTES_MAX`].
    #[error("a policy has at most {LOG_POLICY_BYTES_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// The last line has no end; perhaps it was cut off.
    #[error("the last line does not end with a newline")]
    CutOff,
    /// A line is refused.
    #[error("line {0}: {1}")]
    Line(usize, PolicyLineError),
    /// No quorum is defined.
    #[error("there is no line `quorum`")]
    NoQuorum,
}

/// Why a checkpoint is not good enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not a note.
    #[error("note: {0}")]
    Note(#[from] NoteError),
    /// The policy has no log of this origin.
    #[error("{0:?} is not a log of the policy")]
    UnknownLog(String),
    /// Not a checkpoint that the log signed.
    #[error("{0}")]
    Checkpoint(#[from] OpenCheckpointError),
    /// A line that claims to be a witness's cosignature does not verify.
    #[error("cosignature: {0}")]
    Forged(VerifyError),
    /// The witnesses that cosigned are too few.
    #[error("{0} witnesses of the policy cosigned, which is no quorum")]
    Quorum(usize),
}

/// A checkpoint that satisfies a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// Cosignatures of the policy's witnesses: the key's name, and when in seconds since 1970.
    pub cosigned: Vec<(String, u64)>,
    /// The earliest time by which a quorum had cosigned; nobody short of a quorum can move it
    /// forward. None if the quorum is `none`.
    pub settled_s: Option<u64>,
    /// The latest time since which a quorum has cosigned; nobody short of a quorum can make the
    /// checkpoint look fresher. None if the quorum is `none`.
    pub fresh_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

/// Which checkpoints to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

impl TrustPolicy {
    /// Reads a policy file. Names and addresses are octets without meaning to us.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > LOG_POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong(bytes.len()));
        }
        let Some(lines) = bytes.strip_suffix(b"\n") else { return Err(PolicyError::CutOff) };
        let mut draft = Draft::default();
        for (index, line) in lines.split(|&byte| byte == b'\n').enumerate() {
            draft.line(line).map_err(|error| PolicyError::Line(index + 1, error))?;
        }
        let quorum = draft.quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Self { logs: draft.logs, witnesses: draft.witnesses, groups: draft.groups, quorum })
    }

    /// The keys of the logs, each of the origin that is its name.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The keys of the witnesses.
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// Judges an untrusted note.
    pub fn check(&self, note: &[u8]) -> Result<Trusted, TrustError> {
        let note = Note::parse(note)?;
        let origin = note.text().lines().next().unwrap_or_default().to_owned();
        let keys: Vec<VerifierKey> =
            self.logs.iter().filter(|key| key.name() == origin).cloned().collect();
        if keys.is_empty() {
            return Err(TrustError::UnknownLog(origin.chars().take(80).collect()));
        }
        let checkpoint = SignedCheckpoint::from_note(note, &origin, &keys)?;
        let verified = match checkpoint.note().verify(&self.witnesses) {
            Ok(verified) => verified,
            Err(VerifyError::Unsigned) => Vec::new(),
            Err(error) => return Err(TrustError::Forged(error)),
        };
        // A witness may have signed more than once; each time counts for what it says.
        let mut signed = Vec::new();
        let mut cosigned = Vec::new();
        for one in verified {
            let index = self.witnesses.iter().position(|key| key == one.key);
            if let (Some(index), Some(time_s)) = (index, one.time_s) {
                signed.push((index, time_s));
                cosigned.push((one.key.name().to_owned(), time_s));
            }
        }
        let Some(quorum) = self.quorum else {
            return Ok(Trusted { checkpoint, cosigned, settled_s: None, fresh_s: None });
        };
        let holds = |is_counted: &dyn Fn(u64) -> bool| {
            let counted = signed.iter().filter(|(_, time_s)| is_counted(*time_s));
            self.is_satisfied(quorum, &counted.map(|(index, _)| *index).collect())
        };
        let times: BTreeSet<u64> = signed.iter().map(|(_, time_s)| *time_s).collect();
        let settled_s = times.iter().copied().find(|&limit| holds(&|time_s| time_s <= limit));
        let fresh_s = times.iter().rev().copied().find(|&limit| holds(&|time_s| time_s >= limit));
        if settled_s.is_none() {
            let who: BTreeSet<usize> = signed.iter().map(|(index, _)| *index).collect();
            return Err(TrustError::Quorum(who.len()));
        }
        Ok(Trusted { checkpoint, cosigned, settled_s, fresh_s })
    }

    /// Whether these witnesses are enough for `quorum`. Groups come after their members.
    fn is_satisfied(&self, quorum: Member, signed: &BTreeSet<usize>) -> bool {
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let is = |member: &Member, groups: &[bool]| match *member {
            Member::Witness(index) => signed.contains(&index),
            Member::Group(index) => groups[index],
        };
        for group in &self.groups {
            let count = group.members.iter().filter(|member| is(member, &groups)).count();
            groups.push(count >= group.threshold);
        }
        is(&quorum, &groups)
    }
}

/// A policy of which not every line is read.
#[derive(Default)]
struct Draft<'b> {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    groups: Vec<Group>,
    names: BTreeMap<&'b [u8], Member>,
    grouped: BTreeSet<Member>,
    quorum: Option<Option<Member>>,
}

impl<'b> Draft<'b> {
    fn line(&mut self, line: &'b [u8]) -> Result<(), PolicyLineError> {
        if line.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            return Err(PolicyLineError::Character);
        }
        let items: Vec<&[u8]> =
            line.split(|byte| b" \t".contains(byte)).filter(|item| !item.is_empty()).collect();
        match items[..] {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.log(key),
            [b"witness", name, key] | [b"witness", name, key, _] => self.witness(name, key),
            [b"group", name, threshold, ref members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            [b"quorum", name] => self.quorum(name),
            _ => Err(PolicyLineError::Form),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), PolicyLineError> {
        let key = parse_key(key, Algorithm::Ed25519, &self.logs)?;
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &'b [u8], key: &[u8]) -> Result<(), PolicyLineError> {
        let key = parse_key(key, Algorithm::Cosignature, &self.witnesses)?;
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(key);
        Ok(())
    }

    fn group(
        &mut self,
        name: &'b [u8],
        threshold: &[u8],
        names: &[&[u8]],
    ) -> Result<(), PolicyLineError> {
        if self.groups.len() == LOG_POLICY_NAMES_MAX {
            return Err(PolicyLineError::TooMany);
        }
        let mut members = Vec::new();
        for name in names {
            let member = *self.names.get(name).ok_or(PolicyLineError::UnknownName)?;
            if !self.grouped.insert(member) {
                return Err(PolicyLineError::DuplicateMember);
            }
            members.push(member);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => parse_count(number).ok_or(PolicyLineError::Threshold)?,
        };
        if threshold == 0 || threshold > members.len() {
            return Err(PolicyLineError::Threshold);
        }
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyLineError> {
        if self.quorum.is_some() {
            return Err(PolicyLineError::DuplicateQuorum);
        }
        let member = match name {
            b"none" => None,
            name => Some(*self.names.get(name).ok_or(PolicyLineError::UnknownName)?),
        };
        self.quorum = Some(member);
        Ok(())
    }

    fn define(&mut self, name: &'b [u8], member: Member) -> Result<(), PolicyLineError> {
        if name == b"none" || self.names.contains_key(name) {
            return Err(PolicyLineError::DuplicateName);
        }
        self.names.insert(name, member);
        Ok(())
    }
}

fn parse_key(
    text: &[u8],
    algorithm: Algorithm,
    known: &[VerifierKey],
) -> Result<VerifierKey, PolicyLineError> {
    let text = std::str::from_utf8(text).map_err(|_| VkeyError::Form)?;
    let key: VerifierKey = text.parse()?;
    if key.algorithm() != algorithm {
        return Err(PolicyLineError::KeyType);
    }
    if known.iter().any(|known| known.key() == key.key()) {
        return Err(PolicyLineError::DuplicateKey);
    }
    if known.len() == LOG_POLICY_NAMES_MAX {
        return Err(PolicyLineError::TooMany);
    }
    Ok(key)
}

/// A decimal number without sign; zeros in front are not wrong here.
fn parse_count(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
#[path = "tests/policy.rs"]
mod tests;
