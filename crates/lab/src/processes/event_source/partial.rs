//! What an event source mapping makes of a function's answer: which messages it deletes.

use std::collections::HashSet;

use serde_json::Value;

use crate::processes::environment::InvocationFailure;

/// Which messages of a batch stay in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None: all are deleted.
    None,
    /// These message ids.
    Some(HashSet<String>),
    /// All, for this reason.
    All(String),
}

/// Applies Lambda's rules (Lambda developer guide, "Handling errors for an SQS event source"; facts.md §3.3).
///
/// With `ReportBatchItemFailures`, a response that is empty, null, or without `batchItemFailures` is success; one that
/// is no JSON object, or names anything but message ids of the batch, fails the whole batch. Without it, a response
/// deletes everything, whatever it says. A function that failed keeps everything either way.
pub fn kept(
    answer: &Result<impl AsRef<[u8]>, InvocationFailure>,
    batch: &[&str],
    report_batch_item_failures: bool,
) -> Kept {
    let body = match answer {
        Err(failure) => return Kept::All(failure.to_string()),
        Ok(_) if !report_batch_item_failures => return Kept::None,
        Ok(body) => body.as_ref(),
    };
    if body.iter().all(u8::is_ascii_whitespace) {
        return Kept::None;
    }
    let listed = match serde_json::from_slice(body) {
        Ok(Value::Null) => return Kept::None,
        Ok(Value::Object(mut response)) => response.remove("batchItemFailures").unwrap_or_default(),
        Ok(other) => return Kept::All(format!("the response is no object: {other}")),
        Err(error) => return Kept::All(format!("the response is no JSON: {error}")),
    };
    let items = match listed {
        Value::Null => return Kept::None,
        Value::Array(items) => items,
        other => return Kept::All(format!("batchItemFailures is no list: {other}")),
    };
    let mut failed = HashSet::with_capacity(items.len());
    for item in items {
        match item.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if batch.contains(&id) => failed.insert(id.to_owned()),
            _ => return Kept::All(format!("not a message of this batch: {item}")),
        };
    }
    if failed.is_empty() { Kept::None } else { Kept::Some(failed) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BATCH: [&str; 3] = ["a", "b", "c"];

    fn ok(body: &str) -> Result<String, InvocationFailure> {
        Ok(body.to_owned())
    }

    fn failing(ids: &[&str]) -> Kept {
        Kept::Some(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn empty_and_null_answers_are_success() {
        for body in
            ["", " ", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, r#"{"other":1}"#]
        {
            assert_eq!(kept(&ok(body), &BATCH, true), Kept::None, "{body}");
        }
    }

    #[test]
    fn named_messages_stay() {
        let body = r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"c"},{"itemIdentifier":"b"}]}"#;
        assert_eq!(kept(&ok(body), &BATCH, true), failing(&["b", "c"]));
    }

    #[test]
    fn one_identifier_that_is_not_of_the_batch_keeps_all() {
        let one = |item: &str| format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"a"}},{item}]}}"#);
        let items = [
            r#"{"itemIdentifier":"d"}"#,
            r#"{"itemIdentifier":""}"#,
            r#"{"itemIdentifier":null}"#,
            r#"{"itemIdentifier":1}"#,
            r#"{"ItemIdentifier":"b"}"#,
            r#"{}"#,
            r#""b""#,
            "null",
        ];
        for item in items {
            assert!(matches!(kept(&ok(&one(item)), &BATCH, true), Kept::All(_)), "{item}");
        }
    }

    #[test]
    fn an_answer_that_is_no_such_object_keeps_all() {
        for body in ["{", "not json", "[]", "\"\"", "1", r#"{"batchItemFailures":"a"}"#, r#"{"batchItemFailures":{}}"#]
        {
            assert!(matches!(kept(&ok(body), &BATCH, true), Kept::All(_)), "{body}");
        }
    }

    #[test]
    fn a_failed_function_keeps_all_with_and_without_the_flag() {
        let failures = [
            InvocationFailure::TimedOut(Duration::from_secs(3)),
            InvocationFailure::Crashed("signal: 9".to_owned()),
            InvocationFailure::Init("x".to_owned()),
            InvocationFailure::Function { kind: "E".to_owned(), message: "m".to_owned() },
        ];
        for failure in failures {
            for flag in [true, false] {
                let answer: Result<String, _> = Err(failure.clone());
                assert_eq!(kept(&answer, &BATCH, flag), Kept::All(failure.to_string()));
            }
        }
    }

    #[test]
    fn without_the_flag_any_answer_deletes_all() {
        for body in ["not json", r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#, ""] {
            assert_eq!(kept(&ok(body), &BATCH, false), Kept::None, "{body}");
        }
    }
}
