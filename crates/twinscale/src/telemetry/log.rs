//! A log that holds nobody up: lines wait for a thread that writes them, and are dropped and counted while nobody reads
//! what it writes. A pipe that is full would otherwise stop each task that logs, and the process with them.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that wait; more are dropped.
const MOST_BYTES: usize = 1 << 20;
/// How often the end looks whether all was written.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Of the process, as the log is.
static WAITING_BYTES: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Hands lines to their thread.
pub(super) struct Lossy(Sender<Vec<u8>>);

impl Lossy {
    /// Starts the thread that writes to `sink`.
    pub(super) fn to(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = channel();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&waiting, sink))?;
        Ok(Self(lines))
    }
}

fn write(lines: &Receiver<Vec<u8>>, mut sink: impl Write) {
    let mut told = 0;
    while let Ok(line) = lines.recv() {
        // Whoever closed the other end wants none of it.
        let _ = sink.write_all(&line).and_then(|()| sink.flush());
        WAITING_BYTES.fetch_sub(line.len(), Ordering::Release);
        let dropped = dropped();
        if dropped > told {
            tracing::warn!(lines = dropped - told, "lines of this log were dropped, since nobody read them");
            told = dropped;
        }
    }
}

/// Lines that were dropped since the process began.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until what was logged is written, but not for longer than `within`. Blocks its thread.
pub(super) fn flush(within: Duration) {
    let ends = Instant::now() + within;
    while WAITING_BYTES.load(Ordering::Acquire) > 0 && Instant::now() < ends {
        std::thread::sleep(LOOK_EVERY);
    }
}

impl<'a> MakeWriter<'a> for Lossy {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lossy {
    /// Takes a whole line, or drops it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let waiting = WAITING_BYTES.fetch_add(line.len(), Ordering::Relaxed);
        if waiting + line.len() > MOST_BYTES || self.0.send(line.to_vec()).is_err() {
            WAITING_BYTES.fetch_sub(line.len(), Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
