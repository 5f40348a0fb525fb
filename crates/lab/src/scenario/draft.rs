//! What a file may leave to its load: how many messages there are, and how long a run of them may last.

use std::path::Path;
use std::time::Duration;

use super::load::Load;
use super::{BUILT_IN, Scenario, ScenarioError};

/// The least that a run may last beyond its load: time to start, to try again and to scale down.
const TO_END: Duration = Duration::from_secs(3600);
/// How often the capacity at its highest must be able to do all the work before the limit, since it is not at its highest
/// from the start.
const HEADROOM: f64 = 3.0;
/// The longest limit that a scenario may have.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A scenario as it is read, before flags are in it and before what it leaves out follows from its load.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Everything else.
    pub scenario: Scenario,
    /// How many messages, where it is said.
    pub messages: Option<u64>,
    /// How long at most, where it is said.
    pub limit: Option<Duration>,
    /// Whether it is said how long a pod takes to start.
    pub says_start: bool,
}

impl Draft {
    /// The default scenario with another load.
    pub(crate) fn of_load(load: Load, messages: Option<u64>) -> Self {
        Self { scenario: Scenario { load, ..Scenario::default() }, messages, limit: None, says_start: false }
    }

    /// The default scenario with the load that was recorded in a file.
    ///
    /// # Errors
    /// [`ScenarioError::Recorded`]: it cannot be read, or holds no load.
    pub fn recorded(file: &Path) -> Result<Self, ScenarioError> {
        let rows = super::recorded::recording(file)?.rows;
        let mut draft = Self::of_load(Load::Recorded { file: None, rows }, None);
        draft.scenario.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(draft)
    }

    /// Reads a built-in scenario by name, or a file by path.
    ///
    /// # Errors
    /// Neither such a name nor a readable file, or a file that is no scenario.
    pub fn read(name: &str) -> Result<Self, ScenarioError> {
        let text = match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(name).map_err(|error| {
                let known = BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                ScenarioError::Unknown { name: name.to_owned(), known, error }
            })?,
        };
        let malformed = |error| ScenarioError::Malformed { name: name.to_owned(), error: Box::new(error) };
        let mut scenario: Scenario = toml::from_str(&text).map_err(malformed)?;
        let written: toml::Table = toml::from_str(&text).map_err(malformed)?;
        if scenario.name.is_empty() {
            let stem = Path::new(name).file_stem().unwrap_or_default();
            scenario.name = stem.to_string_lossy().into_owned();
        }
        let scenario = scenario.with_recorded_rows(name)?;
        // A file without a load has the default scenario's, and as many messages as that.
        let pod = written.get("eks").and_then(|eks| eks.get("pod"));
        let counted = written.contains_key("messages") || !written.contains_key("load");
        Ok(Self {
            messages: counted.then_some(scenario.messages),
            limit: written.contains_key("limit").then_some(scenario.limit),
            says_start: pod.is_some_and(|pod| pod.get("start_delay").is_some()),
            scenario,
        })
    }

    /// The scenario, with what it left out.
    ///
    /// # Errors
    /// [`ScenarioError::Mistaken`], naming `messages` where neither the scenario nor its load says how many.
    pub fn resolved(self) -> Result<Scenario, ScenarioError> {
        let unknown = self.messages.is_none() && self.scenario.load.messages().is_none();
        let scenario = self.filled();
        match scenario.checked() {
            Ok(scenario) if !unknown => Ok(scenario),
            Ok(scenario) => Err(ScenarioError::Mistaken { name: scenario.name, mistakes: vec![uncounted()] }),
            Err(ScenarioError::Mistaken { name, mut mistakes }) if unknown => {
                mistakes.insert(0, uncounted());
                Err(ScenarioError::Mistaken { name, mistakes })
            }
            Err(error) => Err(error),
        }
    }

    /// The scenario, with what it left out, not checked.
    pub(super) fn filled(self) -> Scenario {
        let Self { mut scenario, messages, limit, says_start: _ } = self;
        scenario.messages = messages.or_else(|| scenario.load.messages()).unwrap_or(scenario.messages);
        scenario.limit = limit.unwrap_or_else(|| long_enough(&scenario));
        scenario
    }
}

fn uncounted() -> (String, String) {
    let what = "a load of this shape goes on for ever: write how many messages there are".to_owned();
    ("messages".to_owned(), what)
}

/// As long as the load, and then long enough for both targets to do all of it, to try again and to scale down.
fn long_enough(scenario: &Scenario) -> Duration {
    let load = scenario.load.length(scenario.messages).as_secs_f64();
    let work = scenario.work_seconds() * HEADROOM;
    let queue = &scenario.queue;
    let again = match scenario.work.retry_share > 0.0 {
        true => queue.visibility_timeout.max(scenario.lambda.visibility_timeout) * queue.max_receive_count,
        false => Duration::ZERO,
    };
    let nodes = scenario.eks.nodes.as_ref().map_or(Duration::ZERO, |nodes| nodes.empty_for);
    let rest = TO_END + again + scenario.eks.keda.cooldown_period + nodes;
    // A mistaken load has no length, and is refused by itself.
    let whole = Duration::try_from_secs_f64(load.max(work).ceil()).unwrap_or(LONGEST);
    whole.saturating_add(rest).min(LONGEST)
}

impl Scenario {
    /// How long the slower target takes for all the work with all of its capacity.
    fn work_seconds(&self) -> f64 {
        let wait = self.work.wait.mean().as_secs_f64();
        let cpu = self.work.cpu.as_secs_f64();
        let pod = &self.eks.pod;
        let pods = match &self.eks.job {
            Some(job) => f64::from(job.max_replica_count.unwrap_or(100)),
            None => f64::from(self.eks.keda.max_replica_count),
        };
        let function = &self.lambda;
        let account = function.reserved_concurrency.unwrap_or(function.account_concurrency);
        let invocations = f64::from(function.mapping.maximum_concurrency.unwrap_or(account).min(account));
        let batch = f64::from(function.in_host_concurrency.min(function.mapping.batch_size));
        let vcpu = f64::from(function.memory_mb) / 1769.0;
        let seconds = |hosts: f64, slots: f64, vcpu: f64| {
            let share = wait / slots.max(1.0) + cpu / vcpu.max(0.001);
            self.messages as f64 * share / hosts.max(1.0)
        };
        let eks = seconds(pods, f64::from(pod.concurrency), pod.cpu_limit);
        let lambda = seconds(invocations, batch, vcpu);
        // The groups of a FIFO queue go one after the other.
        let fifo = self.queue.message_groups().map_or(0.0, |groups| {
            let alone = wait + cpu / vcpu.min(pod.cpu_limit).clamp(0.001, 1.0);
            self.messages as f64 * alone / f64::from(groups.max(1))
        });
        eks.max(lambda).max(fifo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> Draft {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.toml");
        std::fs::write(&path, text).expect("written");
        std::fs::write(folder.path().join("sent.csv"), "0,500\n86400,700\n").expect("written");
        Draft::read(&path.display().to_string()).expect("a scenario")
    }

    #[test]
    fn messages_and_limit_follow_from_the_load() {
        let hour = Duration::from_secs(3600);
        for (text, messages, at_least) in [
            ("load = { shape = 'day', rate = 35.0 }", 3_024_000, hour * 24),
            ("load = { shape = 'day', rate = 10.0, period = '1h' }", 36_000, hour),
            ("load = { shape = 'recorded', file = 'sent.csv' }", 1_200, hour * 48),
            ("messages = 3000000\nload = { shape = 'steady', rate = 35.0 }", 3_000_000, hour * 23),
            ("messages = 600\nload = { shape = 'on_off', rate = 1.0, on = '1m', off = '9m' }", 600, hour),
            // A burst that 15 pods of ten take three hours for.
            ("messages = 1000000", 1_000_000, hour * 3),
        ] {
            let scenario = draft(text).resolved().expect(text);
            assert_eq!(scenario.messages, messages, "{text}");
            assert!(scenario.limit > at_least, "{text}: {:?}", scenario.limit);
        }
    }

    #[test]
    fn what_is_said_wins_and_what_nobody_can_know_is_an_error() {
        let day =
            draft("messages = 100\nlimit = '2h'\nload = { shape = 'day', rate = 35.0 }").resolved().expect("said");
        assert_eq!((day.messages, day.limit), (100, Duration::from_secs(7200)));
        for shape in ["shape = 'steady', rate = 1.0", "shape = 'burst'", "shape = 'poisson', rate = 2.0"] {
            let endless = format!("load = {{ {shape} }}");
            let error = draft(&endless).resolved().expect_err(shape).to_string();
            assert!(error.contains("messages: a load of this shape goes on for ever"), "{error}");
            let counted = Draft { messages: Some(7), ..draft(&endless) };
            assert_eq!(counted.resolved().expect("counted").messages, 7);
        }
        // Who says nothing of the load has the default's.
        assert_eq!(draft("[work]\nwait = '10ms'").resolved().expect("the default").messages, 1000);
    }
}
