//! What the page asks for: itself, a run of what is turned, and the settings as files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::compare::Overrides;
use super::super::patches::Patches;
use super::loopback;
use crate::advise::{FilePatch, Goal, patch};
use crate::explore::{Beginning, Explored, KNOBS, Part, Positions, Turned, WrongSetting, explored, not_written};
use crate::report::html::{self, Standing, View};
use crate::target::TargetKind;

/// What is served.
pub(super) struct Page {
    /// Where visitors begin.
    pub beginning: Beginning,
    /// The flags that it began with: the files that patches are of.
    pub overrides: Overrides,
    /// What has to be met.
    pub goal: Option<Goal>,
}

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// What is turned, and how much of it to simulate.
#[derive(Deserialize)]
struct Asked {
    values: Positions,
    #[serde(default = "quick")]
    part: Part,
}

fn quick() -> Part {
    Part::Quick
}

/// A run of what was turned.
#[derive(Serialize)]
struct Redrawn {
    /// Knobs that have no meaning now.
    hidden: Vec<&'static str>,
    /// What the knobs stand at.
    values: serde_json::Map<String, serde_json::Value>,
    /// Messages of the load.
    messages: u64,
    /// For each simulated message there are so many.
    factor: f64,
    /// How long the simulation took, and writing what is drawn.
    simulated_ms: f64,
    written_ms: f64,
    /// What `twinscale.show` takes.
    state: Box<RawValue>,
}

/// The settings as changes of files.
#[derive(Serialize)]
struct Patched {
    patches: Vec<FilePatch>,
    /// What the patches leave as it is.
    left: Vec<String>,
}

/// Somebody waits for an answer; true once nobody does.
#[derive(Default)]
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why there is no answer.
enum Unanswered {
    /// Settings that cannot be.
    Mistaken(Vec<WrongSetting>),
    /// Something else.
    Broken(String),
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        match self {
            Self::Mistaken(mistakes) => (StatusCode::UNPROCESSABLE_ENTITY, Json(mistakes)).into_response(),
            Self::Broken(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
        }
    }
}

/// The routes, for visitors on this machine.
pub(super) fn router(page: Arc<Page>, port: u16) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/simulate", post(simulate))
        .route("/scenario", post(scenario))
        .route("/patches", post(patches))
        .layer(axum::middleware::from_fn_with_state(port, loopback::only))
        .with_state(page)
}

async fn whole(State(page): State<Arc<Page>>) -> Result<Html<String>, Unanswered> {
    let turned = page.turned(&Positions::new())?;
    let (turned, Explored { run, .. }) = played(turned, Part::Quick).await?;
    let knobs = serde_json::json!({
        "knobs": KNOBS,
        "values": page.beginning.values(),
        "choices": page.beginning.choices(),
        "hidden": turned.hidden,
    });
    // Inside a script element, only `</` and `<!--` could end or change it.
    let knobs = knobs.to_string().replace('<', "\\u003c");
    let controls = format!(
        "<style>{STYLE}</style><h2>Settings</h2><p id=\"redrawn\" role=\"status\" class=\"soft\"></p><form id=\"knobs\"></form>\
         <script type=\"application/json\" id=\"knobs-data\">{knobs}</script>"
    );
    let view = View { goal: page.goal, ..View::of(std::slice::from_ref(&run), &turned.prices) };
    Ok(Html(html::served_page(view, controls, SCRIPT)))
}

async fn simulate(State(page): State<Arc<Page>>, Json(asked): Json<Asked>) -> Result<Json<Redrawn>, Unanswered> {
    let turned = page.turned(&asked.values)?;
    let began = Instant::now();
    let (turned, Explored { run, factor }) = played(turned, asked.part).await?;
    let simulated = began.elapsed();
    let view = View { goal: page.goal, ..View::of(std::slice::from_ref(&run), &turned.prices) };
    let state = html::state(view, Standing::Finished);
    let state = RawValue::from_string(state).map_err(|error| Unanswered::Broken(error.to_string()))?;
    let written = began.elapsed() - simulated;
    let [simulated_ms, written_ms] = [simulated, written].map(|time| (time.as_secs_f64() * 1e4).round() / 10.0);
    let messages = turned.scenario.messages;
    let Turned { hidden, values, .. } = turned;
    Ok(Json(Redrawn { hidden, values, messages, factor, simulated_ms, written_ms, state }))
}

/// Plays on the threads that may block, until it is done or nobody waits: a request that its page gave up is dropped.
async fn played(turned: Turned, part: Part) -> Result<(Turned, Explored), Unanswered> {
    let waiting = Waiting::default();
    let abandoned = waiting.0.clone();
    let task = tokio::task::spawn_blocking(move || {
        let explored = explored(&turned, part, &abandoned);
        (turned, explored)
    });
    task.await.map_err(|error| Unanswered::Broken(error.to_string()))
}

async fn scenario(State(page): State<Arc<Page>>, Json(asked): Json<Asked>) -> Result<String, Unanswered> {
    let turned = page.turned(&asked.values)?;
    toml::to_string(&turned.scenario).map_err(|error| Unanswered::Broken(error.to_string()))
}

async fn patches(State(page): State<Arc<Page>>, Json(asked): Json<Asked>) -> Result<Json<Patched>, Unanswered> {
    let wanted = page.turned(&asked.values)?.scenario;
    let broken = |error: &dyn std::fmt::Display| Unanswered::Broken(error.to_string());
    let mut all = Patches::default();
    let mut left = Vec::new();
    for target in TargetKind::all() {
        all.put(&page.overrides, *target, &wanted, false).map_err(|error| broken(&error))?;
        for kind in patch::files(*target) {
            for made in &all.made {
                left.extend(not_written(*kind, &made.file, &made.after, &wanted, &page.overrides.given));
            }
        }
    }
    left.extend(all.left.iter().map(ToString::to_string));
    left.sort_unstable();
    left.dedup();
    all.made.retain(|patch| patch.before != patch.after);
    let patches = all.made.iter().map(|patch| FilePatch { file: patch.file.clone(), diff: patch.diff() }).collect();
    Ok(Json(Patched { patches, left }))
}

impl Page {
    fn turned(&self, values: &Positions) -> Result<Turned, Unanswered> {
        self.beginning.turned(values).map_err(Unanswered::Mistaken)
    }
}
