//! What `POST /send` takes, read strictly: one mistake anywhere, and nothing is sent.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::queue::{Outgoing, refusal};

/// Why a request was not taken: what to change.
#[derive(Debug, PartialEq)]
pub enum Refused {
    /// It is not a JSON object: 400.
    NotJson(String),
    /// It is, and asks for something that cannot be done: 422.
    Wrong(String),
}

/// `SQS` takes group ids of up to so many characters.
const MAX_GROUP_ID: usize = 128;

/// Reads `{"messages": 1000}` or `{"bodies": ["…"]}`, each with an optional `"group_id"`; keys in any case, since the
/// article writes `Messages`. A FIFO queue (`fifo`) needs the group id.
pub fn read(bytes: &[u8], limit: usize, fifo: bool) -> Result<Vec<Outgoing>, Refused> {
    let example = r#"write {"messages": 10} or {"bodies": ["one", "two"]}"#;
    let not_json = |why: String| Refused::NotJson(format!("{why}: {example}"));
    let object: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| not_json(format!("the body is not a JSON object ({error})")))?;
    let (mut messages, mut bodies, mut group_id) = (None, None, None);
    for (key, value) in object {
        let slot = match key.to_ascii_lowercase().as_str() {
            "messages" => &mut messages,
            "bodies" => &mut bodies,
            "group_id" => &mut group_id,
            _ => return Err(Refused::Wrong(format!("'{key}' is unknown: {example}, and \"group_id\" if you need it"))),
        };
        if slot.replace(value).is_some() {
            return Err(Refused::Wrong(format!("'{key}' is there twice: write it once")));
        }
    }
    let bodies = match (messages, bodies) {
        (Some(count), None) => (0..counted(&count, limit)?).map(|_| Uuid::new_v4().to_string()).collect(),
        (None, Some(bodies)) => checked(bodies, limit)?,
        (None, None) => return Err(Refused::Wrong(format!("it asks for nothing: {example}"))),
        (Some(_), Some(_)) => return Err(Refused::Wrong("write 'messages' or 'bodies', not both".to_owned())),
    };
    let group_id = group_id.map(group).transpose()?;
    if fifo && group_id.is_none() {
        return Err(Refused::Wrong("the queue is FIFO: write \"group_id\" too".to_owned()));
    }
    let outgoing = |body| Outgoing {
        body,
        group_id: group_id.clone(),
        // Not by content: two equal bodies in one request are two messages.
        deduplication_id: fifo.then(|| Uuid::new_v4().to_string()),
        ..Outgoing::default()
    };
    Ok(bodies.into_iter().map(outgoing).collect())
}

fn counted(count: &Value, limit: usize) -> Result<usize, Refused> {
    let number = count.as_u64().and_then(|number| usize::try_from(number).ok());
    number.filter(|number| (1..=limit).contains(number)).ok_or_else(|| {
        Refused::Wrong(format!("messages is {count}: write a whole number from 1 to {limit} (SEND_LIMIT)"))
    })
}

fn checked(bodies: Value, limit: usize) -> Result<Vec<String>, Refused> {
    let wrong = |text: &str| Refused::Wrong(text.to_owned());
    let Value::Array(values) = bodies else { return Err(wrong("bodies is no list: write [\"one\", \"two\"]")) };
    if values.is_empty() {
        return Err(wrong("bodies is empty: write at least one"));
    }
    if values.len() > limit {
        let text = format!("bodies has {} entries: write at most {limit} (SEND_LIMIT)", values.len());
        return Err(Refused::Wrong(text));
    }
    let one = |(index, value)| match value {
        Value::String(body) => match refusal(&body) {
            None => Ok(body),
            Some(why) => Err(Refused::Wrong(format!("bodies[{index}]: {why}"))),
        },
        _ => Err(Refused::Wrong(format!("bodies[{index}] is no text: write it in quotes"))),
    };
    values.into_iter().enumerate().map(one).collect()
}

fn group(value: Value) -> Result<String, Refused> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation();
    match value {
        Value::String(id) if (1..=MAX_GROUP_ID).contains(&id.len()) && id.chars().all(allowed) => Ok(id),
        _ => Err(Refused::Wrong(format!(
            "group_id is {value}: write 1 to {MAX_GROUP_ID} letters, digits or punctuation marks, in quotes"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, fifo: bool) -> Vec<Outgoing> {
        read(text.as_bytes(), 1000, fifo).expect("taken")
    }

    #[test]
    fn a_count_in_any_case_makes_so_many_distinct_uuids() {
        for text in [r#"{"Messages": 1000}"#, r#"{"messages":1000}"#, r#" {"MESSAGES":1000} "#] {
            let bodies: std::collections::HashSet<_> = sent(text, false).into_iter().map(|m| m.body).collect();
            assert_eq!(bodies.len(), 1000);
            assert!(bodies.iter().all(|body| Uuid::try_parse(body).is_ok()));
        }
    }

    #[test]
    fn equal_bodies_stay_two_messages_on_a_fifo_queue() {
        let messages = sent(r#"{"bodies": ["same", "same"], "group_id": "g"}"#, true);
        assert_eq!(messages.iter().map(|m| m.group_id.as_deref()).collect::<Vec<_>>(), [Some("g"), Some("g")]);
        assert_ne!(messages[0].deduplication_id, messages[1].deduplication_id);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_write() {
        let long = format!(r#"{{"bodies": ["{}"]}}"#, "x".repeat((1 << 20) + 1));
        let cases = [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{", "not a JSON object"),
            ("{}", "asks for nothing"),
            (r#"{"messages": 0}"#, "from 1 to 1000"),
            (r#"{"messages": -1}"#, "from 1 to 1000"),
            (r#"{"messages": 1001}"#, "SEND_LIMIT"),
            (r#"{"messages": 1e30}"#, "from 1 to 1000"),
            (r#"{"messages": 1.5}"#, "whole number"),
            (r#"{"messages": "10"}"#, "whole number"),
            (r#"{"messages": null}"#, "whole number"),
            (r#"{"messages": 1, "Messages": 2}"#, "twice"),
            (r#"{"messages": 1, "bodies": ["a"]}"#, "not both"),
            (r#"{"message": 1}"#, "'message' is unknown"),
            (r#"{"bodies": []}"#, "at least one"),
            (r#"{"bodies": "a"}"#, "no list"),
            (r#"{"bodies": ["a", 1]}"#, "bodies[1] is no text"),
            (r#"{"bodies": ["a", ""]}"#, "bodies[1]: the body is empty"),
            (r#"{"bodies": ["\u0000"]}"#, "U+0000"),
            (r#"{"bodies": ["\uffff"]}"#, "U+FFFF"),
            (long.as_str(), "1048577 bytes"),
            (r#"{"messages": 1, "group_id": ""}"#, "group_id"),
            (r#"{"messages": 1, "group_id": "a b"}"#, "group_id"),
        ];
        for (text, named) in cases {
            let (Refused::NotJson(why) | Refused::Wrong(why)) = read(text.as_bytes(), 1000, false).expect_err(text);
            assert!(why.contains(named), "{text:.60} says: {why}");
        }
        let Err(Refused::Wrong(why)) = read(br#"{"messages": 1}"#, 1000, true) else { panic!("taken") };
        assert!(why.contains("FIFO"));
    }
}
