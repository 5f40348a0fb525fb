//! A service of one's own, ready to be run: its programs are there, its bodies are read, its environment is complete.

use std::path::{Path, PathBuf};

use twinscale_work::body;

use crate::scenario::{Scenario, Service};

/// The most bytes of a body that SQS takes.
const MAX_BODY: usize = 1 << 20;

/// Why a service cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A program is not there.
    #[error("{}: there is no such program: build it first, or write its path", .0.display())]
    NoProgram(PathBuf),
    /// The bodies cannot be read.
    #[error("{}{}: {what}", .file.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Bodies {
        /// The file.
        file: PathBuf,
        /// Where, from 1.
        line: Option<usize>,
        /// What is wrong.
        what: String,
    },
    /// A variable that the caller's environment was to have is not set there.
    #[error("{0} is not set in this environment: set it, or write --env {0}=VALUE")]
    NotSet(String),
    /// A variable that the run itself sets.
    #[error("{0} is set by the run: leave it out, and change the scenario instead")]
    Taken(String),
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Bodies {
    /// One after the other, and from the first again.
    Lines(Vec<String>),
    /// One body for all, with `{n}` and `{uuid}` in it.
    Template(String),
}

impl Bodies {
    /// The bodies of a service.
    ///
    /// # Errors
    /// A file that cannot be read, has no line, or has a line that SQS would not take.
    pub fn of(service: &Service) -> Result<Self, ServiceError> {
        match (&service.bodies, &service.body) {
            (Some(file), _) => Self::read(file),
            (None, Some(template)) => Ok(Self::Template(template.clone())),
            (None, None) => Ok(Self::Template("{uuid}".to_owned())),
        }
    }

    fn read(file: &Path) -> Result<Self, ServiceError> {
        let wrong = |line, what: String| ServiceError::Bodies { file: file.to_owned(), line, what };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(None, error.to_string()))?;
        let mut bodies = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                return Err(wrong(Some(at + 1), "is empty, and SQS takes no empty body: leave it out".to_owned()));
            }
            if line.len() > MAX_BODY {
                return Err(wrong(Some(at + 1), format!("has {} bytes: SQS takes {MAX_BODY}", line.len())));
            }
            bodies.push(line.to_owned());
        }
        if bodies.is_empty() {
            return Err(wrong(None, "holds no body: write one per line".to_owned()));
        }
        Ok(Self::Lines(bodies))
    }

    /// How many messages they are, where that is known.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Lines(lines) => Some(lines.len() as u64),
            Self::Template(_) => None,
        }
    }

    /// The mean length of a body in bytes, as the simulator needs it.
    pub fn mean_bytes(&self) -> u64 {
        match self {
            Self::Lines(lines) => (lines.iter().map(String::len).sum::<usize>() / lines.len().max(1)) as u64,
            Self::Template(_) => self.body(1, 0).len() as u64,
        }
    }

    /// The body of message `number`.
    pub fn body(&self, seed: u64, number: u64) -> String {
        match self {
            Self::Lines(lines) => lines[(number % lines.len() as u64) as usize].clone(),
            Self::Template(template) => {
                template.replace("{n}", &number.to_string()).replace("{uuid}", &body(seed, number))
            }
        }
    }
}

/// A service that can be run.
#[derive(Clone, Debug)]
pub struct Served {
    /// The worker's program.
    pub worker: PathBuf,
    /// The function's program.
    pub function: PathBuf,
    /// What is sent.
    pub bodies: Bodies,
    /// Its own variables.
    pub variables: Vec<(String, String)>,
}

impl Served {
    /// The scenario's service, if it has one.
    ///
    /// # Errors
    /// When a program, a body or a variable is missing.
    pub fn of(scenario: &Scenario) -> Result<Option<Self>, ServiceError> {
        let Some(service) = &scenario.service else { return Ok(None) };
        let program = |path: Option<&PathBuf>| {
            let path = path.cloned().unwrap_or_default();
            let found = std::fs::canonicalize(&path).ok().filter(|path| path.is_file());
            found.ok_or(ServiceError::NoProgram(path))
        };
        let mut variables: Vec<(String, String)> = service.env.clone().into_iter().collect();
        for name in &service.env_from {
            let value = std::env::var(name).map_err(|_| ServiceError::NotSet(name.clone()))?;
            variables.push((name.clone(), value));
        }
        Ok(Some(Self {
            worker: program(service.worker())?,
            function: program(service.function())?,
            bodies: Bodies::of(service)?,
            variables,
        }))
    }

    /// Its own variables added to those that the run sets, of which it may change only what is for AWS in general.
    pub(super) fn check_variables(&self, set: &[(String, String)]) -> Result<(), ServiceError> {
        let taken = |name: &str| !name.starts_with("AWS_") && set.iter().any(|(other, _)| other == name);
        match self.variables.iter().find(|(name, _)| taken(name)) {
            Some((name, _)) => Err(ServiceError::Taken(name.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    fn read(text: &str) -> Result<Bodies, ServiceError> {
        Bodies::read(file(text).path())
    }

    #[test]
    fn a_body_is_a_line_and_they_are_sent_in_turn() {
        let bodies = read("{\"id\":1}\nnot json\n").expect("two bodies");
        assert_eq!(bodies.count(), Some(2));
        assert_eq!([0, 1, 2].map(|n| bodies.body(1, n)), ["{\"id\":1}", "not json", "{\"id\":1}"]);
        assert_eq!(bodies.mean_bytes(), 8);
    }

    #[test]
    fn a_template_tells_messages_apart() {
        let bodies = Bodies::Template(r#"{"id":{n},"key":"{uuid}"}"#.to_owned());
        assert_ne!(bodies.body(1, 0), bodies.body(1, 1));
        assert!(bodies.body(1, 7).starts_with(r#"{"id":7,"key":""#));
        assert_eq!(bodies.count(), None);
    }

    #[test]
    fn lines_that_sqs_would_not_take_are_named() {
        assert!(read("one\n\nthree\n").expect_err("empty").to_string().contains("line 2: is empty"));
        assert!(read("").expect_err("nothing").to_string().contains("holds no body"));
        assert!(read(&"x".repeat(MAX_BODY + 1)).expect_err("long").to_string().contains("line 1: has 1048577 bytes"));
    }
}
