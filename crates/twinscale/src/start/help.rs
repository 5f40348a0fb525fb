//! What a host says of itself: `--help`, `--version`, and why it does not run where it was started.

use std::fmt::Write;

use crate::config::{ConfigError, ConfigErrors, Host, SETTINGS};

/// Columns of a line of help.
const WIDTH: usize = 100;

/// The answer, if the first argument asks for one. Others are the service's own.
pub(super) fn asked(host: Host, program: &str, argument: Option<&str>) -> Option<String> {
    match argument? {
        "--help" | "-h" => Some(help(host, program)),
        "--version" | "-V" => Some(format!("{program} (twinscale {})\n", env!("CARGO_PKG_VERSION"))),
        _ => None,
    }
}

/// A function is started by Lambda alone.
///
/// # Errors
/// Where nobody sets the address of the Lambda Runtime API.
pub(super) fn on_lambda(host: Host, runtime_api: Option<&str>) -> Result<(), ConfigErrors> {
    let advice = match (host, runtime_api) {
        (Host::Worker, _) | (_, Some(_)) => return Ok(()),
        (Host::Function, None) => {
            "this is the function behind an SQS event source mapping, and AWS Lambda sets this variable for it: deploy it \
             (`sam deploy`), run it here with `twinscale compare`, or start the worker in its place"
        }
        (Host::HttpFunction, None) => {
            "this is the function that answers HTTP requests behind API Gateway or a function URL, and AWS Lambda sets this \
             variable for it: deploy it (`sam deploy`), or start the worker, which serves the same routes"
        }
    };
    let variable = "AWS_LAMBDA_RUNTIME_API".to_owned();
    let advice = advice.to_owned();
    Err(ConfigError { variable, value: None, advice }.into())
}

fn help(host: Host, program: &str) -> String {
    let (what, more) = match host {
        Host::Worker => (
            "receives messages of an SQS queue, handles as many at once as CONCURRENCY says, serves HTTP, and drains on SIGTERM.",
            "Exit codes: 0 drained; 64 bad settings; 69 a job whose queue does not answer; 70 a fault of its own; 75 handlers \
             were aborted or messages not settled, which come again; 130 forced by a second signal.",
        ),
        Host::Function => (
            "is the Lambda function behind an SQS event source mapping with ReportBatchItemFailures.",
            "It runs on AWS Lambda only. Exit codes: 64 bad settings; 70 a fault of its own.",
        ),
        Host::HttpFunction => (
            "is the Lambda function behind API Gateway or a function URL: it sends messages to an SQS queue.",
            "It runs on AWS Lambda only. Exit codes: 64 bad settings; 70 a fault of its own.",
        ),
    };
    let mut text = String::new();
    wrap(&mut text, "", &format!("{program} {what}"));
    let settings = "Settings are environment variables. They are read once, and all mistakes are told in one go.";
    wrap(&mut text, "", &format!("\n{settings} A handler may have settings of its own.\n"));
    for setting in SETTINGS.iter().filter(|setting| setting.hosts.contains(&host)) {
        wrap(
            &mut text,
            "  ",
            &format!("{} ({})", setting.variables.join(", "), setting.default.trim_matches(['(', ')'])),
        );
        let more = setting.more.map(|more| format!(": {more}")).unwrap_or_default();
        wrap(&mut text, "      ", &format!("{}{more}", setting.meaning.replace('`', "")));
    }
    wrap(&mut text, "  ", "AWS_*, HTTPS_PROXY, NO_PROXY (the SDK's)");
    wrap(&mut text, "      ", "region, credentials, AWS_ENDPOINT_URL, and what AWS is reached through");
    wrap(&mut text, "", &format!("\n{more}"));
    text
}

/// Writes `words` in lines that begin with `indent`. A line break in front stays.
fn wrap(text: &mut String, indent: &str, words: &str) {
    let breaks = words.len() - words.trim_start_matches('\n').len();
    text.push_str(&words[..breaks]);
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= WIDTH {
            let _ = write!(text, " {word}");
            column += 1 + length;
        } else {
            let _ = write!(text, "{}{indent}{word}", if column > 0 { "\n" } else { "" });
            column = indent.len() + length;
        }
    }
    text.push('\n');
    text.push_str(if words.ends_with('\n') { "\n" } else { "" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_settings_of_its_host_alone_in_lines_that_fit() {
        let of = |host| asked(host, "x", Some("--help")).expect("help");
        for (host, has, has_not) in [
            (Host::Worker, "WAIT_TIME_SECS", "DEADLINE_MARGIN_MS"),
            (Host::Function, "DEADLINE_MARGIN_MS", "WAIT_TIME_SECS"),
            (Host::HttpFunction, "SEND_LIMIT", "DLQ_URL"),
        ] {
            let help = of(host);
            let names = |name: &str| help.lines().any(|line| line.starts_with(&format!("  {name} (")));
            assert!(names(has) && !names(has_not), "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= WIDTH), "{help}");
        }
        for setting in SETTINGS.iter().filter(|setting| setting.hosts.contains(&Host::Worker)) {
            assert!(of(Host::Worker).contains(&format!("  {} (", setting.variables.join(", "))), "{setting:?}");
        }
        assert_eq!(asked(Host::Worker, "x", Some("--exact")), None);
        assert_eq!(asked(Host::Worker, "x", None), None);
    }
}
