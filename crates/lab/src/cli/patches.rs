//! Other settings as changes of the user's files, or of this project's.

use std::path::PathBuf;

use super::CommandError;
use super::compare::Overrides;
use crate::advise::patch::{Patch, PatchError, files, patch};
use crate::manifests::{Manifest, ManifestError, deployed};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// Changes of files, of which each has one, and what cannot be changed.
#[derive(Default)]
pub(super) struct Patches {
    /// The changes.
    pub made: Vec<Patch>,
    /// What has to be changed by hand.
    pub left: Vec<PatchError>,
}

impl Patches {
    /// Puts the settings of a target into its files; where they have to exist, this project's own are no substitute.
    pub(super) fn put(
        &mut self,
        overrides: &Overrides,
        target: TargetKind,
        wanted: &Scenario,
        have_to_exist: bool,
    ) -> Result<(), CommandError> {
        for kind in files(target) {
            let (file, text) = text(overrides, *kind, have_to_exist)?;
            let at = self.made.iter().position(|patch| patch.file == file);
            let text = at.map_or(text, |at| self.made[at].after.clone());
            match (patch(*kind, &file, &text, wanted, &overrides.given), at) {
                (Ok(patch), Some(at)) => self.made[at].after = patch.after,
                (Ok(patch), None) => self.made.push(patch),
                (Err(PatchError::Manifest(error)), _) => return Err(error.into()),
                (Err(error @ PatchError::Style { .. }), _) => self.left.push(error),
            }
        }
        Ok(())
    }
}

/// The user's file of that kind, or this project's: as it lies below here, or as it came with the program.
fn text(overrides: &Overrides, kind: Manifest, has_to_exist: bool) -> Result<(String, String), CommandError> {
    let (own, text) = deployed(kind);
    let path = overrides.manifest(kind).unwrap_or_else(|| PathBuf::from(own));
    let given = overrides.manifest(kind).is_some();
    let file = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((file, text)),
        Err(_) if !given && !has_to_exist => Ok((file, text.to_owned())),
        Err(error) => Err(ManifestError::unreadable(&file, &error).into()),
    }
}
