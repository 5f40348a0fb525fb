//! Whatever is posted to `/send`, it is refused with advice, or what comes of it is a send that SQS takes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twinscale::unstable::http::{Refused, read_send};
use twinscale::unstable::queue::refusal;

/// Enough, and a request for 10,000 messages takes no longer than the others.
const LIMIT: usize = 20;

fuzz_target!(|input: &[u8]| {
    for fifo in [false, true] {
        match read_send(input, LIMIT, fifo) {
            Ok(messages) => {
                assert!((1..=LIMIT).contains(&messages.len()), "{} messages", messages.len());
                for message in &messages {
                    assert_eq!(refusal(&message.body), None, "SQS would not take it");
                    assert_eq!(message.deduplication_id.is_some(), fifo);
                    assert!(!fifo || message.group_id.is_some(), "a FIFO queue needs a group");
                }
            }
            Err(Refused::NotJson(why) | Refused::Wrong(why)) => assert!(why.contains(' '), "no advice: {why}"),
        }
    }
});
