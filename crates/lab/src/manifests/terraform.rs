//! terraform's state and plan, as `terraform show -json` prints them, and its outputs.
//!
//! A plan knows no ARN and no URL yet: there a queue is called by its address, and its dead-letter queue is the one that
//! its redrive policy refers to.

use std::time::Duration;

use serde_json::Value;

use super::ManifestError;
use super::node::Node;
use super::queue::{self, Queue, RedriveAllow};

/// What terraform made, or is about to make.
#[derive(Clone, Debug)]
pub struct Terraform {
    /// The file, as it was named.
    pub file: String,
    shown: Value,
}

/// A resource of terraform.
#[derive(Clone, Debug)]
pub(crate) struct Resource<'a> {
    /// Its address: `module.twinscale.aws_sqs_queue.work`.
    pub address: &'a str,
    /// What is known of it.
    pub values: &'a Value,
}

impl Resource<'_> {
    /// A policy, which terraform keeps as JSON in a text; `None` where it is not known yet.
    pub(crate) fn document(&self, field: &str) -> Option<Value> {
        serde_json::from_str(self.values[field].as_str()?).ok()
    }

    /// A field that is a text.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.values[field].as_str().filter(|text| !text.is_empty())
    }
}

impl Terraform {
    /// Reads what terraform printed; `file` is how messages call it.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(file: &str, text: &str) -> Result<Self, ManifestError> {
        let refused = |what: String| ManifestError(vec![format!("{file}: {what}")]);
        let shown = match serde_json::from_str(text) {
            Ok(shown) => shown,
            Err(error) => return Err(refused(format!("it is no JSON: {error}"))),
        };
        Self::from_json(file, shown).ok_or_else(|| {
            let keys = "it has none of values, planned_values, queue_url";
            refused(format!("it is no output of 'terraform show -json' or 'terraform output -json': {keys}"))
        })
    }

    fn from_json(file: &str, shown: Value) -> Option<Self> {
        let known = ["values", "planned_values", "queue_url"].iter().any(|key| shown.get(key).is_some());
        known.then(|| Self { file: file.to_owned(), shown })
    }

    /// Whether nothing is made yet.
    pub(crate) fn is_plan(&self) -> bool {
        self.shown["planned_values"].is_object()
    }

    /// Resources of one type, those of child modules too.
    pub(crate) fn resources(&self, kind: &str) -> Vec<Resource<'_>> {
        let values = if self.is_plan() { &self.shown["planned_values"] } else { &self.shown["values"] };
        let mut modules = vec![&values["root_module"]];
        let mut found = Vec::new();
        while let Some(module) = modules.pop() {
            found.extend(module["resources"].as_array().into_iter().flatten());
            modules.extend(module["child_modules"].as_array().into_iter().flatten());
        }
        let of_kind = found.into_iter().filter(|resource| resource["type"] == kind);
        of_kind
            .map(|resource| Resource {
                address: resource["address"].as_str().unwrap_or_default(),
                values: &resource["values"],
            })
            .collect()
    }

    /// The queues.
    pub(crate) fn queues(&self) -> Vec<Queue> {
        let allowed = self.resources("aws_sqs_queue_redrive_allow_policy");
        let of_queue = |queue: &Resource| self.queue(queue, &allowed);
        self.resources("aws_sqs_queue").iter().map(of_queue).collect()
    }

    fn queue(&self, resource: &Resource, allowed: &[Resource]) -> Queue {
        let at = resource.address;
        let values = resource.values;
        let seconds = |field: &str, default: Duration| values[field].as_u64().map_or(default, Duration::from_secs);
        let redrive = resource.document("redrive_policy").unwrap_or_default();
        let url = resource.text("url");
        let dead_letter = redrive["deadLetterTargetArn"].as_str().map(str::to_owned);
        let of_queue = |policy: &&Resource| url.is_some() && policy.text("queue_url") == url;
        let allow = allowed.iter().find(of_queue).unwrap_or(resource).document("redrive_allow_policy");
        Queue {
            name: at.to_owned(),
            key: resource.text("arn").unwrap_or(at).to_owned(),
            own_name: resource.text("name").map(str::to_owned),
            url: url.map(str::to_owned),
            line: 0,
            visibility_line: None,
            visibility: seconds("visibility_timeout_seconds", queue::VISIBILITY),
            retention: seconds("message_retention_seconds", queue::RETENTION),
            fifo: values["fifo_queue"] == true,
            max_receive_count: redrive["maxReceiveCount"].as_u64().and_then(|count| count.try_into().ok()),
            dead_letter: dead_letter.or_else(|| self.planned_dead_letter(at)),
            redrive_allow: allow.and_then(|policy| RedriveAllow::read(&Node::from_json(0, &policy))),
            kms_key: resource.text("kms_master_key_id").map(str::to_owned),
        }
    }

    /// The queue that a planned queue's redrive policy refers to, by its address. In a module's configuration addresses
    /// begin at the module.
    fn planned_dead_letter(&self, at: &str) -> Option<String> {
        let mut module = &self.shown["configuration"]["root_module"];
        let mut inside = at;
        let mut path = String::new();
        while let Some((called, rest)) = inside.strip_prefix("module.").and_then(|rest| rest.split_once('.')) {
            // `module.NAME[0]` is a call of NAME.
            let name = called.split('[').next().unwrap_or(called);
            module = &module["module_calls"][name]["module"];
            path.push_str(&format!("module.{called}."));
            inside = rest;
        }
        let queue = module["resources"].as_array()?.iter().find(|resource| resource["address"] == inside)?;
        let references = queue["expressions"]["redrive_policy"]["references"].as_array()?;
        let named = references.iter().filter_map(|reference| reference.as_str()?.strip_suffix(".arn"));
        named.into_iter().find(|name| name.starts_with("aws_sqs_queue.")).map(|name| format!("{path}{name}"))
    }

    /// The queue URLs that terraform knows: those of its queues, and of its output.
    pub(crate) fn urls(&self) -> Vec<String> {
        let output = [&self.shown["queue_url"], &self.shown["values"]["outputs"]["queue_url"]];
        let output = output.into_iter().filter_map(|output| output["value"].as_str().map(str::to_owned));
        self.queues().into_iter().filter_map(|queue| queue.url).chain(output).collect()
    }
}
