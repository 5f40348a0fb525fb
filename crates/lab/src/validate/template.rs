//! Fills parameters and conditions into a CloudFormation (or SAM) template, as a deployment with them would.
//!
//! References to resources stay, as `{"Ref": "Queue"}`: what matters is which queue is meant, not its ARN.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The template with every parameter, condition, `Fn::If`, `Fn::Sub` of parameters and dropped `AWS::NoValue` resolved.
/// `given` overrides the parameters' defaults; resources whose condition is false are left out.
pub fn resolve(template: &Value, given: &BTreeMap<String, String>) -> Value {
    let mut parameters = BTreeMap::from([
        ("AWS::Region".to_owned(), json!("us-east-1")),
        ("AWS::AccountId".to_owned(), json!("123456789012")),
        ("AWS::Partition".to_owned(), json!("aws")),
        ("AWS::StackName".to_owned(), json!("stack")),
    ]);
    for (name, parameter) in object(&template["Parameters"]) {
        let given = given.get(name).map(|text| json!(text));
        parameters.insert(name.clone(), given.unwrap_or_else(|| parameter["Default"].clone()));
    }
    let resolver = Resolver { parameters, conditions: &template["Conditions"] };
    let mut resolved = resolver.value(template).unwrap_or(Value::Null);
    if let Some(resources) = resolved["Resources"].as_object_mut() {
        resources.retain(|_, resource| resource["Condition"].as_str().is_none_or(|name| resolver.condition(name)));
    }
    resolved
}

struct Resolver<'a> {
    parameters: BTreeMap<String, Value>,
    conditions: &'a Value,
}

impl Resolver<'_> {
    /// `None` stands for `AWS::NoValue`: the property is left out.
    fn value(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => Some(items.iter().filter_map(|item| self.value(item)).collect()),
            Value::Object(map) => match only(map) {
                Some(("Ref", name)) if name == "AWS::NoValue" => None,
                Some(("Ref", name)) => {
                    Some(name.as_str().and_then(|n| self.parameters.get(n)).unwrap_or(value).clone())
                }
                Some(("Fn::If", arms)) => {
                    let holds = self.condition(arms[0].as_str().unwrap_or_default());
                    self.value(&arms[if holds { 1 } else { 2 }])
                }
                Some(("Fn::Sub", text)) if text.is_string() => {
                    Some(self.substituted(text.as_str().unwrap_or_default()))
                }
                _ => {
                    let entries = map.iter().filter_map(|(key, v)| Some((key.clone(), self.value(v)?)));
                    Some(Value::Object(entries.collect::<Map<_, _>>()))
                }
            },
            _ => Some(value.clone()),
        }
    }

    fn substituted(&self, text: &str) -> Value {
        let filled = self.parameters.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), &super::text(value).unwrap_or_default())
        });
        json!(filled)
    }

    fn condition(&self, name: &str) -> bool {
        self.holds(&self.conditions[name])
    }

    fn holds(&self, condition: &Value) -> bool {
        let Some((function, of)) = condition.as_object().and_then(only) else { return false };
        let several = || of.as_array().into_iter().flatten();
        match function {
            "Fn::Equals" => {
                self.value(&of[0]).as_ref().and_then(super::text) == self.value(&of[1]).as_ref().and_then(super::text)
            }
            "Fn::Not" => !self.holds(&of[0]),
            "Fn::And" => several().all(|part| self.holds(part)),
            "Fn::Or" => several().any(|part| self.holds(part)),
            "Condition" => of.as_str().is_some_and(|name| self.condition(name)),
            _ => false,
        }
    }
}

/// The one entry of a map that has one.
fn only(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    entries.next().filter(|_| entries.next().is_none()).map(|(key, value)| (key.as_str(), value))
}

/// The entries of an object; none for anything else.
fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Value {
        json!({
            "Parameters": {"Size": {"Default": 10}, "Key": {"Default": ""}},
            "Conditions": {
                "WithKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Key"}, ""]}]},
                "Large": {"Fn::And": [{"Condition": "WithKey"}, {"Fn::Equals": [{"Ref": "Size"}, "20"]}]},
            },
            "Resources": {
                "A": {"Properties": {
                    "Size": {"Ref": "Size"},
                    "Key": {"Fn::If": ["WithKey", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]},
                    "Name": {"Fn::Sub": "n-${Size}-${Other}"},
                    "Queue": {"Ref": "Queue"},
                }},
                "B": {"Condition": "Large", "Properties": {}},
            },
        })
    }

    #[test]
    fn defaults_fill_parameters_and_leave_resources_alone() {
        let resolved = resolve(&template(), &BTreeMap::new());
        assert_eq!(
            resolved["Resources"],
            json!({"A": {"Properties": {"Size": 10, "Name": "n-10-${Other}", "Queue": {"Ref": "Queue"}}}})
        );
    }

    #[test]
    fn given_parameters_win_and_conditions_follow() {
        let given = BTreeMap::from([("Size".to_owned(), "20".to_owned()), ("Key".to_owned(), "k".to_owned())]);
        let resolved = resolve(&template(), &given);
        assert_eq!(resolved["Resources"]["A"]["Properties"]["Key"], json!("k"));
        assert!(resolved["Resources"]["B"].is_object());
    }
}
