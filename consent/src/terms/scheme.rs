//! The outside schemes by name.
//!
//! Invariants: a name is short, lower case and never changes, for statements carry it. What it is
//! not: their versions; an importer names the version that it read by.

use std::fmt;

/// A way to say outside of the ledger what may be done with a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// `Content-Usage` of IETF AIPREF, in HTTP and robots.txt.
    Aipref,
    /// `Disallow` of robots.txt (RFC 9309) for a crawler that gathers for models.
    Robots,
    /// Spawning's `ai.txt`.
    AiTxt,
    /// TDM Reservation Protocol of the W3C community group.
    Tdmrep,
    /// `X-Robots-Tag` and `<meta name="robots">` with `noai` or `noimageai`.
    XRobots,
    /// `Content-Signal` of robots.txt.
    ContentSignal,
    /// Really Simple Licensing 1.0.
    Rsl,
    /// Lists of accounts and repositories in the manner of BigCode.
    BigCode,
    /// IPTC and PLUS `DataMining` in XMP.
    Iptc,
    /// CAWG and C2PA training and data mining assertions.
    Cawg,
}

impl Scheme {
    /// Every scheme, in order.
    pub const ALL: [Self; 10] = [
        Self::Aipref,
        Self::Robots,
        Self::AiTxt,
        Self::Tdmrep,
        Self::XRobots,
        Self::ContentSignal,
        Self::Rsl,
        Self::BigCode,
        Self::Iptc,
        Self::Cawg,
    ];

    /// The name, as an origin carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aipref => "aipref",
            Self::Robots => "robots",
            Self::AiTxt => "ai.txt",
            Self::Tdmrep => "tdmrep",
            Self::XRobots => "x-robots",
            Self::ContentSignal => "content-signal",
            Self::Rsl => "rsl",
            Self::BigCode => "bigcode",
            Self::Iptc => "iptc",
            Self::Cawg => "cawg",
        }
    }
}

impl std::str::FromStr for Scheme {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|scheme| scheme.as_str() == text);
        named.ok_or_else(|| {
            format!("{text:?} is no scheme; there are {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
