//! The files that deploy a target: where they lie in a repository, and what they say.

use super::GateError;
use super::checkout::{Checkout, Revision};
use crate::advise::patch::files;
use crate::cost::Prices;
use crate::fargate::start_as_priced;
use crate::manifests::{self, Given, Manifest, ManifestError};
use crate::scenario::{Draft, Scenario};
use crate::target::TargetKind;

/// A file with settings, as it is in one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFile {
    /// What it is read as.
    pub kind: Manifest,
    /// Its path in the repository.
    pub path: String,
    /// How mistakes in it call it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Paths that were given, from the topmost folder on; what was not is looked for.
#[derive(Clone, Debug, Default)]
pub struct GivenPaths {
    /// Of the ScaledObject.
    pub scaled_object: Option<String>,
    /// Of the Deployment.
    pub deployment: Option<String>,
    /// Of the template.
    pub template: Option<String>,
}

impl GivenPaths {
    fn of(&self, kind: Manifest) -> Option<&String> {
        match kind {
            Manifest::ScaledObject => self.scaled_object.as_ref(),
            Manifest::Deployment => self.deployment.as_ref(),
            Manifest::Template => self.template.as_ref(),
        }
    }
}

/// The flag that names a file of this kind.
pub(super) fn flag(kind: Manifest) -> &'static str {
    match kind {
        Manifest::ScaledObject => "--scaled-object",
        Manifest::Deployment => "--deployment",
        Manifest::Template => "--template",
    }
}

/// Where files of this kind lie, other than where this project has them.
fn places(kind: Manifest) -> &'static [&'static str] {
    match kind {
        Manifest::ScaledObject | Manifest::Deployment => &["eks"],
        Manifest::Template => &["sam", "template.yaml", "template.yml"],
    }
}

/// The files of a target in a revision.
///
/// # Errors
/// One that cannot be read, or several where nobody says which.
pub fn found(
    checkout: &Checkout,
    at: &Revision,
    target: TargetKind,
    given: &GivenPaths,
) -> Result<Vec<SettingsFile>, GateError> {
    let one = |kind: &Manifest| find(checkout, at, *kind, given.of(*kind)).transpose();
    files(target).iter().filter_map(one).collect()
}

fn find(
    checkout: &Checkout,
    at: &Revision,
    kind: Manifest,
    given: Option<&String>,
) -> Result<Option<SettingsFile>, GateError> {
    let read = |path: &str| -> Result<Option<SettingsFile>, GateError> {
        let text = checkout.read(at, path)?;
        Ok(text.map(|text| SettingsFile { kind, path: path.to_owned(), name: at.file(path), text }))
    };
    if let Some(path) = given {
        return read(path);
    }
    if let Some(usual) = read(manifests::deployed(kind).0)? {
        return Ok(Some(usual));
    }
    let mut all = Vec::new();
    for path in checkout.files(at, places(kind))? {
        if [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end))
            && let Some(file) = read(&path)?
            && manifests::holds(kind, &file.name, &file.text).map_err(ManifestError::from)?
        {
            all.push(file);
        }
    }
    match all.len() {
        0 | 1 => Ok(all.pop()),
        _ => Err(GateError::Several { flag: flag(kind), files: all.into_iter().map(|file| file.name).collect() }),
    }
}

/// Puts the files into a scenario, and returns what the models leave out of them.
///
/// # Errors
/// What cannot be read, with file and line.
pub fn put_into(scenario: &mut Scenario, files: &[SettingsFile], given: &Given) -> Result<Vec<String>, ManifestError> {
    let mut warnings = Vec::new();
    for SettingsFile { kind, name, text, .. } in files {
        warnings.extend(scenario.take_manifest(*kind, name, text, given)?);
    }
    Ok(warnings)
}

/// The scenario with the files in it, and with what it left out; pods start as those do that the bill is of.
///
/// # Errors
/// What cannot be read, or what cannot be run.
pub(super) fn resolved(
    draft: &Draft,
    files: &[SettingsFile],
    given: &Given,
    prices: &Prices,
) -> Result<Scenario, GateError> {
    let mut draft = draft.clone();
    put_into(&mut draft.scenario, files, given)?;
    start_as_priced(&mut draft, prices);
    Ok(draft.resolved()?)
}
