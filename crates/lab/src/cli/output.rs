//! Runs in and out: `run.json` on disk, reports on standard output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::CommandError;
use crate::advise::Goal;
use crate::cost::Prices;
use crate::report::figures::printable;
use crate::report::html::{self, View};
use crate::report::{markdown, text};
use crate::run::{Run, SCHEMA};

/// The largest file that is read as a run: a day of samples and looks a second is below a tenth of it.
const LARGEST: u64 = 512 << 20;

/// How a result is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// A table, the backlog as a line of blocks, and the decisions with their reasons
    Text,
    /// What `run.json` holds
    Json,
    /// Tables for a pull request
    Markdown,
}

/// Why a `run.json` cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there, or not readable.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another version wrote it.
    #[error("{}: its schema is {found}, and this version reads {SCHEMA}: use the twinscale that wrote it, or run again", .path.display())]
    Schema {
        /// As given.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// It is no run.
    #[error("{}: it is no run.json: {error}", .path.display())]
    Malformed {
        /// As given.
        path: PathBuf,
        /// Where, and what was expected.
        error: serde_json::Error,
    },
}

/// Reads a `run.json`, and refuses another schema than ours.
pub(super) fn read(path: &Path) -> Result<Run, ReadError> {
    let path = path.to_owned();
    let text = match read_bounded(&path) {
        Ok(text) => text,
        Err(error) => return Err(ReadError::Unreadable { path, error }),
    };
    let malformed = |error| ReadError::Malformed { path: path.clone(), error };
    let Versioned { schema } = serde_json::from_str(&text).map_err(malformed)?;
    match schema.as_deref() {
        Some(SCHEMA) => serde_json::from_str(&text).map_err(malformed),
        found => Err(ReadError::Schema { found: printable(found.unwrap_or("missing")), path }),
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    schema: Option<String>,
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("larger than {} MiB, and so no run.json", LARGEST >> 20)));
    }
    Ok(text)
}

/// Writes `run.json` and `report.html`, with a goal if there is one, into `folder`, and makes it if need be.
pub(super) fn write(
    run: &Run,
    prices: &Prices,
    goal: Option<Goal>,
    folder: &Path,
    full: bool,
) -> Result<(), CommandError> {
    write_run(run, folder, full)?;
    write_page(View { goal, ..View::of(std::slice::from_ref(run), prices) }, folder)
}

/// Writes `run.json`: a long run without what shows nothing, on one line, unless it is to be in full.
pub(super) fn write_run(run: &Run, folder: &Path, full: bool) -> Result<(), CommandError> {
    let thin = if full { None } else { Some(run.thinned()).filter(|thin| thin != run) };
    let Some(thin) = thin else { return write_json(run, folder, "run.json") };
    let line = serde_json::to_string(&thin)
        .map_err(|error| CommandError::Write { what: "run.json".to_owned(), error: error.into() })?;
    create(folder)?;
    write_file(&folder.join("run.json"), &(line + "\n"))
}

fn create(folder: &Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(folder).map_err(|error| CommandError::Write { what: folder.display().to_string(), error })
}

/// Writes a result as JSON into `folder`, and makes it if need be.
pub(super) fn write_json(result: &impl Serialize, folder: &Path, name: &str) -> Result<(), CommandError> {
    create(folder)?;
    write_file(&folder.join(name), &json(result))
}

/// Writes `report.html` into `folder`.
pub(super) fn write_page(view: View, folder: &Path) -> Result<(), CommandError> {
    write_file(&folder.join("report.html"), &html::page(view))
}

/// Writes one file.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), CommandError> {
    std::fs::write(path, text).map_err(|error| CommandError::Write { what: path.display().to_string(), error })
}

/// Prints the runs to standard output.
pub(super) fn print(runs: &[Run], prices: &Prices, format: Format) -> Result<(), CommandError> {
    let reports: Vec<String> = runs
        .iter()
        .map(|run| match format {
            Format::Text => text::text(run, prices, console::colors_enabled()),
            Format::Json => json(run),
            Format::Markdown => markdown::markdown(run, prices),
        })
        .collect();
    say(reports.join("\n").trim_end())
}

/// Prints to standard output.
pub(super) fn say(text: &str) -> Result<(), CommandError> {
    match writeln!(io::stdout().lock(), "{text}") {
        // Whoever read the first lines and closed the pipe has what they wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::Write { what: "to standard output".to_owned(), error })
        }
        _ => Ok(()),
    }
}

/// A result as JSON for people.
pub(super) fn json(result: &impl Serialize) -> String {
    // Results are made of numbers, texts and maps with text keys: they have a JSON form.
    let mut text = serde_json::to_string_pretty(result).unwrap_or_default();
    text.push('\n');
    text
}
