//! Waits where no connection can be accepted: accepting again at once would be a spin.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

/// Descriptors come back as connections end: at once, when many clients have gone, so the first wait is short.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// Each wait is twice as long, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The next connection.
pub(super) async fn next<C, F: Future<Output = io::Result<C>>>(mut accept: impl FnMut() -> F) -> C {
    let mut wait = FIRST_WAIT;
    loop {
        match accept().await {
            Ok(connection) => return connection,
            // Out of descriptors, most likely.
            Err(_) => {
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_out_of_descriptors_tries_about_once_a_second_and_serves_once_there_are_some() {
        const EMFILE: i32 = 24;
        let began = tokio::time::Instant::now();
        let mut attempts = 0;
        next(|| {
            attempts += 1;
            let none = began.elapsed() < Duration::from_secs(60);
            std::future::ready(if none { Err(io::Error::from_raw_os_error(EMFILE)) } else { Ok(()) })
        })
        .await;
        assert!((60..70).contains(&attempts), "{attempts}");
    }
}
