//! Random templates, made of a known truth by random spellings, are read back as that truth by `compare`, by `advise` and
//! by `validate`, which tells what it has read in what it finds.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use twinscale_lab::manifests::{Given, Manifest, Template};
use twinscale_lab::scenario::Scenario;
use twinscale_lab::validate::{Inputs, validate};

use crate::cli::{text, twinscale};

/// How a value is written.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Plain,
    Quoted,
    Default,
    Parameter,
    InMap,
    If,
    Sub,
    SubWithVariable,
    Select,
    Join,
}

/// A template in the making.
#[derive(Default)]
struct TemplateDraft {
    parameters: Map<String, Value>,
    mappings: Map<String, Value>,
    conditions: Map<String, Value>,
    given: Vec<(String, String)>,
}

impl TemplateDraft {
    fn write(&mut self, name: &str, value: u32, spelling: Spelling) -> Value {
        let text = value.to_string();
        match spelling {
            Spelling::Plain => json!(value),
            Spelling::Quoted => json!(text),
            Spelling::Default => {
                self.parameters.insert(name.to_owned(), json!({"Type": "Number", "Default": value}));
                json!({ "Ref": name })
            }
            Spelling::Parameter => {
                self.parameters.insert(name.to_owned(), json!({"Type": "Number"}));
                self.given.push((name.to_owned(), text));
                json!({ "Ref": name })
            }
            Spelling::InMap => {
                self.mappings.insert(name.to_owned(), json!({"here": {"it": value, "other": 1}}));
                json!({"Fn::FindInMap": [name, "here", "it"]})
            }
            Spelling::If => {
                let never = json!({"Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Fn::Not": [{"Fn::Equals": ["b", "b"]}]}]});
                self.conditions.insert(name.to_owned(), never);
                json!({"Fn::If": [name, 1, text]})
            }
            Spelling::Sub => {
                self.parameters.insert(name.to_owned(), json!({"Type": "Number", "Default": text}));
                json!({"Fn::Sub": format!("${{{name}}}")})
            }
            Spelling::SubWithVariable => json!({"Fn::Sub": ["${it}", {"it": value}]}),
            Spelling::Select => json!({"Fn::Select": ["1", {"Fn::Split": [",", format!("7,{text},9")]}]}),
            Spelling::Join => json!({"Fn::Join": ["", [text[..1].to_owned(), text[1..].to_owned()]]}),
        }
    }
}

fn spelling() -> impl Strategy<Value = Spelling> {
    use Spelling::{Default, If, InMap, Join, Parameter, Plain, Quoted, Select, Sub, SubWithVariable};
    prop::sample::select(vec![Plain, Quoted, Default, Parameter, InMap, If, Sub, SubWithVariable, Select, Join])
}

/// The short forms of YAML for the long ones of JSON, in flow style.
fn yaml(value: &Value) -> String {
    match value {
        Value::Object(map) => match map.iter().next().filter(|_| map.len() == 1) {
            Some((name, Value::String(text))) if name == "Ref" => format!("!Ref {text}"),
            Some((name, Value::Array(parts))) if name == "Fn::GetAtt" => {
                format!("!GetAtt {}", parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."))
            }
            Some((name, of)) if name.starts_with("Fn::") => format!("!{} {}", &name[4..], yaml(of)),
            _ => {
                let entries = map.iter().map(|(name, value)| format!("{name}: {}", yaml(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        },
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        scalar => scalar.to_string(),
    }
}

/// What a template means.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Truth {
    memory: u32,
    timeout: u32,
    visibility: u32,
    batch: u32,
    maximum: u32,
    receives: u32,
}

/// Where the parts of a template stand, and how they are referred to.
#[derive(Clone, Copy, Debug)]
struct Shape {
    sam: bool,
    globals: bool,
    short: bool,
    source: usize,
    called: usize,
}

/// A template, and the parameters that it is deployed with.
#[derive(Debug)]
struct Spelled {
    text: String,
    given: Vec<(String, String)>,
    truth: Truth,
}

fn truth() -> impl Strategy<Value = Truth> {
    let sizes = (128_u32..=10_240, 1_u32..=900, 1_u32..=43_200);
    (sizes, 1_u32..=10, 2_u32..=1000, 1_u32..=8).prop_map(|(sizes, batch, maximum, receives)| {
        let (memory, timeout, visibility) = sizes;
        // Lambda refuses less than the timeout.
        Truth { memory, timeout, visibility: visibility.max(timeout), batch, maximum, receives }
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let shape = |(sam, globals, short, source, called)| Shape { sam, globals, short, source, called };
    (any::<bool>(), any::<bool>(), any::<bool>(), 0..4_usize, 0..4_usize).prop_map(shape)
}

fn spelled() -> impl Strategy<Value = Spelled> {
    (truth(), shape(), prop::collection::vec(spelling(), 6))
        .prop_map(|(truth, shape, spellings)| spell(truth, shape, &spellings))
}

fn spell(truth: Truth, shape: Shape, spellings: &[Spelling]) -> Spelled {
    let mut draft = TemplateDraft::default();
    let Shape { sam, globals, short, source, called } = shape;
    let mut spellings = spellings.iter().copied();
    let mut write = |name, value| draft.write(name, value, spellings.next().expect("six of them"));
    let sizes = json!({"MemorySize": write("Memory", truth.memory), "Timeout": write("Timeout", truth.timeout)});
    let redrive = json!({"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": write("Receives", truth.receives)});
    let queue = json!({"QueueName": "jobs", "VisibilityTimeout": write("Visibility", truth.visibility), "RedrivePolicy": redrive});
    let mut mapping = json!({
        "BatchSize": write("Batch", truth.batch),
        "ScalingConfig": {"MaximumConcurrency": write("Maximum", truth.maximum)},
    });
    let arn = [
        json!({"Fn::GetAtt": ["Jobs", "Arn"]}),
        json!({"Fn::Sub": "${Jobs.Arn}"}),
        json!({"Fn::Join": [":", ["arn:aws:sqs", {"Ref": "AWS::Region"}, {"Ref": "AWS::AccountId"}, "jobs"]]}),
        json!({"Fn::Sub": ["arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:${N}", {"N": {"Fn::GetAtt": ["Jobs", "QueueName"]}}]}),
    ][source]
        .clone();
    mapping[if sam { "Queue" } else { "EventSourceArn" }] = arn;
    let mut function = if sam && globals { json!({}) } else { sizes.clone() };
    function["FunctionName"] = json!("worker");
    // Both are wrong whatever the truth is, so that `validate` tells the memory and the maximum beside them.
    function["Environment"] = json!({"Variables": {"WORK_CPU_LIMIT": "99"}});
    function["ReservedConcurrentExecutions"] = json!(1);
    let mut resources =
        json!({"Dead": {"Type": "AWS::SQS::Queue"}, "Jobs": {"Type": "AWS::SQS::Queue", "Properties": queue}});
    if sam {
        function["Events"] = json!({"Q": {"Type": "SQS", "Properties": mapping}});
    } else {
        let names = [json!({"Ref": "F"}), json!({"Fn::Sub": "${F.Arn}:live"}), json!("worker"), json!({"Ref": "Live"})];
        mapping["FunctionName"] = names[called].clone();
        resources["Live"] = json!({"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "F"}}});
        resources["M"] = json!({"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping});
    }
    let kind = if sam { "AWS::Serverless::Function" } else { "AWS::Lambda::Function" };
    resources["F"] = json!({"Type": kind, "Properties": function});
    let TemplateDraft { parameters, mappings, conditions, given } = draft;
    let mut template =
        json!({"Parameters": parameters, "Mappings": mappings, "Conditions": conditions, "Resources": resources});
    if sam && globals {
        template["Globals"] = json!({"Function": sizes});
    }
    Spelled { text: if short { yaml(&template) } else { template.to_string() }, given, truth }
}

/// What `compare` and `advise` have read.
fn read_of(scenario: &Scenario) -> Truth {
    let lambda = &scenario.lambda;
    Truth {
        memory: lambda.memory_mb,
        timeout: lambda.timeout.as_secs() as u32,
        visibility: lambda.visibility_timeout.as_secs() as u32,
        batch: lambda.mapping.batch_size,
        maximum: lambda.mapping.maximum_concurrency.unwrap_or_default(),
        receives: scenario.queue.max_receive_count,
    }
}

/// What `validate` says where it has read the truth: a rule, and a part of what happens.
fn findings_of(truth: &Truth) -> Vec<(&'static str, String)> {
    let Truth { memory, timeout, visibility, maximum, receives, .. } = *truth;
    let mut told = vec![
        ("cpu-limit", format!("MemorySize of {memory} MB")),
        ("reserved-concurrency", format!("up to {maximum} times at once")),
    ];
    if visibility < 6 * timeout {
        let what = format!("VisibilityTimeout is {visibility} s and the function's timeout {timeout} s");
        told.push(("visibility-timeout", what));
    }
    if receives < 5 {
        told.push(("max-receive-count", format!("maxReceiveCount is {receives}.")));
    }
    told
}

/// Rules by which a truth is told, where it is a bad one.
const TELLING: [&str; 4] = ["cpu-limit", "reserved-concurrency", "visibility-timeout", "max-receive-count"];

proptest! {
    #[test]
    fn a_template_is_read_as_what_it_means_whatever_its_spelling(spelled in spelled()) {
        let Spelled { text, given, truth } = &spelled;
        let given = Given::of_parameters(given.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut scenario = Scenario::default();
        let read = scenario.take_manifest(Manifest::Template, "t", text, &given);
        read.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&read_of(&scenario), truth, "{}", text);

        let template = Template::read("t", text, &given).expect("it was read");
        let found = validate(&Inputs { template: Some(template), ..Inputs::default() });
        let telling: Vec<_> = found.iter().filter(|found| TELLING.contains(&found.rule.id().as_str())).collect();
        let right = findings_of(truth);
        prop_assert_eq!(telling.len(), right.len(), "{:?}\n{}", telling, text);
        for (rule, what) in right {
            let tells = telling.iter().any(|found| found.rule.id() == rule && found.what.contains(&what));
            prop_assert!(tells, "{rule} does not say '{what}': {telling:?}\n{text}");
        }
        prop_assert!(!found.iter().any(|found| found.rule.id() == "refused"), "{:?}\n{}", found, text);
    }
}

proptest! {
    // Each is three programs.
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn the_programs_read_a_template_as_what_it_means(spelled in spelled()) {
        let Spelled { text: template, given, truth } = &spelled;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("template.yaml");
        std::fs::write(&file, template).expect("written");
        let file = file.display().to_string();
        let parameters: Vec<String> = given.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let run = |command: &[&str]| {
            let parameters = parameters.iter().flat_map(|parameter| ["--parameter", parameter]);
            let args: Vec<&str> = command.iter().copied().chain(["--format", "json", "--template", &file]).chain(parameters).collect();
            let output = twinscale(&args);
            let document = serde_json::from_slice::<Value>(&output.stdout);
            document.map_err(|_| TestCaseError::fail(format!("{args:?}: {}\n{template}", text(&output.stderr))))
        };
        for command in [
            &["compare", "--engine", "simulated", "--messages", "5", "--work", "10ms"][..],
            &["advise", "--messages", "2", "--work", "10ms", "--seeds", "2"],
        ] {
            let document = run(command)?;
            let scenario: Scenario = serde_json::from_value(document["scenario"].clone()).expect("a scenario");
            prop_assert_eq!(&read_of(&scenario), truth, "{:?}\n{}", command, template);
        }
        let found = run(&["validate"])?;
        for (rule, what) in findings_of(truth) {
            let mut found = found.as_array().into_iter().flatten();
            let tells = found.any(|found| found["rule"] == rule && found["what"].as_str().is_some_and(|told| told.contains(&what)));
            prop_assert!(tells, "{rule} does not say '{what}'\n{template}");
        }
    }
}
