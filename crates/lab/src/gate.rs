//! The gate of a pull request: what a change of settings does to a goal and to the bill, and whether it may.
//!
//! It judges the change, not what was there: under each scenario both sides meet the same messages with the same luck, and
//! what was wrong before and is not worse now is told, and refused to nobody.

mod changed;
pub mod checkout;
mod judged;
mod settings_files;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::advise::{Change, Goal, LAST_LOAD, thinned};
use crate::cost::Prices;
use crate::fargate::start_as_priced;
use crate::manifests::{Given, ManifestError};
use crate::scenario::{Draft, Scenario, ScenarioError};
use crate::target::TargetKind;
pub(crate) use changed::changed;
use checkout::{Checkout, GitError, Revision};
use judged::judged;
use settings_files::resolved;

pub(crate) use judged::interval;
pub use judged::{Achieved, Judged, Parting, Refusal};
pub use settings_files::{GivenPaths, SettingsFile, found, put_into};

/// The version of what `gate` writes; a reader refuses another.
pub const GATE_SCHEMA: &str = "twinscale/gate/1";

/// What `twinscale gate` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gated {
    /// [`GATE_SCHEMA`].
    pub schema: String,
    /// Nothing is refused.
    pub passed: bool,
    /// What the change is held against.
    pub base: String,
    /// Where the change was read.
    pub head: String,
    /// What has to be met.
    pub goal: Goal,
    /// How much more a month may cost.
    pub max_cost_increase: Option<CostIncrease>,
    /// Seeds that the intervals are made of.
    pub seeds: u64,
    /// Where the prices hold.
    pub region: String,
    /// When they were read.
    pub prices_date: String,
    /// Settings that differ.
    pub changes: Vec<Change>,
    /// Each target that has other settings, under each scenario in which they matter.
    pub judged: Vec<Judged>,
    /// Why the change may not pass, sentence by sentence.
    pub reasons: Vec<String>,
    /// What the reader should know beside that.
    pub notes: Vec<String>,
}

/// What is asked of a change.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    /// What has to be met.
    pub goal: Goal,
    /// How much more a month may cost.
    pub max_cost_increase: Option<CostIncrease>,
    /// Seeds that the intervals are made of.
    pub seeds: u64,
    /// What both sides cost.
    pub prices: &'a Prices,
    /// What the files do not tell.
    pub given: &'a Given,
}

/// What a bill may grow by, as a share of what it was; written as a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CostIncrease(f64);

/// Why there is no such share.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no percentage: write 10%")]
pub struct NoPercentage(String);

impl FromStr for CostIncrease {
    type Err = NoPercentage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let percent = percent.filter(|percent| percent.is_finite() && *percent >= 0.0);
        percent.map(|percent| Self(percent / 100.0)).ok_or_else(|| NoPercentage(text.to_owned()))
    }
}

impl fmt::Display for CostIncrease {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}%", (self.0 * 1e6).round() / 1e4)
    }
}

impl TryFrom<String> for CostIncrease {
    type Error = NoPercentage;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CostIncrease> for String {
    fn from(increase: CostIncrease) -> Self {
        increase.to_string()
    }
}

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Git has no answer.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file of the change cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A scenario cannot be read, or cannot run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A file that was named is not there.
    #[error("{flag}: there is no {file}")]
    NoFile {
        /// The flag.
        flag: &'static str,
        /// The file, and where it was looked for.
        file: String,
    },
    /// Several files could be meant.
    #[error("{}: each could be the one that is deployed: name it with {flag}", .files.join(", "))]
    Several {
        /// The flag that says which.
        flag: &'static str,
        /// The files.
        files: Vec<String>,
    },
    /// No file of either target.
    #[error(
        "there is neither a ScaledObject on a queue below eks/, nor a template at sam/template.yaml or template.yaml, in \
         {0}: name yours with --scaled-object, --deployment or --template"
    )]
    NothingDeployed(String),
    /// No scenario.
    #[error("there is no scenarios/*.toml in {}: write one (docs/scenarios.md), or name one: --scenario default", .0.display())]
    NoScenario(PathBuf),
    /// No scenario that could be run.
    #[error("no scenario can be run with these files:\n  {}", .0.join("\n  "))]
    NoneRuns(Vec<String>),
}

/// The files of one target on both sides.
#[derive(Clone, Debug)]
struct Sides {
    target: TargetKind,
    /// None, where the change brings the target.
    before: Vec<SettingsFile>,
    after: Vec<SettingsFile>,
}

/// Judges what lies in `head` against `base`, under these scenarios.
///
/// # Errors
/// Files of `head` that cannot be read, or nothing that could be judged.
pub fn gate(
    checkout: &Checkout,
    base: &Revision,
    head: &Revision,
    paths: &GivenPaths,
    drafts: &[Draft],
    demand: &Demand,
) -> Result<Gated, GateError> {
    let mut gated = Gated {
        schema: GATE_SCHEMA.to_owned(),
        passed: false,
        base: base.to_string(),
        head: head.to_string(),
        goal: demand.goal,
        max_cost_increase: demand.max_cost_increase,
        seeds: demand.seeds,
        region: demand.prices.region.clone(),
        prices_date: demand.prices.date.clone(),
        changes: Vec::new(),
        judged: Vec::new(),
        reasons: Vec::new(),
        notes: Vec::new(),
    };
    let mut all = Vec::new();
    for target in TargetKind::all().iter().copied() {
        let before = found(checkout, base, target, paths)?;
        let after = found(checkout, head, target, paths)?;
        all.extend(readable(Sides { target, before, after }, demand.given, &mut gated)?);
    }
    if all.is_empty() && gated.notes.is_empty() {
        return Err(GateError::NothingDeployed(head.to_string()));
    }
    let mut pairs = Vec::new();
    let mut left_out = Vec::new();
    for draft in drafts {
        for sides in &all {
            match pair(draft, sides, demand) {
                Ok(pair) => pairs.push(pair),
                Err(Unfit::Always(why)) => left_out.push(why),
                Err(Unfit::Now(why)) => gated.reasons.push(why),
            }
        }
    }
    if pairs.is_empty() && gated.reasons.is_empty() && !all.is_empty() {
        return Err(GateError::NoneRuns(left_out));
    }
    gated.notes.extend(left_out.into_iter().map(|why| format!("left out: {why}")));
    pairs.retain(|pair| pair.before.as_ref() != Some(&pair.after));
    let judges_pods = pairs.iter().any(|pair| pair.target == TargetKind::Eks);
    gated.notes.extend(
        drafts.iter().find_map(|draft| start_as_priced(&mut draft.clone(), demand.prices)).filter(|_| judges_pods),
    );
    for pair in &pairs {
        let part = thinned(&pair.after, LAST_LOAD).factor;
        if part > 1.0 {
            let note =
                format!("{}: the load was thinned to one message in {part:.0}, at the same rates", pair.scenario);
            gated.notes.extend((!gated.notes.contains(&note)).then_some(note));
        }
    }
    gated.judged = pairs.par_iter().map(|pair| judged(pair, demand)).collect();
    gated.reasons.extend(gated.judged.iter().flat_map(Judged::reasons));
    gated.notes.extend(gated.judged.iter().filter_map(|judged| judged.still_missed(demand.goal)));
    gated.passed = gated.reasons.is_empty();
    Ok(gated)
}

/// Reads the files of both sides, and notes what differs. `None` where there is nothing to judge.
///
/// # Errors
/// The change's own files cannot be read.
fn readable(mut sides: Sides, given: &Given, gated: &mut Gated) -> Result<Option<Sides>, GateError> {
    let title = sides.target.title();
    if sides.after.is_empty() {
        let gone: Vec<&str> = sides.before.iter().map(|file| file.path.as_str()).collect();
        if !gone.is_empty() {
            gated.notes.push(format!("{} is gone, and with it {title}: it was not judged", gone.join(", ")));
        }
        return Ok(None);
    }
    for file in &sides.after {
        let one = std::slice::from_ref(file);
        let mut after = Scenario::default();
        let mut warnings = put_into(&mut after, one, given)?;
        let same_kind = sides.before.iter().find(|before| before.kind == file.kind);
        if let Some(old) = same_kind {
            let mut before = Scenario::default();
            if put_into(&mut before, std::slice::from_ref(old), given).is_ok() {
                let changes = changed(&file.path, &before, &after);
                if changes.is_empty() && old.text != file.text {
                    gated.notes.push(format!("{}: no setting that the models know has changed", file.path));
                }
                gated.changes.extend(changes);
            }
        }
        gated.notes.append(&mut warnings);
    }
    for gone in sides.before.iter().filter(|old| !sides.after.iter().any(|file| file.kind == old.kind)) {
        gated.notes.push(format!("{} is gone: what it said is now as in each scenario", gone.path));
    }
    if let Err(error) = put_into(&mut Scenario::default(), &sides.before, given) {
        gated.notes.push(format!("{title} is judged as if it were new, since {} cannot be read: {error}", gated.base));
        sides.before.clear();
    } else if sides.before.is_empty() {
        gated.notes.push(format!("{title} is new: there is nothing to compare it with"));
    }
    Ok(Some(sides))
}

/// One target under one scenario, on both sides.
struct Pair {
    scenario: String,
    target: TargetKind,
    before: Option<Scenario>,
    after: Scenario,
}

/// Why a scenario cannot be run with the files.
enum Unfit {
    /// Nor could it before.
    Always(String),
    /// The change did it.
    Now(String),
}

fn pair(draft: &Draft, sides: &Sides, demand: &Demand) -> Result<Pair, Unfit> {
    let Demand { given, prices, .. } = *demand;
    let name = &draft.scenario.name;
    let target = sides.target;
    let told = |error: GateError| format!("{name}, {}: {error}", target.title());
    if draft.scenario.service.is_some() {
        let why = "a service of one's own is not simulated: give its times as work.wait";
        return Err(Unfit::Always(format!("{name}: {why}")));
    }
    let before = match sides.before.is_empty() {
        true => None,
        false => Some(resolved(draft, &sides.before, given, prices)),
    };
    match (before.transpose(), resolved(draft, &sides.after, given, prices)) {
        (Ok(before), Ok(after)) => Ok(Pair { scenario: name.clone(), target, before, after }),
        // What cannot run cannot be compared with.
        (Err(_), Ok(after)) => Ok(Pair { scenario: name.clone(), target, before: None, after }),
        (Ok(Some(_)), Err(error)) => Err(Unfit::Now(told(error))),
        (Ok(None) | Err(_), Err(error)) => Err(Unfit::Always(told(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_increase_is_a_percentage() {
        for (text, told) in [("10%", "10%"), (" 2.5 % ", "2.5%"), ("0%", "0%"), ("100%", "100%")] {
            assert_eq!(text.parse::<CostIncrease>().map(|read| read.to_string()), Ok(told.to_owned()));
        }
        for text in ["", "10", "%", "-1%", "nan%", "inf%", "much"] {
            assert!(text.parse::<CostIncrease>().expect_err(text).to_string().ends_with("write 10%"));
        }
    }
}
