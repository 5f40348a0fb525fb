//! Puts what a visitor has turned into the scenario and the prices that the exploration began with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value, json};

use super::knobs::{BEHAVIOR, Control, Form, HOSTING, KNOBS, Knob, PRICES, SHAPE, START};
use crate::advise::{Change, NO_BEHAVIOR, SHORT_BEHAVIOR, short_behavior};
use crate::cost::Prices;
use crate::fargate::start_as_priced;
use crate::gate::changed;
use crate::manifests::{self, Given, Manifest};
use crate::scenario::load::Load;
use crate::scenario::{Draft, Scenario, ScenarioError};

/// What is turned, by path, in the form of its file.
pub type Positions = BTreeMap<String, Value>;

/// The rules that the scenario has itself.
const OWN_BEHAVIOR: &str = "as it is";
/// A rate to begin with where the scenario has none.
const RATE: f64 = 20.0;

/// Where an exploration begins.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The scenario with the flags and the files in it.
    pub draft: Draft,
    /// The prices, with the bill's flags.
    pub prices: Prices,
}

/// What the knobs come to.
#[derive(Clone, Debug)]
pub struct Turned {
    /// Checked.
    pub scenario: Scenario,
    /// With the bill's options.
    pub prices: Prices,
    /// Knobs that have no meaning now.
    pub hidden: Vec<&'static str>,
    /// What the others stand at, but for choices that are no values of a file.
    pub values: Map<String, Value>,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongSetting {
    /// Its path.
    pub path: String,
    /// What is wrong, and what to write.
    pub what: String,
}

/// One root of paths while it is being turned.
struct Root {
    json: Value,
    reads: fn(&Value) -> Result<(), serde_json::Error>,
}

impl Root {
    fn of<T: Serialize + DeserializeOwned>(whole: &T) -> Self {
        // Both are made of numbers, texts and maps with text keys: they have a JSON form.
        let json = serde_json::to_value(whole).unwrap_or_default();
        Self { json, reads: |json| T::deserialize(json).map(|_| ()) }
    }

    /// Puts a value where the knob's path leads, if it leads anywhere.
    fn put(&mut self, knob: &Knob, path: &str, value: &Value) -> Result<bool, serde_json::Error> {
        let before = self.json.clone();
        let Some(slot) = slot(&mut self.json, path, knob.may_be_left_out()) else { return Ok(false) };
        *slot = value.clone();
        let read = (self.reads)(&self.json);
        if read.is_err() {
            self.json = before;
        }
        read.map(|()| true)
    }
}

impl Knob {
    fn may_be_left_out(&self) -> bool {
        matches!(self.control, Control::Number { form: Form::Optional, .. })
    }
}

/// Where a path such as `eks.keda.triggers[0].queueLength` leads; the last name may be new if `add`.
fn slot<'a>(root: &'a mut Value, path: &str, add: bool) -> Option<&'a mut Value> {
    let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut parent = root;
    for step in above.split('.').filter(|step| !step.is_empty()) {
        let (field, index) = step.split_once('[').map_or((step, None), |(field, index)| (field, Some(index)));
        parent = parent.get_mut(field)?;
        if let Some(index) = index {
            parent = parent.get_mut(index.trim_end_matches(']').parse::<usize>().ok()?)?;
        }
    }
    let fields = parent.as_object_mut()?;
    if add { Some(fields.entry(name).or_insert(Value::Null)) } else { fields.get_mut(name) }
}

impl Beginning {
    /// Begins with a scenario, before what it leaves out follows from its load.
    pub fn new(mut draft: Draft, prices: Prices) -> Self {
        let scenario = &mut draft.scenario;
        scenario.messages = draft.messages.or(scenario.load.messages()).unwrap_or(scenario.messages);
        Self { draft, prices }
    }

    /// The loads that one may choose from: the scenario's own, and one of each other shape.
    fn loads(&self) -> Vec<Load> {
        let own = &self.draft.scenario.load;
        let rate = own.peak_rate().unwrap_or(RATE);
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let mut all = vec![
            Load::Burst,
            Load::Steady { rate },
            Load::Poisson { rate },
            Load::Ramp { from: rate / 10.0, to: rate, over: minutes(10) },
            Load::Day { rate, swing: 0.8, noise: 0.2, period: minutes(24 * 60) },
            Load::OnOff { rate, on: minutes(5), off: minutes(15) },
        ];
        match all.iter_mut().find(|load| shape(load) == shape(own)) {
            Some(same) => *same = own.clone(),
            None => all.push(own.clone()),
        }
        all
    }

    /// What each knob stands at.
    pub fn values(&self) -> Map<String, Value> {
        let mut draft = self.draft.clone();
        start_as_priced(&mut draft, &self.prices);
        let mut scenario = Root::of(&draft.scenario);
        let mut prices = Root::of(&self.prices);
        let value = |knob: &Knob| {
            let value = match (knob.path, knob.path.strip_prefix(PRICES)) {
                (BEHAVIOR, _) => json!(OWN_BEHAVIOR),
                (HOSTING, _) => json!(self.prices.options.node().unwrap_or(FARGATE)),
                (_, Some(path)) => slot(&mut prices.json, path, false).cloned().unwrap_or_default(),
                (path, None) => slot(&mut scenario.json, path, false).cloned().unwrap_or_default(),
            };
            (knob.path.to_owned(), value)
        };
        KNOBS.iter().map(value).collect()
    }

    /// The words that each choice has.
    pub fn choices(&self) -> BTreeMap<&'static str, Vec<String>> {
        let hosts = std::iter::once(FARGATE.to_owned()).chain(self.prices.instances.keys().cloned());
        let mut behaviors = vec![OWN_BEHAVIOR.to_owned(), SHORT_BEHAVIOR.to_owned()];
        behaviors.extend(self.draft.scenario.eks.keda.hpa.behavior.is_some().then(|| NO_BEHAVIOR.to_owned()));
        [(SHAPE, self.loads().iter().map(shape).collect()), (BEHAVIOR, behaviors), (HOSTING, hosts.collect())].into()
    }

    /// The scenario and the prices with these values in it.
    ///
    /// # Errors
    /// Every setting that cannot be.
    pub fn turned(&self, values: &Positions) -> Result<Turned, Vec<WrongSetting>> {
        let mut scenario = Root::of(&self.draft.scenario);
        let mut prices = Root::of(&self.prices);
        let mut mistakes = Vec::new();
        let mut hidden = Vec::new();
        let unknown = values.keys().filter(|path| !KNOBS.iter().any(|knob| knob.path == *path));
        mistakes
            .extend(unknown.map(|path| WrongSetting { path: path.clone(), what: "there is no such knob".to_owned() }));
        for knob in KNOBS {
            let (tree, path) = match knob.path.strip_prefix(PRICES) {
                Some(path) => (&mut prices, path),
                None => (&mut scenario, knob.path),
            };
            let put = match (values.get(knob.path), knob.path) {
                (Some(value), SHAPE) => {
                    let load = self.loads().into_iter().find(|load| Some(shape(load).as_str()) == value.as_str());
                    tree.put(knob, "load", &load.map_or(value.clone(), |load| json!(load)))
                }
                (Some(value), BEHAVIOR) => match value.as_str() {
                    Some(OWN_BEHAVIOR) => Ok(true),
                    Some(NO_BEHAVIOR) => tree.put(knob, path, &Value::Null),
                    Some(SHORT_BEHAVIOR) => tree.put(knob, path, &json!(short_behavior())),
                    _ => tree.put(knob, path, value),
                },
                (Some(value), HOSTING) => match value.as_str() {
                    Some(instance) if !self.choices()[HOSTING].iter().any(|known| known == instance) => {
                        Err(serde_json::Error::custom(format!("there is no price for '{instance}'")))
                    }
                    Some(instance) if instance != FARGATE && self.prices.options.node() != Some(instance) => {
                        tree.put(knob, path, &json!({"nodes": {"instance": instance, "spot_discount": 0.0}}))
                    }
                    Some(FARGATE) => tree.put(knob, path, value),
                    _ => Ok(true),
                },
                (Some(value), _) => tree.put(knob, path, value),
                (None, _) => Ok(slot(&mut tree.json, path, knob.may_be_left_out()).is_some()),
            };
            match put {
                Ok(true) => {}
                Ok(false) => hidden.push(knob.path),
                Err(error) => mistakes.push(WrongSetting { path: knob.path.to_owned(), what: error.to_string() }),
            }
        }
        let mut stands = Map::new();
        for knob in KNOBS.iter().filter(|knob| ![BEHAVIOR, HOSTING].contains(&knob.path)) {
            let (tree, path) = match knob.path.strip_prefix(PRICES) {
                Some(path) => (&mut prices, path),
                None => (&mut scenario, knob.path),
            };
            stands.extend(slot(&mut tree.json, path, false).map(|value| (knob.path.to_owned(), value.clone())));
        }
        let read = (serde_json::from_value::<Scenario>(scenario.json), serde_json::from_value::<Prices>(prices.json));
        let (Ok(scenario), Ok(prices)) = read else { return Err(mistakes) };
        if scenario.load.messages().is_some() {
            hidden.push("messages");
        }
        let mut draft = self.draft_of(scenario);
        draft.says_start = self.draft.says_start || values.contains_key(START);
        start_as_priced(&mut draft, &prices);
        match draft.resolved() {
            Ok(scenario) if mistakes.is_empty() => {
                stands.insert("messages".to_owned(), json!(scenario.messages));
                stands.insert(START.to_owned(), json!(scenario.eks.pod.start_delay));
                Ok(Turned { scenario, prices, hidden, values: stands })
            }
            Ok(_) => Err(mistakes),
            Err(ScenarioError::Mistaken { mistakes: more, .. }) => {
                mistakes.extend(more.into_iter().map(|(path, what)| WrongSetting { path, what }));
                Err(mistakes)
            }
            Err(error) => Err([mistakes, vec![WrongSetting { path: String::new(), what: error.to_string() }]].concat()),
        }
    }

    /// How many messages, and how long at most, are the file's as long as its load is.
    fn draft_of(&self, scenario: Scenario) -> Draft {
        let own = &self.draft.scenario;
        if (&scenario.load, scenario.messages) == (&own.load, own.messages) {
            return Draft { scenario, ..self.draft.clone() };
        }
        let messages = scenario.load.messages().is_none().then_some(scenario.messages);
        Draft { messages, limit: None, says_start: true, scenario }
    }
}

/// Settings of a file that differ from those that are wanted, sentence by sentence; none where it is no such file.
pub fn not_written(kind: Manifest, file: &str, text: &str, wanted: &Scenario, given: &Given) -> Vec<String> {
    let mut has = wanted.clone();
    if !manifests::holds(kind, file, text).unwrap_or(false) || has.take_manifest(kind, file, text, given).is_err() {
        return Vec::new();
    }
    let told = |change: Change| format!("{file} keeps {} {}, not {}", change.field, change.from, change.to);
    changed(file, &has, wanted).into_iter().map(told).collect()
}

/// What a price file calls pods that are billed by themselves.
const FARGATE: &str = "fargate";

/// What a file calls a load's shape.
fn shape(load: &Load) -> String {
    json!(load)["shape"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::prices;

    fn beginning(name: &str) -> Beginning {
        Beginning::new(Draft::read(name).expect("built in"), prices::read(None).expect("built in"))
    }

    fn values<const N: usize>(turned: [(&str, Value); N]) -> Positions {
        turned.into_iter().map(|(path, value)| (path.to_owned(), value)).collect()
    }

    #[test]
    fn what_is_not_turned_is_the_scenario_itself() {
        for name in ["default", "article", "day", "onoff", "ramp", "fifo", "long"] {
            let turned = beginning(name).turned(&Positions::new()).expect("as it is");
            let mut draft = Draft::read(name).expect("built in");
            start_as_priced(&mut draft, &turned.prices);
            assert_eq!(turned.scenario, draft.resolved().expect("built in"), "{name}");
            assert_eq!(turned.prices, prices::read(None).expect("built in"));
            // Nor does a knob that is turned to where it stands.
            let mut still: Positions = beginning(name).values().into_iter().collect();
            still.retain(|path, _| !turned.hidden.contains(&path.as_str()));
            assert_eq!(beginning(name).turned(&still).expect("the same").scenario, turned.scenario, "{name}");
        }
    }

    #[test]
    fn pods_start_as_those_do_that_the_bill_is_of_unless_it_is_said() {
        let begun = beginning("default");
        let start = |turned: Positions| {
            let turned = begun.turned(&turned).expect("a choice");
            assert_eq!(turned.values[START], json!(turned.scenario.eks.pod.start_delay));
            turned.scenario.eks.pod.start_delay.mean()
        };
        let nodes = (HOSTING, json!("m7g.large"));
        assert_eq!(begun.values()[START], json!("uniform:30s-60s"));
        assert_eq!(start(Positions::new()), Duration::from_secs(45));
        assert!(start(values([nodes.clone()])) < Duration::from_secs(30));
        assert_eq!(start(values([nodes, (START, json!("7s"))])), Duration::from_secs(7));
        assert_eq!(start(values([(START, json!("7s"))])), Duration::from_secs(7));
        let said = Draft { says_start: true, ..begun.draft.clone() };
        let own = said.scenario.eks.pod.start_delay.clone();
        let turned = Beginning::new(said, begun.prices.clone()).turned(&Positions::new()).expect("as it is");
        assert_eq!(turned.scenario.eks.pod.start_delay, own);
    }

    #[test]
    fn every_knob_moves_something() {
        let begun = beginning("default");
        let nodes = (HOSTING, json!("m7g.large"));
        for shape in begun.choices()[SHAPE].iter().map(|shape| (SHAPE, json!(shape))) {
            let before = begun.turned(&values([shape.clone(), nodes.clone()])).expect("a choice");
            for knob in KNOBS.iter().filter(|knob| !before.hidden.contains(&knob.path)) {
                let to = match (knob.control, &before.values.get(knob.path)) {
                    (Control::Choice, _) => {
                        let now = [shape.1.as_str(), nodes.1.as_str(), Some(OWN_BEHAVIOR)];
                        json!(begun.choices()[knob.path].iter().find(|word| !now.contains(&Some(word.as_str()))))
                    }
                    (Control::Switch, Some(was)) => json!(*was != &json!(true)),
                    (Control::Text, _) => json!("constant:77ms"),
                    (Control::Number { form: Form::Duration, .. }, _) => json!("700s"),
                    (Control::Number { form: Form::Share, .. }, _) => json!(0.25),
                    (Control::Number { least, .. }, _) if least.fract() == 0.0 => json!(least as u64 + 7),
                    (Control::Number { least, .. }, _) => json!(least + 7.0),
                    (Control::Switch, None) => panic!("{} has no value", knob.path),
                };
                let mut all = values([shape.clone(), nodes.clone(), (knob.path, to)]);
                if knob.path == "lambda.mapping.BatchSize" {
                    all.insert("lambda.mapping.MaximumBatchingWindowInSeconds".to_owned(), json!(1));
                }
                let after = begun.turned(&all).unwrap_or_else(|mistakes| panic!("{}: {mistakes:?}", knob.path));
                let same = after.scenario == before.scenario && after.prices == before.prices;
                assert!(!same, "{} under {shape:?}", knob.path);
            }
        }
    }

    #[test]
    fn every_knob_has_a_meaning_somewhere_and_is_hidden_where_it_has_none() {
        let begun = beginning("default");
        let shown = |turned: Positions| {
            let hidden = begun.turned(&turned).expect("a choice").hidden;
            KNOBS.iter().map(|knob| knob.path).filter(move |path| !hidden.contains(path)).collect::<Vec<_>>()
        };
        let burst = shown(Positions::new());
        assert!(burst.contains(&"messages") && !burst.contains(&"load.rate"), "{burst:?}");
        let mut all = burst;
        for shape in &begun.choices()[SHAPE] {
            all.extend(shown(values([(SHAPE, json!(shape)), (HOSTING, json!("m7g.large"))])));
        }
        let never: Vec<_> = KNOBS.iter().map(|knob| knob.path).filter(|path| !all.contains(path)).collect();
        assert_eq!(never, [""; 0]);
        let none = shown(values([(BEHAVIOR, json!(NO_BEHAVIOR))]));
        assert!(!none.iter().any(|path| path.contains("stabilizationWindowSeconds")), "{none:?}");
        // A day has as many messages as its rate makes.
        assert!(!shown(values([(SHAPE, json!("day"))])).contains(&"messages"));
    }

    #[test]
    fn what_cannot_be_is_told_by_its_path() {
        let begun = beginning("default");
        for (turned, path) in [
            (("work.wait", json!("soon")), "work.wait"),
            (("eks.keda.minReplicaCount", json!(99)), "eks.keda.minReplicaCount"),
            (("eks.keda.maxReplicaCount", json!(-1)), "eks.keda.maxReplicaCount"),
            (("messages", json!(0)), "messages"),
            ((SHAPE, json!("square")), SHAPE),
            ((HOSTING, json!("z9.huge")), HOSTING),
            (("prices.options.control_plane_share", json!("all")), "prices.options.control_plane_share"),
            (("eks.keda.secret", json!(1)), "eks.keda.secret"),
        ] {
            let mistakes = begun.turned(&values([turned.clone()])).map(|turned| turned.scenario).expect_err(path);
            assert!(mistakes.iter().any(|one| one.path == path && !one.what.is_empty()), "{turned:?}: {mistakes:?}");
        }
    }
}
