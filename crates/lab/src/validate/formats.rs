//! Findings as text, as JSON, as SARIF for code scanning, and as commands of GitHub's workflows.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::finding::Finding;
use super::rule::{Rule, Severity};

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindingsFormat {
    /// A line for each
    Text,
    /// A list of objects
    Json,
    /// SARIF 2.1.0, which code scanning takes
    Sarif,
    /// Annotations in a workflow of GitHub
    Github,
}

/// Where each rule is explained.
const PAGE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/validate.md");

/// All findings in one format but text, which ends with what else there is to tell.
pub(super) fn print(found: &[Finding], format: FindingsFormat) -> String {
    match format {
        FindingsFormat::Text => lines(found, ToString::to_string),
        FindingsFormat::Json => pretty(&json!(found)),
        FindingsFormat::Sarif => pretty(&sarif(found)),
        FindingsFormat::Github => lines(found, github),
    }
}

fn lines(found: &[Finding], line: impl Fn(&Finding) -> String) -> String {
    found.iter().map(|finding| line(finding) + "\n").collect()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A command that annotates a line of a pull request. Characters that end a command or a property are escaped as the
/// toolkit of GitHub's actions does it (actions/toolkit, packages/core/src/command.ts).
fn github(finding: &Finding) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = &finding.place;
    let line = place.line.map(|line| format!(",line={line}")).unwrap_or_default();
    let title = property(&format!("{} {}", finding.rule.id(), place.at));
    format!("::{command} file={}{line},title={}::{}", property(&place.file), title.trim(), data(&finding.message()))
}

/// A log of the Static Analysis Results Interchange Format, version 2.1.0.
fn sarif(found: &[Finding]) -> Value {
    let level = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let rules = Rule::all().iter().map(|rule| {
        json!({
            "id": rule.id(),
            "shortDescription": { "text": rule.title() },
            "helpUri": format!("{PAGE}#{}", rule.id()),
            "defaultConfiguration": { "level": level(rule.severity()) },
        })
    });
    let results = found.iter().map(|finding| {
        let mut physical = json!({ "artifactLocation": { "uri": uri(&finding.place.file) } });
        if let Some(line) = finding.place.line {
            physical["region"] = json!({ "startLine": line });
        }
        let mut location = json!({ "physicalLocation": physical });
        if !finding.place.at.is_empty() {
            location["logicalLocations"] = json!([{ "fullyQualifiedName": finding.place.at }]);
        }
        json!({
            "ruleId": finding.rule.id(),
            "ruleIndex": Rule::all().iter().position(|rule| *rule == finding.rule),
            "level": level(finding.severity),
            "message": { "text": finding.message() },
            "locations": [location],
        })
    });
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "twinscale validate",
                "informationUri": PAGE,
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// A path as a URI reference: what RFC 3986 has no place for is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escaped = path.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    let path: String = escaped.collect();
    if path.starts_with('/') { format!("file://{path}") } else { path }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Place;
    use super::*;

    fn finding(file: &str, line: Option<u64>) -> Finding {
        let place = Place { file: file.to_owned(), line, at: "Deployment/worker".to_owned() };
        let what = "it is 100% wrong,\nand hurts: now".to_owned();
        Finding { severity: Severity::Error, rule: Rule::GracePeriod, place, what, fix: Some("write 50".to_owned()) }
    }

    #[test]
    fn a_finding_is_one_line_of_text_for_people_and_one_command_for_github() {
        let found = [finding("my files/a,b.yaml", Some(7)), finding("b.json", None)];
        let text = print(&found, FindingsFormat::Text);
        assert!(text.starts_with("error [grace-period] my files/a,b.yaml, line 7, Deployment/worker: it is"), "{text}");
        assert_eq!(
            print(&found, FindingsFormat::Github),
            "::error file=my files/a%2Cb.yaml,line=7,title=grace-period Deployment/worker::it is 100%25 wrong,%0Aand hurts: \
             now; write 50\n\
             ::error file=b.json,title=grace-period Deployment/worker::it is 100%25 wrong,%0Aand hurts: now; write 50\n"
        );
    }

    #[test]
    fn sarif_has_a_rule_for_each_result_and_a_uri_for_each_file() {
        let log: Value =
            serde_json::from_str(&print(&[finding("a b.yaml", Some(7)), finding("/c", None)], FindingsFormat::Sarif))
                .expect("JSON");
        let run = &log["runs"][0];
        let first = &run["results"][0];
        let second = &run["results"][1];
        let index = first["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], first["ruleId"]);
        let physical = &first["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "a%20b.yaml");
        assert_eq!(physical["region"]["startLine"], 7);
        let physical = &second["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "file:///c");
        assert!(physical["region"].is_null(), "{physical}");
    }

    #[test]
    fn every_rule_has_an_id_and_a_title() {
        for rule in Rule::all() {
            assert!(!rule.title().is_empty() && rule.title().len() < 80, "{rule:?}");
            assert_eq!(serde_json::to_value(rule).expect("JSON"), json!(rule.id()));
        }
    }
}
