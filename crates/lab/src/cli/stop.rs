//! Ctrl-C: the first ends a command with what it has, the second at once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use crate::processes::LocalError;

/// 128 + SIGINT, as shells count.
pub(super) const STOPPED: u8 = 130;

/// Waits until the run is told to stop, and says so. Told once more, this program ends at once, and its processes with it.
pub(super) async fn stopping(stopped: impl FnOnce()) {
    told_to_stop().await;
    stopped();
    eprintln!("twinscale: told to stop: what there is follows; once more ends it at once, without");
    tokio::spawn(async {
        told_to_stop().await;
        std::process::exit(STOPPED.into());
    });
}

/// Becomes true when this program is told to stop, as [`stopping`] does. It lives as long as the program.
pub(super) fn stop_flag() -> Result<&'static AtomicBool, CommandError> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let broken = |error| CommandError::Local(LocalError::from(error));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            stopping(|| STOP.store(true, Ordering::Relaxed)).await;
            std::future::pending::<()>().await;
        });
    });
    Ok(&STOP)
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM.
pub(super) async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
