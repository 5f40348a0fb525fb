//! `--persist FILE`: what a server holds, kept over a restart.
//!
//! The file is a log of the calls that changed something, a line of JSON each. The model takes `now` as an argument and
//! draws nothing, so the same calls make the same queues: receipt handles, receive counts, locks of FIFO groups and
//! deduplication come back with the messages. At the start, and when the log has grown, a picture of all queues takes its
//! place (`picture`).
//!
//! ```text
//! a call ─► logged (a queue whose calls are written) ─► Log: buffer ─► the file, before the answer ─► the disk, once a second
//! ```
//!
//! What was answered is with the operating system by then: a killed process loses nothing of it. A machine that loses its
//! power may lose the last second. Not kept: counts of requests, receive attempts, the minute after a purge, and move tasks
//! (what a task had taken and not brought yet is in its source again).

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::error::{Code, Error};
use super::state::State;

mod logged;
mod picture;
mod record;
mod replay;

pub(super) use logged::LoggedQueue;
pub(super) use record::{Began, KeptQueue, Record, Transit};
pub(super) use replay::Kept;

/// How often the file is synced to the disk.
const SYNC: Duration = Duration::from_secs(1);
/// A log of fewer bytes is not worth a new picture.
const SMALL: u64 = 64 << 20;
/// A server that was dropped a moment ago lets go of its file by then.
const LOCKED_TRIES: u32 = 20;

/// Why what a file keeps cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// It cannot be read or written.
    #[error("{}: {error}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Two servers would write over each other.
    #[error("{} is in use by another server: stop that one, or name another file", .0.display())]
    InUse(PathBuf),
    /// Something else is in it.
    #[error("{} is no log of this queue's: name a file that does not exist yet", .0.display())]
    Foreign(PathBuf),
    /// Queue URLs and redrive policies name the account.
    #[error("{} was kept for account {kept}: start with that account, or with another file", file.display())]
    Account {
        /// Which file.
        file: PathBuf,
        /// Its account.
        kept: String,
    },
    /// A whole line is no record, or does not fit what came before.
    #[error("{}, line {line}: {why}. Keep what is before it with `head -n {} {} > OTHER`, and start with that", file.display(), line - 1, file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where.
        line: u64,
        /// What is wrong there.
        why: String,
    },
}

/// What a server found in its file when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Queues.
    pub queues: u64,
    /// Messages in them.
    pub messages: u64,
    /// Bytes at the end that were no whole record, as a crash of the machine or a full disk leaves them. Dropped.
    pub torn: u64,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queues, messages, torn } = self;
        write!(f, "{queues} queues with {messages} messages")?;
        match torn {
            0 => Ok(()),
            torn => write!(f, "; its last {torn} bytes were half a record, as a crash leaves them, and are dropped"),
        }
    }
}

/// The log of a server.
#[derive(Debug)]
pub(super) struct Log {
    file: PathBuf,
    written: Mutex<Written>,
    /// Held for as long as this server may write.
    _lock: File,
}

#[derive(Debug)]
struct Written {
    /// None before the first picture.
    to: Option<File>,
    /// Records that are not written yet.
    buffer: Vec<u8>,
    /// Messages that have left a queue and not come to another.
    in_transit: Transit,
    /// Bytes of the picture, and of all.
    picture: u64,
    bytes: u64,
    /// Nothing is written after a write that failed: its part may stand there.
    failed: Option<String>,
}

impl Log {
    /// Takes the file for this server alone.
    pub(super) async fn lock(file: &Path) -> Result<Self, PersistError> {
        let at_fault = |error| PersistError::File { file: file.to_owned(), error };
        let lock = beside(file, "lock");
        let lock = File::options().create(true).truncate(false).write(true).open(lock).map_err(at_fault)?;
        for _ in 0..LOCKED_TRIES {
            match lock.try_lock() {
                Ok(()) => {
                    let written = Written {
                        to: None,
                        buffer: Vec::new(),
                        in_transit: Transit::new(),
                        picture: 0,
                        bytes: 0,
                        failed: None,
                    };
                    return Ok(Self { file: file.to_owned(), written: Mutex::new(written), _lock: lock });
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(SYNC / LOCKED_TRIES).await,
                Err(TryLockError::Error(error)) => return Err(at_fault(error)),
            }
        }
        Err(PersistError::InUse(file.to_owned()))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call. The caller holds what the call changed, so that records have the order of the calls.
    pub(super) fn append(&self, record: &Record<&super::Served>) {
        self.written().append(record);
    }

    /// A dead letter had no queue to go to.
    pub(super) fn dropped(&self, message: u64) {
        let mut written = self.written();
        written.in_transit.remove(&message);
        written.append(&Record::Dropped { message });
    }

    /// Everything noted so far goes to the operating system.
    ///
    /// # Errors
    /// When that failed, now or before: the server and its file would differ.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let mut written = self.written();
        written.flush();
        match &written.failed {
            None => Ok(()),
            Some(why) => {
                let message = format!("{} cannot be written: {why}. Nothing is kept from here on", self.file.display());
                Err(Error::new(Code::InternalError, message))
            }
        }
    }

    /// Everything that was written goes to the disk.
    fn sync(&self) {
        let file = {
            let mut written = self.written();
            written.flush();
            written.to.as_ref().map(File::try_clone)
        };
        if let Some(Err(error)) = file.map(|file| file.and_then(|file| file.sync_data())) {
            self.written().failed.get_or_insert(error.to_string());
        }
    }

    fn has_grown(&self) -> bool {
        let written = self.written();
        written.failed.is_none() && written.bytes > SMALL.max(2 * written.picture)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.sync();
    }
}

impl Written {
    fn append(&mut self, record: &Record<&super::Served>) {
        // Before the first picture there is nothing to add to: it will show this too.
        if self.to.is_none() || self.failed.is_some() {
            return;
        }
        if let Err(error) = serde_json::to_writer(&mut self.buffer, record) {
            self.failed = Some(error.to_string());
        }
        self.buffer.push(b'\n');
    }

    fn flush(&mut self) {
        let Some(to) = self.to.as_mut().filter(|_| !self.buffer.is_empty() && self.failed.is_none()) else { return };
        match to.write_all(&self.buffer) {
            Ok(()) => self.bytes += self.buffer.len() as u64,
            Err(error) => self.failed = Some(error.to_string()),
        }
        self.buffer.clear();
    }
}

/// Syncs once a second, and draws a new picture when the log has grown, for as long as the server lives.
pub(super) async fn keep(state: Weak<State>) {
    loop {
        tokio::time::sleep(SYNC).await;
        let Some(state) = state.upgrade() else { return };
        let kept = tokio::task::spawn_blocking(move || {
            let Some(log) = &state.log else { return };
            log.sync();
            if log.has_grown() {
                picture::draw(&state, log);
            }
        });
        if kept.await.is_err() {
            return;
        }
    }
}

/// Draws the first picture, from which on the log is written.
pub(super) fn begin(state: &State, log: &Arc<Log>) -> Result<(), PersistError> {
    picture::draw(state, log);
    match log.written().failed.take() {
        None => Ok(()),
        Some(why) => Err(PersistError::File { file: log.file.clone(), error: io::Error::other(why) }),
    }
}

/// `FILE.lock`, `FILE.new`.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
