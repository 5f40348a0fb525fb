//! Whatever Lambda sends as an event, either the function fails as a whole, or each record is there once, in order, under
//! an id that a partial batch response can name; and unless its message is finished, the response names it.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use twinscale::unstable::function::{Open, RawEvent, decode, failures};

fuzz_target!(|input: &[u8]| {
    let Ok(event) = serde_json::from_slice::<RawEvent>(input) else { return };
    let Ok(batch) = decode(&event) else { return };
    assert_eq!(batch.records.len(), event.records.len());
    let mut open = Open::all(&batch);
    let named = |open: &Open<'_>| -> Vec<String> {
        failures(&batch, open).batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    };
    let ids: HashSet<&str> = batch.records.iter().map(|record| record.id.as_str()).collect();
    assert!(ids.iter().all(|id| !id.is_empty()), "an empty id keeps the whole batch");
    let all = named(&open);
    assert_eq!(all.len(), ids.len(), "nothing is finished, so all are named, each once");
    assert!(all.iter().all(|id| ids.contains(id.as_str())));
    // Every record that decoded is finished: what did not is still named.
    for record in &batch.records {
        if let Ok(message) = &record.message {
            assert_eq!(message.id, record.id);
            open.finish(&record.id);
        }
    }
    let left: HashSet<String> = named(&open).into_iter().collect();
    for record in batch.records.iter().filter(|record| record.message.is_err()) {
        assert!(left.contains(&record.id), "{} would be deleted unhandled", record.id);
    }
});
