//! Checks of functions behind a URL: that they start, and that not everybody may send.

use serde_json::Value;
use twinscale::{Config, Host};

use super::finding::{Findings, Place};
use super::rule::Rule;
use super::{Environment, lookup, text};
use crate::manifests::Template;

/// Stands for a value that is known once the stack is deployed.
const LATER: &str = "known-once-deployed";

/// Checks every function of the template that has a URL and a queue to send to.
pub(super) fn check_front(template: &Template, resolved: &Value, findings: &mut Findings) {
    let resources = resolved["Resources"].as_object();
    for (name, resource) in resources.into_iter().flatten() {
        let properties = &resource["Properties"];
        let Some(auth) = properties["FunctionUrlConfig"]["AuthType"].as_str() else { continue };
        let environment = environment(properties, &resolved["Globals"]["Function"]);
        if !environment.contains_key("QUEUE_URL") {
            continue;
        }
        let place = |path: &str| Place::of_resource(template, name, &format!("Properties/{path}"));
        if let Err(errors) = Config::default().read(Host::HttpFunction, &lookup(&environment)) {
            for error in errors.0 {
                findings.setting(place(&format!("Environment/Variables/{}", error.variable)), &error);
            }
        }
        let by_iam = environment.get("SEND_AUTH").is_some_and(|auth| auth.eq_ignore_ascii_case("iam"));
        if auth == "NONE" && by_iam {
            findings.add(
                Rule::OpenSend,
                place("FunctionUrlConfig/AuthType"),
                "AuthType NONE asks nobody who they are, and SEND_AUTH=iam says that IAM did: anybody who finds the URL may fill \
                 the queue",
                "write AuthType: AWS_IAM, or SEND_AUTH: token with a SEND_TOKEN",
            );
        }
    }
}

/// A function's variables over those of all functions (SAM's Globals).
fn environment(properties: &Value, globals: &Value) -> Environment {
    let variables = |of: &Value| of["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
    let all = variables(globals).into_iter().chain(variables(properties));
    all.map(|(name, value)| (name, text(&value).unwrap_or_else(|| LATER.to_owned()))).collect()
}
