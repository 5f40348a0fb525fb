//! Reads a log, and does its calls again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::Served;
use super::super::hosted::Hosted;
use super::super::settings::Settings;
use super::super::state::State;
use super::record::{Began, Left, Record, VERSION};
use super::{PersistError, Restored, Transit};

/// A log that is read.
pub(in crate::server) struct Kept {
    file: PathBuf,
    lines: BufReader<File>,
    /// The number of the line that was read last.
    line: u64,
    /// Bytes at its end that are no record.
    torn: u64,
    /// Its first line.
    pub began: Began,
}

impl Kept {
    /// Opens the log. `None`: there is nothing yet.
    pub(in crate::server) fn open(file: &Path, account: &str) -> Result<Option<Self>, PersistError> {
        let open = match File::open(file) {
            Ok(open) => open,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PersistError::File { file: file.to_owned(), error }),
        };
        let mut lines = BufReader::new(open);
        let mut first = Vec::new();
        let read = lines.read_until(b'\n', &mut first);
        if read.map_err(|error| PersistError::File { file: file.to_owned(), error })? == 0 {
            return Ok(None);
        }
        let began = match serde_json::from_slice::<Record<Served>>(&first) {
            Ok(Record::Began(began)) if began.version == VERSION => began,
            Ok(_) | Err(_) => return Err(PersistError::Foreign(file.to_owned())),
        };
        match began.account == account {
            true => Ok(Some(Self { file: file.to_owned(), lines, line: 1, torn: 0, began })),
            false => Err(PersistError::Account { file: file.to_owned(), kept: began.account }),
        }
    }

    /// The next record. `None` at the end, and where a crash has torn the last one.
    fn next(&mut self) -> Result<Option<Record<Served>>, PersistError> {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line);
        read.map_err(|error| PersistError::File { file: self.file.clone(), error })?;
        self.line += 1;
        // A record is written from its beginning to its end.
        if !line.ends_with(b"\n") {
            self.torn = line.len() as u64;
            return Ok(None);
        }
        let record = serde_json::from_slice(&line);
        record.map(Some).map_err(|error| self.damaged(format!("it is no record: {error}")))
    }

    fn damaged(&self, why: impl Into<String>) -> PersistError {
        PersistError::Damaged { file: self.file.clone(), line: self.line, why: why.into() }
    }

    /// Brings back what the log says into a server without queues.
    pub(in crate::server) fn restore(mut self, state: &State) -> Result<Restored, PersistError> {
        let mut restored = HashMap::new();
        let mut in_transit = Transit::new();
        let mut last = self.began.at;
        while let Some(record) = self.next()? {
            if let Some(at) = self.apply(state, &mut restored, &mut in_transit, record)? {
                last = last.max(at);
            }
        }
        // Time went on meanwhile, and never goes back.
        state.goes_on_from(last);
        for Left { queue, message } in in_transit.into_values() {
            let origin = message.payload.origin.clone();
            let from = restored.get(&queue).ok_or_else(|| self.damaged(format!("there is no queue {queue}")))?;
            state.carry(from, message, origin);
        }
        let now = state.clock.now();
        let queues: Vec<_> = state.queues().values().flat_map(|region| region.values()).cloned().collect();
        let counts = queues.iter().map(|hosted| hosted.lock().queue.counts(now));
        let messages = counts.map(|counts| counts.visible + counts.in_flight + counts.delayed).sum();
        Ok(Restored { queues: queues.len() as u64, messages, torn: self.torn })
    }

    /// Does what a record says; returns its time.
    fn apply(
        &self,
        state: &State,
        restored: &mut HashMap<u64, Arc<Hosted>>,
        in_transit: &mut Transit,
        record: Record<Served>,
    ) -> Result<Option<Duration>, PersistError> {
        let hosted = |restored: &HashMap<u64, Arc<Hosted>>, number: u64| {
            restored.get(&number).cloned().ok_or_else(|| self.damaged(format!("there is no queue {number}")))
        };
        match record {
            Record::Began(_) => Err(self.damaged("a second beginning")),
            Record::Queue(kept) => {
                let settings = Settings::kept(kept.attributes.clone()).map_err(|error| self.damaged(error.message))?;
                state.seen(kept.number);
                let hosted = Hosted::restored(*kept, settings, state);
                restored.insert(hosted.number, hosted.clone());
                state.host(hosted);
                Ok(None)
            }
            Record::InTransit(transit) => {
                in_transit.extend(transit);
                Ok(None)
            }
            Record::Called { queue, at, call } => {
                if let super::record::LoggedCall::Send(send) = &call {
                    state.seen(send.id);
                }
                let hosted = hosted(restored, queue)?;
                match hosted.lock().queue.replay(at, call, in_transit) {
                    true => Ok(Some(at)),
                    false => Err(self.damaged("the call comes out otherwise than it did")),
                }
            }
            Record::Changed { queue, at, attributes } => {
                let hosted = hosted(restored, queue)?;
                let mut inner = hosted.lock();
                let settings = inner.settings.changed(&attributes).map_err(|error| self.damaged(error.message))?;
                inner.queue.replay_attributes(at, settings.queue.clone());
                inner.settings = settings;
                inner.modified = at;
                Ok(Some(at))
            }
            Record::Tagged { queue, tags } => {
                hosted(restored, queue)?.lock().tags = tags;
                Ok(None)
            }
            Record::Deleted { queue } => {
                state.unhost(&*hosted(restored, queue)?);
                Ok(None)
            }
            Record::Dropped { message } => {
                in_transit.remove(&message);
                Ok(None)
            }
        }
    }
}
