//! robots.txt (RFC 9309): lines, groups and the longest match.
//!
//! Invariants: groups of one crawler count as one, whatever is between them; rules before the first
//! group count for nobody; the longest matching pattern decides, and an allow wins a tie, as the RFC
//! says for crawling. A file longer than the RFC asks crawlers to read is refused: what would be cut
//! off may restrict. What it is not: a preference about use; see `ai_token` for what a refusal to a
//! model's crawler is taken for, and `aipref` and `content_signal` for lines about use.

use protocol::limits::ROBOTS_BYTES_MAX;

use super::found::{Fault, bounded};
use super::pattern::{PathPattern, UrlPath};

/// A file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robots {
    groups: Vec<Group>,
}

/// Some crawlers and the rules for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The crawlers' tokens as they stand there, `*` for all others.
    pub agents: Vec<String>,
    /// The rules in order.
    pub rules: Vec<Rule>,
}

/// A line about crawling or use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What kind.
    pub kind: RuleKind,
    /// What stands after the colon, comment and white space left out.
    pub value: String,
    /// Which paths; none where no pattern is given: nothing for a rule about crawling, all for a
    /// rule about use.
    pub pattern: Option<PathPattern>,
}

impl Rule {
    fn new(kind: RuleKind, value: &str) -> Self {
        let about_use = matches!(kind, RuleKind::ContentUsage | RuleKind::ContentSignal);
        let pattern = match path_and_said(value) {
            _ if !about_use => Some(value).filter(|value| !value.is_empty()),
            (path, _) => path,
        };
        Self { kind, value: value.to_owned(), pattern: pattern.map(PathPattern::new) }
    }

    /// What a rule about use says, without its path.
    pub fn said(&self) -> &str {
        path_and_said(&self.value).1
    }

    /// The line, as it may be written.
    pub fn line(&self) -> String {
        format!("{}: {}", self.kind.as_str(), self.value)
    }
}

/// The path before a preference, if one is there: it starts with a slash and ends at white space
/// (draft-ietf-aipref-attach-05).
fn path_and_said(value: &str) -> (Option<&str>, &str) {
    if !value.starts_with('/') {
        return (None, value);
    }
    value
        .split_once(is_space)
        .map_or((Some(value), ""), |(path, said)| (Some(path), said.trim_matches(is_space)))
}

/// Lines that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// May be crawled.
    Allow,
    /// May not be crawled.
    Disallow,
    /// AIPREF.
    ContentUsage,
    /// Content Signals.
    ContentSignal,
}

impl RuleKind {
    /// The line's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Disallow => "Disallow",
            Self::ContentUsage => "Content-Usage",
            Self::ContentSignal => "Content-Signal",
        }
    }
}

enum Line<'a> {
    Agent(&'a str),
    Rule(RuleKind, &'a str),
}

impl Robots {
    /// Reads a file. Lines that are none of the RFC's, AIPREF's or Content Signals' are skipped, as
    /// the RFC says; letters that are no UTF-8 make a line match nothing, never end the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        bounded(bytes, ROBOTS_BYTES_MAX)?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut groups: Vec<Group> = Vec::new();
        for line in text.split(['\r', '\n']).filter_map(line) {
            match line {
                Line::Agent(agent) => {
                    if groups.last().is_none_or(|group| !group.rules.is_empty()) {
                        groups.push(Group::default());
                    }
                    groups.last_mut().expect("pushed above").agents.push(agent.to_owned());
                }
                Line::Rule(kind, value) => {
                    if let Some(group) = groups.last_mut() {
                        group.rules.push(Rule::new(kind, value));
                    }
                }
            }
        }
        Ok(Self { groups })
    }

    /// The groups in order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The rules for a crawler with this token: of its own groups, and only without one of `*`.
    pub fn rules_for(&self, token: &str) -> Vec<&Rule> {
        let own = self.rules_where(|agent| is_agent(agent, token));
        if self.names(token) { own } else { self.rules_where(|agent| is_agent(agent, "*")) }
    }

    /// Whether a group is for this token by name.
    pub fn names(&self, token: &str) -> bool {
        let mut agents = self.groups.iter().flat_map(|group| &group.agents);
        agents.any(|agent| is_agent(agent, token))
    }

    /// Whether a crawler with this token may fetch `path`.
    pub fn allows(&self, token: &str, path: &UrlPath) -> bool {
        let rules = self.rules_for(token);
        !matches!(longest(&rules, path), Some(rule) if rule.kind == RuleKind::Disallow)
    }

    /// The rules about use of one kind that decide for a path: those with the longest matching
    /// pattern, all of them where several are equally long (draft-ietf-aipref-attach-05).
    pub fn about_use(&self, token: &str, kind: RuleKind, path: &UrlPath) -> Vec<&Rule> {
        let octets = |rule: &Rule| rule.pattern.as_ref().map_or(0, PathPattern::octets);
        let mut matching = self.rules_for(token);
        matching.retain(|rule| {
            rule.kind == kind && rule.pattern.as_ref().is_none_or(|pattern| pattern.matches(path))
        });
        let longest = matching.iter().map(|rule| octets(rule)).max();
        matching.retain(|rule| Some(octets(rule)) == longest);
        matching
    }

    /// All rules in groups with an agent that `wanted` takes.
    pub(super) fn rules_where(&self, wanted: impl Fn(&str) -> bool) -> Vec<&Rule> {
        let groups = self.groups.iter().filter(|group| group.agents.iter().any(|a| wanted(a)));
        groups.flat_map(|group| &group.rules).collect()
    }
}

/// The rule about crawling that decides for a path.
pub(super) fn longest<'a>(rules: &[&'a Rule], path: &UrlPath) -> Option<&'a Rule> {
    let crawling = rules.iter().filter(|r| matches!(r.kind, RuleKind::Allow | RuleKind::Disallow));
    let matching = crawling.filter_map(|rule| {
        let pattern = rule.pattern.as_ref().filter(|pattern| pattern.matches(path))?;
        Some(((pattern.octets(), rule.kind == RuleKind::Allow), *rule))
    });
    matching.max_by_key(|(rank, _)| *rank).map(|(_, rule)| rule)
}

/// Whether a `User-agent` line's value names this token, without regard to case. What follows the
/// token, such as a version, is left out, as Google's parser does.
pub(super) fn is_agent(value: &str, token: &str) -> bool {
    if token == "*" {
        return value == "*" || value.starts_with("* ");
    }
    let end = value.find(|c: char| !(c.is_ascii_alphabetic() || matches!(c, '-' | '_')));
    let named = |value: &str| value.eq_ignore_ascii_case(token);
    let product = value.split([' ', '\t', '/']).next().unwrap_or_default();
    !token.is_empty()
        && (named(&value[..end.unwrap_or(value.len())]) || named(product) || named(value))
}

fn line(line: &str) -> Option<Line<'_>> {
    let line = line.split('#').next().unwrap_or_default().trim_matches(is_space);
    // Google's parser takes white space for a forgotten colon, and so do people.
    let (name, value) = line.split_once(':').or_else(|| line.split_once(is_space))?;
    let value = value.trim_matches(is_space);
    let name = name.trim_matches(is_space).to_ascii_lowercase();
    Some(match name.as_str() {
        "user-agent" | "useragent" | "user agent" => Line::Agent(value),
        "allow" => Line::Rule(RuleKind::Allow, value),
        "disallow" | "dissallow" | "dissalow" | "disalow" | "diasllow" | "disallaw" => {
            Line::Rule(RuleKind::Disallow, value)
        }
        "content-usage" => Line::Rule(RuleKind::ContentUsage, value),
        "content-signal" | "content-signals" => Line::Rule(RuleKind::ContentSignal, value),
        _ => return None,
    })
}

const fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t')
}

#[cfg(test)]
#[path = "tests/robots.rs"]
mod tests;
