//! A picture of all queues, which takes the place of the log that led to it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

use super::super::hosted::Hosted;
use super::super::state::State;
use super::record::{Began, Record, VERSION};
use super::{Log, Written, beside};

/// Draws it. All queues stand still meanwhile, so that it is of one moment. What fails is told by the next request.
pub(super) fn draw(state: &State, log: &Log) {
    let queues = state.queues();
    let hosted: Vec<&Arc<Hosted>> = queues.values().flat_map(|region| region.values()).collect();
    let held: Vec<_> = hosted.iter().map(|hosted| hosted.lock()).collect();
    let mut written = log.written();
    let records = hosted.iter().zip(&held).map(|(hosted, inner)| Record::Queue(Box::new(hosted.kept(inner))));
    if let Err(error) = write(state, log, &mut written, records) {
        written.failed.get_or_insert(error.to_string());
    }
}

fn write<'a>(
    state: &State,
    log: &Log,
    written: &mut Written,
    queues: impl Iterator<Item = Record<&'a super::super::Served>>,
) -> io::Result<()> {
    let new = beside(&log.file, "new");
    let mut to = BufWriter::new(File::create(&new)?);
    let began = Began {
        version: VERSION,
        seed: state.tickets.seed(),
        epoch: state.epoch,
        at: state.clock.now(),
        account: state.account.clone(),
        next: state.next(),
    };
    let in_transit = Record::InTransit(written.in_transit.clone());
    for record in [Record::Began(began)].into_iter().chain(queues).chain([in_transit]) {
        serde_json::to_writer(&mut to, &record)?;
        to.write_all(b"\n")?;
    }
    let to = to.into_inner().map_err(|error| error.into_error())?;
    to.sync_data()?;
    fs::rename(&new, &log.file)?;
    #[cfg(unix)]
    sync_folder(&log.file)?;
    let bytes = to.metadata()?.len();
    // What waits to be written is in the picture.
    written.buffer.clear();
    (written.to, written.picture, written.bytes) = (Some(to), bytes, bytes);
    Ok(())
}

/// A file's name is on the disk once its folder is.
#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
