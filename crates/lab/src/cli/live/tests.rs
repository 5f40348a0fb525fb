//! Viewers of a live page, as plain HTTP clients over loopback.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use super::*;
use crate::cost::prices;
use crate::processes::ledger::Tally;
use crate::run::{Decision, Flow, Sample};
use twinscale_scaling::{Reason, Scaler};

/// Longer than any wait here takes, so that a mistake fails instead of hanging.
const BOUND: Duration = Duration::from_secs(60);

async fn bounded<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, wait).await.expect("it came within the bound")
}

struct Viewer(Lines<BufReader<TcpStream>>);

impl Viewer {
    async fn of(live: &Live) -> Self {
        let mut stream = TcpStream::connect(live.address).await.expect("it listens");
        stream.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
        Self(BufReader::new(stream).lines())
    }

    /// The next event: its name, and its state.
    async fn next(&mut self) -> (String, serde_json::Value) {
        let mut name = String::new();
        loop {
            let line = bounded(self.0.next_line()).await.expect("readable").expect("the stream goes on");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// The last event of the stream.
    async fn last(&mut self) -> serde_json::Value {
        loop {
            if let (name, state) = self.next().await
                && name == "done"
            {
                return state;
            }
        }
    }
}

async fn page(live: &Live) -> String {
    let mut stream = TcpStream::connect(live.address).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut page = String::new();
    bounded(stream.read_to_string(&mut page)).await.expect("readable");
    page
}

async fn live() -> Live {
    let scenario = Scenario { messages: 10, ..Scenario::default() };
    let prices = prices::read(None).expect("built in");
    Live::start(0, &scenario, &processes::Options::default(), Terms { prices, goal: None }).await.expect("a free port")
}

fn progress(done: u64) -> Progress {
    let t = done as f64;
    let decision = Decision {
        t,
        from: 1,
        to: 2,
        by: Scaler::Hpa.into(),
        reason: Some(Reason::ScaleUpLimit),
        detail: format!("look {done}"),
    };
    Progress {
        target: TargetKind::Eks,
        messages: 10,
        tally: Tally { sent: 10, done, ..Tally::default() },
        capacity: 2,
        now: Duration::from_secs(done),
        flow: Flow::default(),
        samples: vec![Sample { t, visible: 10 - done, in_flight: 0, capacity: 2 }],
        decisions: vec![decision],
    }
}

#[tokio::test]
async fn every_viewer_follows_to_the_end_whoever_goes_away_or_reloads_in_between() {
    let mut live = live().await;
    assert!(live.address.ip().is_loopback(), "{}", live.address);
    let mut stays = Viewer::of(&live).await;
    let mut leaves = Viewer::of(&live).await;
    assert_eq!((stays.next().await.0, leaves.next().await.0), ("state".to_owned(), "state".to_owned()));
    live.show(&progress(1));
    let (_, state) = stays.next().await;
    assert!(state["sections"]["summary"].as_str().expect("text").contains("1 <small>of 10 done</small>"), "{state}");
    assert!(state["data"]["pictures"][3]["lane"][0]["tip"].as_str().expect("a mark").contains("look 1"));
    drop(leaves);
    live.last_told = None;
    live.show(&progress(2));
    assert!(stays.next().await.1.to_string().contains("look 2"), "a viewer who went away takes nobody along");
    let reloaded = page(&live).await;
    assert!(reloaded.contains("look 1") && reloaded.contains("look 2"), "a reload has all that was before it");
    assert!(reloaded.contains("\"live\":true"), "and goes on following");
    let mut late = Viewer::of(&live).await;
    assert!(late.next().await.1.to_string().contains("look 1"), "so has a viewer who comes late");
    // One who never reads must not keep the others from their report.
    let _silent = Viewer::of(&live).await;
    let mut finished = live.run.clone();
    finished.warnings.push("this is the end".to_owned());
    let ends = async { (stays.last().await, late.last().await) };
    let (_, (first, second)) = tokio::join!(live.finish(&finished), ends);
    for state in [first, second] {
        assert!(state["sections"]["words"].to_string().contains("this is the end"), "the whole report comes last");
        assert_eq!(state["data"]["live"], false);
        assert!(state["sections"]["pictures"].is_string(), "with the last captions");
    }
}

#[tokio::test]
async fn telling_is_limited_and_the_latest_state_wins() {
    let mut live = live().await;
    let mut viewer = Viewer::of(&live).await;
    viewer.next().await;
    (0..10).for_each(|done| live.show(&progress(done)));
    let (_, state) = viewer.next().await;
    assert!(state["sections"]["summary"].to_string().contains("of 10 done"));
    let finished = live.run.clone();
    let (_, last) = tokio::join!(live.finish(&finished), viewer.last());
    assert!(last.to_string().contains("look 9"));
}
