//! Tidiness: sizes, openings and words, over every source file of the workspace.
//!
//! It reads rustfmt's layout, so an item ends where a closing brace stands at its own indentation.
//! What is over a limit stands in [`ALLOWED`] with its reason, or is made smaller.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const STRUCT_FIELDS_MAX: usize = 12;

const CRATES: [&str; 5] = ["protocol", "consent", "trainer", "node", "tests"];
/// Crates without IO, clock and any order that differs from run to run.
const PURE: [&str; 2] = ["protocol", "consent"];

/// What may be over a limit: the file, the item (empty for the file itself), and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("protocol/src/limits.rs", "", "every bound, in one file: that is its purpose"),
    ("node/src/api/dto.rs", "Status", FLAT),
    ("node/src/api/dto/run.rs", "RunView", FLAT),
    ("node/src/api/dto/scan.rs", "ScanReply", FLAT),
    ("node/src/cli/scan.rs", "ScanArguments", "one field for each flag of one verb"),
];
const FLAT: &str = "one flat answer of the API: nesting it would only serve the count";
/// Words that have no place anywhere.
const BANNED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("thread::", "sleep"),
];
/// Words that have none in tests: they wait for events.
const BANNED_IN_TESTS: [&str; 2] = [concat!("time::", "sleep("), concat!("tokio::time::", "sleep")];
/// Words that have none outside tests.
const BANNED_OUTSIDE_TESTS: [&str; 3] =
    [concat!(".unw", "rap()"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
/// Words that have none in the pure crates, their tests aside.
const IMPURE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
    "HashMap",
    "HashSet",
];
/// Places on the machine that it is written on.
const PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// A source file.
struct Source {
    /// From the repository's root, with `/` between.
    path: String,
    text: String,
    /// Lines before the `mod tests` at its end; none in a file of tests.
    product_lines: usize,
}

/// Something over a limit.
struct Excess {
    path: String,
    item: String,
    what: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for name in CRATES {
        collect(&root().join(name), name, &mut sources);
    }
    assert!(sources.len() > 50, "only {} files found", sources.len());
    sources
}

fn collect(dir: &Path, path: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        fs::read_dir(dir).and_then(Iterator::collect).expect("the repository can be read");
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = format!("{path}/{name}");
        if entry.file_type().expect("a type").is_dir() {
            if name != "target" {
                collect(&entry.path(), &path, sources);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("source files are UTF-8");
            let product_lines = product_lines(&path, &text);
            sources.push(Source { path, text, product_lines });
        }
    }
}

/// How many lines come before a file's tests.
fn product_lines(path: &str, text: &str) -> usize {
    let in_crate = path.split_once('/').map_or("", |(_, rest)| rest);
    if !in_crate.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {"));
    tail.unwrap_or(lines.len())
}

impl Source {
    fn is_pure(&self) -> bool {
        PURE.iter().any(|name| self.path.starts_with(&format!("{name}/")))
    }

    /// The lines with their numbers, and whether each is outside tests.
    fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(at, line)| (at + 1, line, at < self.product_lines))
    }

    /// Items that start with a line for which `named` gives a name: the name, and the lines from
    /// that one to the closing brace.
    fn items<'a>(
        &'a self,
        named: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Vec<(&'a str, Vec<&'a str>)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut items = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = named(line.trim_start()) else { continue };
            let indent = &line[..line.len() - line.trim_start().len()];
            let ends = |line: &&str| {
                let rest = line.strip_prefix(indent);
                rest.is_some_and(|rest| rest.starts_with('}') || rest.ends_with(';'))
            };
            // One that ends on its own line has no body to measure.
            if line.ends_with('}') || line.ends_with(';') {
                continue;
            }
            let is_end = |line: &&str| ends(line) && !line[indent.len()..].starts_with(' ');
            let length = lines[at + 1..].iter().position(is_end).map_or(1, |n| n + 2);
            items.push((name, lines[at..at + length].to_vec()));
        }
        items
    }
}

/// The name after `keyword`, past visibility and qualifiers.
fn name_after<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let mut rest = line;
    loop {
        if let Some(name) = rest.strip_prefix(keyword).and_then(|rest| rest.strip_prefix(' ')) {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
            return Some(&name[..end.unwrap_or(name.len())]);
        }
        let (word, after) = rest.split_once(' ')?;
        let qualifies = word.starts_with("pub") || ["async", "const", "unsafe"].contains(&word);
        rest = if qualifies { after } else { return None };
    }
}

fn excesses(source: &Source) -> Vec<Excess> {
    let excess =
        |item: &str, what: String| Excess { path: source.path.clone(), item: item.into(), what };
    let mut found = Vec::new();
    if source.product_lines > FILE_LINES_MAX {
        let what = format!("{} lines, {FILE_LINES_MAX} are allowed", source.product_lines);
        found.push(excess("", what));
    }
    for (name, lines) in source.items(|line| name_after(line, "fn")) {
        if lines.len() > FUNCTION_LINES_MAX {
            let what = format!("{} lines, {FUNCTION_LINES_MAX} are allowed", lines.len());
            found.push(excess(name, what));
        }
    }
    for (name, lines) in source.items(|line| name_after(line, "struct")) {
        let fields = fields(&lines);
        if fields > STRUCT_FIELDS_MAX {
            found.push(excess(name, format!("{fields} fields, {STRUCT_FIELDS_MAX} are allowed")));
        }
    }
    found
}

fn fields(lines: &[&str]) -> usize {
    let indent = lines[0].len() - lines[0].trim_start().len() + 4;
    let is_field = |line: &&str| {
        let inner = line.trim_start();
        let at = line.len() - inner.len();
        at == indent && inner.contains(": ") && !inner.starts_with("//") && !inner.starts_with('#')
    };
    lines.iter().filter(|line| is_field(line)).count()
}

/// Fails with all of `complaints`, if there are any.
fn none_of(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn files_functions_and_structs_stay_small() {
    let found: Vec<Excess> = sources().iter().flat_map(excesses).collect();
    let is =
        |excess: &Excess, (path, item): (&str, &str)| excess.path == path && excess.item == item;
    let mut complaints: Vec<String> = found
        .iter()
        .filter(|excess| !ALLOWED.iter().any(|(path, item, _)| is(excess, (path, item))))
        .map(|Excess { path, item, what }| format!("{path} {item}: {what}"))
        .collect();
    for (path, item, reason) in ALLOWED {
        if !found.iter().any(|excess| is(excess, (path, item))) {
            complaints.push(format!("{path} {item} is allowed ({reason}), and not over any limit"));
        }
        if reason.is_empty() {
            complaints.push(format!("{path} {item} is allowed without a reason"));
        }
    }
    none_of(&complaints);
}

#[test]
fn every_file_opens_with_its_role() {
    let complaints: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{} does not open with //!", source.path))
        .collect();
    none_of(&complaints);
}

#[test]
fn banned_words_stay_out() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line, is_product) in source.lines() {
            let mut banned = [&BANNED[..], &PATHS[..]].concat();
            let by_place =
                if is_product { &BANNED_OUTSIDE_TESTS[..] } else { &BANNED_IN_TESTS[..] };
            banned.extend_from_slice(by_place);
            if is_product && source.is_pure() {
                banned.extend_from_slice(&IMPURE);
            }
            for word in banned.into_iter().filter(|word| line.contains(*word)) {
                complaints.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    none_of(&complaints);
}

#[test]
fn the_measures_measure() {
    let text = "\
//! A file.

pub(crate) async fn long(
    a: u32,
) -> u32 {
    let b = {
        a
    };
    b
}

fn short() {}

struct Many {
    // not a field: at all
    a: u32,
    pub b: Vec<(u32, u32)>,
}

#[cfg(test)]
mod tests {
    fn inner() {
        ();
    }
}
";
    let path = "protocol/src/x.rs";
    let source =
        Source { path: path.into(), text: text.into(), product_lines: product_lines(path, text) };
    assert_eq!(source.product_lines, 19);
    let functions = source.items(|line| name_after(line, "fn"));
    let sizes: Vec<(&str, usize)> = functions.iter().map(|(name, l)| (*name, l.len())).collect();
    assert_eq!(sizes, [("long", 8), ("inner", 3)]);
    let structs = source.items(|line| name_after(line, "struct"));
    assert_eq!(structs.len(), 1);
    assert_eq!(fields(&structs[0].1), 2);
    assert_eq!(product_lines("node/tests/x.rs", text), 0);
}
