//! What was deployed, from what deployed it: terraform's outputs and a CloudFormation stack's.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_smithy_xml::decode::{Document, try_data};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::account::Account;

/// terraform may have to ask a remote backend.
const TERRAFORM_WITHIN: Duration = Duration::from_secs(60);

/// Outputs by name; those that are null or no text are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// Whose they are, for messages.
    pub of: String,
    values: BTreeMap<String, String>,
}

/// Why there are no outputs, or not the one that is needed.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    /// The file cannot be read.
    #[error("--from-terraform {}: {error}", .path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// terraform did not print them.
    #[error("terraform output -json in {}: {what}", .path.display())]
    Terraform {
        /// The folder.
        path: PathBuf,
        /// What it said, or what to change.
        what: String,
    },
    /// The text is not what `terraform output -json` prints.
    #[error("{of} is not what 'terraform output -json' prints: {error}")]
    Malformed {
        /// File or folder.
        of: String,
        /// Where.
        error: serde_json::Error,
    },
    /// CloudFormation did not tell.
    #[error("--from-stack {name}: {what}")]
    Stack {
        /// As given.
        name: String,
        /// What it said, or what to change.
        what: String,
    },
    /// The output that is needed is not there.
    #[error("{of} has no output {name}: {advice}")]
    Missing {
        /// Whose outputs.
        of: String,
        /// The output.
        name: &'static str,
        /// What to do.
        advice: &'static str,
    },
}

#[derive(Deserialize)]
struct Output {
    value: serde_json::Value,
}

impl Outputs {
    /// Those of a folder that terraform was applied in, or of a file with what `terraform output -json` printed.
    ///
    /// # Errors
    /// It cannot be read or run, or prints something else.
    pub async fn of_terraform(path: &Path) -> Result<Self, OutputsError> {
        let text = if path.is_dir() {
            run_terraform(path).await?
        } else {
            tokio::fs::read_to_string(path)
                .await
                .map_err(|error| OutputsError::Unreadable { path: path.to_owned(), error })?
        };
        let of = path.display().to_string();
        let read: BTreeMap<String, Output> =
            serde_json::from_str(&text).map_err(|error| OutputsError::Malformed { of: of.clone(), error })?;
        let values = read.into_iter().filter_map(|(name, output)| Some((name, output.value.as_str()?.to_owned())));
        Ok(Self { of, values: values.collect() })
    }

    /// Those of a stack, by DescribeStacks.
    ///
    /// # Errors
    /// No answer, or no such stack.
    pub async fn of_stack(name: &str, account: &Account) -> Result<Self, OutputsError> {
        let failed = |what| OutputsError::Stack { name: name.to_owned(), what };
        let known = |c: char| c.is_ascii_alphanumeric() || "-:/".contains(c);
        if name.is_empty() || !name.chars().all(known) {
            return Err(failed("a stack's name has letters, digits and hyphens".to_owned()));
        }
        let form = format!("Action=DescribeStacks&Version=2010-05-15&StackName={name}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = account.call("cloudformation", &headers, form).await.map_err(failed)?;
        let text = String::from_utf8_lossy(&answer.body);
        let told = elements(&text, &["OutputKey", "OutputValue", "StackName", "Message"]);
        if let Some((_, message)) = told.iter().find(|(name, _)| *name == "Message") {
            return Err(failed(message.clone()));
        }
        if !answer.status.is_success() || !told.iter().any(|(name, _)| *name == "StackName") {
            return Err(failed(format!("CloudFormation answered {}", answer.told())));
        }
        let outputs: Vec<_> = told.into_iter().filter(|(name, _)| name.starts_with("Output")).collect();
        let pairs = outputs.chunks_exact(2).filter_map(|pair| {
            let of = |name| pair.iter().find(|(element, _)| *element == name).map(|(_, text)| text.clone());
            Some((of("OutputKey")?, of("OutputValue")?))
        });
        let values = pairs.collect();
        Ok(Self { of: format!("stack {name}"), values })
    }

    /// An output that need not be there.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// An output that must be there; `advice` says what to do otherwise.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&self, name: &'static str, advice: &'static str) -> Result<String, OutputsError> {
        self.get(name).ok_or_else(|| OutputsError::Missing { of: self.of.clone(), name, advice })
    }
}

async fn run_terraform(path: &Path) -> Result<String, OutputsError> {
    let failed = |what: String| OutputsError::Terraform { path: path.to_owned(), what };
    let mut command = Command::new("terraform");
    command.args(["output", "-json", "-no-color"]).current_dir(path).stdin(Stdio::null()).kill_on_drop(true);
    let ran = timeout(TERRAFORM_WITHIN, command.output()).await;
    let output = ran
        .map_err(|_| failed(format!("no answer within {} s", TERRAFORM_WITHIN.as_secs())))?
        .map_err(|error| failed(format!("terraform cannot be run ({error}): install it, or give a file")))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The texts of these elements, wherever they stand, in their order.
fn elements(xml: &str, wanted: &[&'static str]) -> Vec<(&'static str, String)> {
    let mut document = Document::new(xml);
    let mut found = Vec::new();
    while let Some(element) = document.next_start_element() {
        let Some(name) = wanted.iter().find(|name| element.local() == **name) else { continue };
        if let Ok(text) = try_data(&mut document.scoped_to(element)) {
            found.push((*name, text.into_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_at_any_depth_empty_ones_too() {
        let xml = "<R xmlns=\"x\"><A><K>a&amp;b</K><V></V></A><A><V>2</V><K/></A></R>";
        let found = elements(xml, &["K", "V"]);
        assert_eq!(found, [("K", "a&b"), ("V", ""), ("V", "2"), ("K", "")].map(|(name, text)| (name, text.to_owned())));
        assert_eq!(elements("no xml <", &["K"]), []);
    }
}
