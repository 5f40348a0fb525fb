//! A service of one's own, as a new user comes by it: `twinscale new`, its own test, and `compare` that runs it on both
//! targets against a warehouse that is busy at first for some orders.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

use crate::local::the_machine;

/// How often each order was asked for.
type Asked = Arc<Mutex<HashMap<u64, u32>>>;

/// Orders from 1000 on are answered 503 the first time that a target asks for them: every other time.
async fn reserve(State(asked): State<Asked>, Json(order): Json<Value>) -> StatusCode {
    let id = order["id"].as_u64().expect("an order has an id");
    let mut asked = asked.lock().expect("no panic");
    let times = asked.entry(id).or_default();
    *times += 1;
    if id >= 1000 && *times % 2 == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

async fn warehouse() -> (String, Asked) {
    let asked = Asked::default();
    let router = Router::new().route("/reservations", post(reserve)).with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

/// 180 good orders, 10 that do not parse, 10 that are answered 503 once.
fn bodies() -> String {
    let mut bodies = String::new();
    for id in (0..180).chain(1000..1010) {
        writeln!(bodies, r#"{{"id":{id},"item":"tea"}}"#).expect("a string takes it");
    }
    for number in 0..10 {
        writeln!(bodies, "no order {number}").expect("a string takes it");
    }
    bodies
}

async fn run(mut command: Command) -> std::process::Output {
    let running = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
    let output = running.await.expect("no panic");
    let said = || (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {:?}", output.status, said());
    output
}

/// The project's tests and program are built into a folder beside those of this test, so that a second run is quick.
fn cargo(project: &Path, arguments: &[&str]) -> Command {
    let target = crate::twinscale().parent().and_then(Path::parent).expect("target/PROFILE/twinscale").join("own");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(project).env("CARGO_TARGET_DIR", target);
    cargo
}

#[tokio::test]
async fn a_service_of_ones_own_is_tested_compared_and_simulated() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("orders");
    let mut new = Command::new(crate::twinscale());
    new.args(["new", project.to_str().expect("UTF-8"), "--library", env!("CARGO_MANIFEST_DIR")]);
    run(new).await;
    run(cargo(&project, &["test"])).await;
    run(cargo(&project, &["build"])).await;
    let service = crate::twinscale().parent().and_then(Path::parent).expect("target").join("own/debug/orders");

    let _machine = the_machine().await;
    let (warehouse, asked) = warehouse().await;
    let file = folder.path().join("bodies.jsonl");
    std::fs::write(&file, bodies()).expect("written");
    let out = folder.path().join("out");
    let mut compare = Command::new(crate::twinscale());
    compare.args(["compare", "--speed", "1", "--service"]).arg(&service).arg("--bodies").arg(&file);
    compare.arg("--env").arg(format!("WAREHOUSE_URL={warehouse}")).arg("--out").arg(&out);
    run(compare).await;

    let run_json = std::fs::read_to_string(out.join("run.json")).expect("run.json was written");
    let result: Value = serde_json::from_str(&run_json).expect("JSON");
    for target in ["eks", "lambda"] {
        let target = &result["targets"][target];
        let messages = &target["messages"];
        let counted =
            ["sent", "done", "rejected", "retried", "duplicates", "lost"].map(|field| messages[field].as_u64());
        assert_eq!(counted, [200, 190, 10, 10, 0, 0].map(Some), "{messages}");
        assert_eq!(target["attempts"], serde_json::json!({ "handled": 210, "retries": 10, "rejects": 10 }));
        let times = target["handler_seconds_histogram"].as_array().expect("times were measured");
        assert_eq!(times.iter().filter_map(|bucket| bucket["count"].as_u64()).sum::<u64>(), 210);
    }
    // Each target asks once for a good order, twice for one that was answered 503, and never for what does not parse.
    let asked = asked.lock().expect("no panic").clone();
    assert_eq!(asked.len(), 190);
    assert!(asked.iter().all(|(id, times)| *times == if *id >= 1000 { 4 } else { 2 }), "{asked:?}");
    // Where its value went, nobody can read it.
    assert!(run_json.contains("WAREHOUSE_URL") && !run_json.contains(&warehouse));

    let simulated = folder.path().join("simulated");
    let mut simulate = Command::new(crate::twinscale());
    simulate.args(["compare", "--engine", "simulated", "--handler-times"]).arg(out.join("run.json"));
    simulate.arg("--out").arg(&simulated);
    run(simulate).await;
    let simulated = std::fs::read_to_string(simulated.join("run.json")).expect("run.json was written");
    let simulated: Value = serde_json::from_str(&simulated).expect("JSON");
    let work = &simulated["scenario"]["work"];
    assert!((work["reject_share"].as_f64().expect("a share") - 10.0 / 210.0).abs() < 1e-9, "{work}");
    assert!(work["wait"].as_str().expect("a wait").starts_with("empirical:"), "{work}");
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_with_the_flag_to_change() {
    let program = crate::twinscale().to_str().expect("UTF-8");
    for (arguments, advice) in [
        (vec!["--service", program, "--body", "{n}", "--speed", "2"], "--speed 2"),
        (vec!["--service", "no/such/program", "--body", "{n}"], "no/such/program"),
        (vec!["--service", program, "--bodies", "no/such/file"], "no/such/file"),
        (vec!["--service", program], "service.bodies"),
        (vec!["--worker", program, "--body", "{n}"], "--function"),
        (vec!["--bodies", "x.jsonl"], "--service"),
        (vec!["--service", program, "--body", "{n}", "--env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
        (vec!["--service", program, "--body", "{n}", "--env", "QUEUE_URL=other"], "QUEUE_URL"),
        (vec!["--service", program, "--body", "{n}", "--engine", "simulated"], "--handler-times"),
    ] {
        let mut compare = Command::new(crate::twinscale());
        compare.arg("compare").args(&arguments);
        let output = tokio::task::spawn_blocking(move || compare.output().expect("it starts")).await.expect("no panic");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!([Some(64), Some(2)].contains(&output.status.code()), "{arguments:?}: {}: {said}", output.status);
        assert!(said.contains(advice), "{arguments:?}: {said}");
    }
}
