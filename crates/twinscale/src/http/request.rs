//! What `POST /send` takes, read strictly: one mistake anywhere, and nothing is sent.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
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
/// What a refusal shows of a value.
const SHOWN: usize = 60;
const EXAMPLE: &str = r#"write {"messages": 10} or {"bodies": ["one", "two"]}"#;

/// Reads `{"messages": 1000}` or `{"bodies": ["…"]}`, each with an optional `"group_id"`; keys in any case, since the
/// article writes `Messages`. A FIFO queue (`fifo`) needs the group id. Takes little more memory than what it returns:
/// the first that is wrong ends it, and nothing else is built.
pub fn read(bytes: &[u8], limit: usize, fifo: bool) -> Result<Vec<Outgoing>, Refused> {
    let asked = parse(bytes, Asked::default(), "the body is not a JSON object")?;
    let bodies = match (asked.messages, asked.bodies) {
        (Some(count), None) => (0..counted(count, limit)?).map(|_| Uuid::new_v4().to_string()).collect(),
        (None, Some(bodies)) => {
            let unread = Bodies { limit, taken: Vec::new(), wrong: None };
            parse(bodies.get().as_bytes(), unread, "bodies is no list").map_err(|refused| match refused {
                Refused::NotJson(_) => Refused::Wrong("bodies is no list: write [\"one\", \"two\"]".to_owned()),
                wrong @ Refused::Wrong(_) => wrong,
            })?
        }
        (None, None) => return Err(Refused::Wrong(format!("it asks for nothing: {EXAMPLE}"))),
        (Some(_), Some(_)) => return Err(Refused::Wrong("write 'messages' or 'bodies', not both".to_owned())),
    };
    let group_id = asked.group_id.map(group).transpose()?;
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

/// Something that is read piece by piece, and says itself what is wrong with a piece.
trait Reading<'de>: Sized {
    type Read;
    fn visit(&mut self, from: impl Deserializer<'de, Error = serde_json::Error>) -> Result<(), serde_json::Error>;
    fn done(self) -> Result<Self::Read, String>;
}

fn parse<'de, R: Reading<'de>>(bytes: &'de [u8], mut reading: R, otherwise: &str) -> Result<R::Read, Refused> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = reading.visit(&mut json).and_then(|()| json.end());
    let read = reading.done().map_err(Refused::Wrong)?;
    parsed.map_err(|error| Refused::NotJson(format!("{otherwise} ({error}): {EXAMPLE}")))?;
    Ok(read)
}

/// The values of the keys, not yet looked into.
#[derive(Default)]
struct Asked<'de> {
    messages: Option<&'de RawValue>,
    bodies: Option<&'de RawValue>,
    group_id: Option<&'de RawValue>,
    wrong: Option<String>,
}

impl<'de> Reading<'de> for Asked<'de> {
    type Read = Self;

    fn visit(&mut self, from: impl Deserializer<'de, Error = serde_json::Error>) -> Result<(), serde_json::Error> {
        from.deserialize_map(self)
    }

    fn done(mut self) -> Result<Self, String> {
        self.wrong.take().map_or(Ok(self), Err)
    }
}

impl<'de> Visitor<'de> for &mut Asked<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let slot = match key.to_ascii_lowercase().as_str() {
                "messages" => &mut self.messages,
                "bodies" => &mut self.bodies,
                "group_id" => &mut self.group_id,
                _ => {
                    let key = cut(&key);
                    self.wrong = Some(format!("'{key}' is unknown: {EXAMPLE}, and \"group_id\" if you need it"));
                    return Err(A::Error::custom("an unknown key"));
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                self.wrong = Some(format!("'{key}' is there twice: write it once"));
                return Err(A::Error::custom("a key that is there twice"));
            }
        }
        Ok(())
    }
}

/// The bodies so far.
struct Bodies {
    limit: usize,
    taken: Vec<String>,
    wrong: Option<String>,
}

impl<'de> Reading<'de> for Bodies {
    type Read = Vec<String>;

    fn visit(&mut self, from: impl Deserializer<'de, Error = serde_json::Error>) -> Result<(), serde_json::Error> {
        from.deserialize_seq(self)
    }

    fn done(self) -> Result<Vec<String>, String> {
        self.wrong.map_or(Ok(self.taken), Err)
    }
}

impl<'de> Visitor<'de> for &mut Bodies {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(OneBody(self))?.is_some() {}
        if self.taken.is_empty() {
            self.wrong = Some("bodies is empty: write at least one".to_owned());
        }
        Ok(())
    }
}

struct OneBody<'a>(&'a mut Bodies);

impl<'de> DeserializeSeed<'de> for OneBody<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let index = self.0.taken.len();
        let limit = self.0.limit;
        let raw = <&RawValue as serde::Deserialize>::deserialize(from)?;
        let wrong = match serde_json::from_str::<String>(raw.get()) {
            _ if index == limit => format!("bodies has more than {limit} entries: write at most {limit} (SEND_LIMIT)"),
            Err(_) => format!("bodies[{index}] is no text: write it in quotes"),
            Ok(body) => match refusal(&body) {
                None => {
                    self.0.taken.push(body);
                    return Ok(());
                }
                Some(why) => format!("bodies[{index}]: {why}"),
            },
        };
        self.0.wrong = Some(wrong);
        Err(D::Error::custom("a body that cannot be sent"))
    }
}

fn counted(count: &RawValue, limit: usize) -> Result<usize, Refused> {
    let number = count.get().parse::<usize>().ok();
    number.filter(|number| (1..=limit).contains(number)).ok_or_else(|| {
        let count = cut(count.get());
        Refused::Wrong(format!("messages is {count}: write a whole number from 1 to {limit} (SEND_LIMIT)"))
    })
}

fn group(value: &RawValue) -> Result<String, Refused> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation();
    match serde_json::from_str::<String>(value.get()) {
        Ok(id) if (1..=MAX_GROUP_ID).contains(&id.len()) && id.chars().all(allowed) => Ok(id),
        Ok(_) | Err(_) => Err(Refused::Wrong(format!(
            "group_id is {}: write 1 to {MAX_GROUP_ID} letters, digits or punctuation marks, in quotes",
            cut(value.get())
        ))),
    }
}

fn cut(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() == text.len() { shown } else { shown + "…" }
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
            (r#"{"bodies": ["a", "b", "c", 4]}"#, "more than 3"),
            (r#"{"bodies": [{"":0},{"":0}]}"#, "bodies[0] is no text"),
            (r#"{"messages": [{"":0}]}"#, "whole number"),
            (r#"{"messages": 1, "group_id": ""}"#, "group_id"),
            (r#"{"messages": 1, "group_id": "a b"}"#, "group_id"),
        ];
        for (text, named) in cases {
            let limit = if named == "more than 3" { 3 } else { 1000 };
            let (Refused::NotJson(why) | Refused::Wrong(why)) = read(text.as_bytes(), limit, false).expect_err(text);
            assert!(why.contains(named), "{text:.60} says: {why}");
        }
        let Err(Refused::Wrong(why)) = read(br#"{"messages": 1}"#, 1000, true) else { panic!("taken") };
        assert!(why.contains("FIFO"));
    }
}
