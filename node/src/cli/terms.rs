//! `accord consent import` and `export`: terms of other schemes.
//!
//! Invariants: the node reads the documents; a text that is exported goes to standard output as it is, or
//! into a file that was not there. What it is not: the schemes (see `consent::terms`).

use std::path::PathBuf;

use clap::Args;
use consent::terms::Scheme;
use protocol::PublicKey;
use protocol::limits::OPT_IN_DAYS_MAX;

use crate::api::dto::{ExportRequest, ImportRequest, ScanSite};

use super::context::{Context, absolute_text};
use super::error::CliError;
use super::own_args::SpeakerArguments;

/// Documents that say what may be done with works.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The site that the documents are of.
    #[arg(long, value_name = "URL", required_unless_present = "code_list")]
    base: Option<String>,
    /// Its robots.txt: crawlers of models that are turned away, `Content-Usage`, `Content-Signal`.
    #[arg(long, value_name = "FILE", requires = "base")]
    robots: Option<PathBuf>,
    /// Its ai.txt.
    #[arg(long, value_name = "FILE", requires = "base")]
    ai_txt: Option<PathBuf>,
    /// Its `.well-known/tdmrep.json`.
    #[arg(long, value_name = "FILE", requires = "base")]
    tdmrep: Option<PathBuf>,
    /// An RSL document of it; may be given several times.
    #[arg(long, value_name = "FILE", requires = "base")]
    rsl: Vec<PathBuf>,
    /// A list of accounts and repositories that are opted out, in the manner of BigCode.
    #[arg(long, value_name = "FILE")]
    code_list: Option<PathBuf>,
    /// The host of names without one in that list.
    #[arg(long, value_name = "HOST", default_value = "github.com", requires = "code_list")]
    forge: String,
    /// Take permissions too, for so many days; without it refusals only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=OPT_IN_DAYS_MAX))]
    days: Option<u64>,
    /// In the name of this identity, which gave leave for it.
    #[arg(long = "for", value_name = "KEY")]
    pub(super) behalf: Option<PublicKey>,
    #[command(flatten)]
    pub(super) speaker: SpeakerArguments,
}

/// What to write, and where.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The site: a URL or a host name.
    site: String,
    /// The scheme: `aipref` (the value of `Content-Usage`), `robots`, `ai.txt`, `tdmrep`, `x-robots` or
    /// `content-signal`.
    #[arg(long, value_name = "SCHEME", value_parser = schemes())]
    scheme: String,
    /// Whose word: a key, or an identity of this node. `me` if left out.
    #[arg(long, value_name = "KEY|NAME")]
    of: Option<String>,
    /// Write it here instead of to standard output; must not exist.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ImportArguments {
    /// The request, with absolute paths.
    pub(super) fn request(&mut self) -> Result<ImportRequest, CliError> {
        let path = |path: &Option<PathBuf>| path.as_deref().map(absolute_text).transpose();
        let site = match self.base.take() {
            None => None,
            Some(base) => Some(ScanSite {
                base,
                robots: path(&self.robots)?,
                ai_txt: path(&self.ai_txt)?,
                tdmrep: path(&self.tdmrep)?,
                rsl: self.rsl.iter().map(|path| absolute_text(path)).collect::<Result<_, _>>()?,
            }),
        };
        let (code_list, days) = (path(&self.code_list)?, self.days);
        Ok(ImportRequest { site, code_list, forge: std::mem::take(&mut self.forge), days })
    }
}

pub(super) async fn export(context: &Context, arguments: ExportArguments) -> Result<(), CliError> {
    let ExportArguments { site, scheme, of, out } = arguments;
    let request = ExportRequest { of, place: site, scheme };
    let reply = context.client()?.export(&request).await?;
    if let Some(out) = out {
        let text = format!("{}\n", reply.text.trim_end());
        let written = std::fs::File::create_new(&out)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|error| CliError::Write(out.display().to_string(), error))?;
        return Ok(context.out.show(&reply, |_, _| format!("wrote {}", out.display()))?);
    }
    Ok(context.out.show(&reply, |reply, _| reply.text.trim_end().to_owned())?)
}

fn schemes() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(Scheme::ALL.map(Scheme::as_str))
}
