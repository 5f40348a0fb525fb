//! A service of one's own in a scenario: its programs, what is sent to it, and its environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

/// `[service]`: the programs to run in place of the ones that ship, the bodies to send them, and their environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// One binary for every host (`twinscale::main`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<PathBuf>,
    /// The worker, where each host has a binary of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<PathBuf>,
    /// The function, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<PathBuf>,
    /// A file of bodies, one per line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bodies: Option<PathBuf>,
    /// A body with `{n}` (the number of the message, from 0) and `{uuid}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Variables of its environment. A run keeps their names and not their values, which may be secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "names")]
    pub env: BTreeMap<String, String>,
    /// Variables that come from the caller's environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<String>,
}

/// What a value is written as.
const HIDDEN: &str = "(not kept)";

fn names<S: Serializer>(env: &BTreeMap<String, String>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(env.keys().map(|name| (name, HIDDEN)))
}

impl Service {
    /// The worker's program.
    pub fn worker(&self) -> Option<&PathBuf> {
        self.worker.as_ref().or(self.service.as_ref())
    }

    /// The function's program.
    pub fn function(&self) -> Option<&PathBuf> {
        self.function.as_ref().or(self.service.as_ref())
    }

    /// What is wrong with it: the field, and what to write instead.
    pub(super) fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        let apart = self.worker.is_some() || self.function.is_some();
        match (&self.service, apart) {
            (Some(_), true) => {
                mistakes.push(("service", "write one binary for every host, or worker and function".into()))
            }
            (None, _) if self.worker.is_none() => {
                mistakes.push(("worker", "write the worker's binary too, or --service".into()))
            }
            (None, _) if self.function.is_none() => {
                mistakes.push(("function", "write the function's binary too, or --service".into()))
            }
            (Some(_) | None, _) => {}
        }
        match (&self.bodies, &self.body) {
            (Some(_), Some(_)) => mistakes.push(("body", "write bodies or body, not both".into())),
            (None, None) => mistakes.push((
                "bodies",
                "say what to send: a file with one body per line, or body with {n} and {uuid}".into(),
            )),
            (Some(_), None) | (None, Some(_)) => {}
        }
        mistakes
    }
}
