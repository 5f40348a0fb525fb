//! `--live`: the report's page on loopback while the run goes on, over server-sent events.
//!
//! Every event carries the whole state, and a viewer gets the latest one at once: so several viewers, one that goes
//! away and one that reloads need no care at all.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{Stream, unfold};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::advise::Goal;
use crate::cost::Prices;
use crate::processes::{self, Progress};
use crate::report::html::{self, Standing, View};
use crate::run::{Engine, Run, SCHEMA, Target};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// How often viewers hear of the run.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How long viewers have to take the finished report.
const FAREWELL: Duration = Duration::from_secs(5);

/// What viewers see: the run so far, and whether that is all.
type Seen = (Run, bool);

/// What the run is held to.
pub(super) struct Terms {
    pub prices: Prices,
    pub goal: Option<Goal>,
}

impl Terms {
    fn view<'a>(&'a self, run: &'a Run) -> View<'a> {
        View { goal: self.goal, ..View::of(std::slice::from_ref(run), &self.prices) }
    }
}

/// A page that follows a run.
pub(super) struct Live {
    told: watch::Sender<Seen>,
    run: Run,
    last_told: Option<Instant>,
    server: JoinHandle<io::Result<()>>,
    /// Where the page is.
    pub address: SocketAddr,
}

impl Live {
    /// Serves on loopback; port 0 takes a free one. The page has a place for each target that will run.
    pub(super) async fn start(
        port: u16,
        scenario: &Scenario,
        options: &processes::Options,
        terms: Terms,
    ) -> io::Result<Self> {
        let place = |kind: &TargetKind| {
            let in_host_concurrency = kind.in_host_concurrency(scenario);
            (*kind, Target { in_host_concurrency, ..Target::default() })
        };
        let run = Run {
            schema: SCHEMA.to_owned(),
            engine: Engine::Local,
            scenario: scenario.clone(),
            speed: Some(options.speed),
            targets: options.targets.iter().map(place).collect(),
            uncertainty: None,
            warnings: Vec::new(),
        };
        let (told, seen) = watch::channel((run.clone(), false));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let terms = Arc::new(terms);
        let for_states = terms.clone();
        let for_page = seen.clone();
        let for_events = seen.clone();
        let mut for_end = seen;
        let app = Router::new()
            .route("/", get(move || std::future::ready(page(&for_page, &terms))))
            .route("/events", get(move || std::future::ready(events(for_events.clone(), for_states.clone()))));
        let end = async move {
            // An error means that the run was dropped: there is nothing more to show either way.
            let _ = for_end.wait_for(|(_, finished)| *finished).await;
        };
        let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(end).into_future());
        Ok(Self { told, run, last_told: None, server, address })
    }

    /// Takes down how far a target is, and tells the viewers if it is time.
    pub(super) fn show(&mut self, progress: &Progress) {
        let Progress { target, tally, capacity, .. } = *progress;
        let shown = self.run.targets.entry(target);
        shown.messages.sent = tally.sent;
        shown.messages.done = tally.done;
        shown.messages.rejected = tally.rejected;
        shown.peak_capacity = shown.peak_capacity.max(capacity);
        shown.flow = Some(progress.flow.clone());
        shown.samples.extend(&progress.samples);
        shown.decisions.extend(progress.decisions.iter().cloned());
        if self.last_told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.last_told = Some(Instant::now());
            self.told.send_replace((self.run.clone(), false));
        }
    }

    /// Gives the viewers the finished report, and stops serving when they have it.
    pub(super) async fn finish(self, run: &Run) {
        self.told.send_replace((run.clone(), true));
        // A viewer who does not read any more must not keep the program.
        let _ = tokio::time::timeout(FAREWELL, self.server).await;
    }
}

fn page(seen: &watch::Receiver<Seen>, terms: &Terms) -> Html<String> {
    let (run, finished) = &*seen.borrow();
    let view = terms.view(run);
    Html(if *finished { html::page(view) } else { html::live_page(view) })
}

/// The latest state, each further one, and then the finished report; the stream ends with that.
fn events(seen: watch::Receiver<Seen>, terms: Arc<Terms>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = unfold((seen, true, false), move |(mut seen, first, over)| {
        let terms = terms.clone();
        async move {
            if over || (!first && seen.changed().await.is_err()) {
                return None;
            }
            let (event, finished) = {
                let (run, finished) = &*seen.borrow_and_update();
                let (name, stage) = if *finished { ("done", Standing::Finished) } else { ("state", Standing::Going) };
                (Event::default().event(name).data(html::state(terms.view(run), stage)), *finished)
            };
            Some((Ok(event), (seen, false, finished)))
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

#[cfg(test)]
mod tests;
