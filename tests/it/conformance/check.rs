//! Whether each message has ended where its case says: by the queue's own events, and by what the handlers wrote.

use std::time::Duration;

use serde_json::Value;
use twinscale::unstable::queue::REJECT_REASON;
use twinscale_sqs::server::Event;

use super::case::{Case, End, Host, Told};
use super::process::name;
use super::rig::{Kind, Line, Noted, Rig};

/// A quarter of the shortest lease. A machine with a processor to spare is late by a few milliseconds.
const LATE: Duration = Duration::from_millis(250);

/// `late`: how late the machine was at its worst. Beyond [`LATE`] leases and calls may end by that alone: how often handlers
/// began is judged no more then, and everything else is.
pub async fn check(case: &Case, host: Host, kind: Kind, rig: &Rig, late: Duration) -> Result<(), String> {
    let in_time = late < LATE;
    if !in_time {
        eprintln!("{}: the machine was {late:?} late: more handlings than told are no fault", case.name);
    }
    let events = rig.events();
    let lines = rig.lines();
    let dead = rig.dead_letters().await;
    let mut wrong = Vec::new();
    for (number, told) in case.messages.iter().enumerate() {
        let message = format!("m{number}");
        let began = began(&lines, &message);
        let times = told.times(host);
        if began < *times.start() || (in_time && began > *times.end()) {
            wrong.push(format!("{message} was handled {began} times, not {times:?}"));
        }
        wrong.extend(ended(&message, told, &told.body(number), &events, &lines, &dead));
        let delivered =
            |(_, dead, name, event): &&Noted| !dead && *name == message && matches!(event, Event::Delivered { .. });
        let given_out = events.iter().filter(delivered).count();
        if given_out < told.given_out {
            wrong.push(format!("{message} was given out {given_out} times, not {} or more", told.given_out));
        }
        // The first of a FIFO group waits where it is, unless time is up.
        if let Some(hidden) = told.hidden.as_ref().filter(|_| kind == Kind::Standard || case.time_is_up) {
            let set = first_hidden(&message, &events);
            if !set.is_some_and(|set| hidden.contains(&set.as_secs())) {
                wrong.push(format!("{message} was hidden for {set:?}, not {hidden:?} seconds"));
            }
        }
    }
    let began = lines.iter().filter(|line| line.0 == "began").count();
    if case.total.is_some_and(|total| began < total || (in_time && began > total)) {
        wrong.push(format!("{began} handlers began, not {:?}", case.total));
    }
    if kind == Kind::Fifo {
        wrong.extend(out_of_order(case, &lines));
    }
    let counts = rig.counts();
    if counts.visible + counts.in_flight + counts.delayed > 0 {
        wrong.push(format!("{counts:?} are left"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n  handlers: {lines:?}\n  proxy: {:?}", wrong.join("; "), rig.proxy.tally()))
}

/// How often the message's handler began.
pub fn began(lines: &[Line], message: &str) -> usize {
    lines.iter().filter(|line| line.0 == "began" && line.1 == message).count()
}

fn ended(message: &str, told: &Told, sent: &str, events: &[Noted], lines: &[Line], dead: &[Value]) -> Option<String> {
    let deleted = events.iter().filter(|(_, dead, name, event)| !dead && name == message && *event == Event::Deleted);
    let letters: Vec<_> =
        dead.iter().filter(|letter| letter["Body"].as_str().is_some_and(|body| name(body) == message)).collect();
    let finished = lines.iter().any(|line| line.1 == message && line.0 == "done");
    let as_told = match told.end {
        End::Deleted => letters.is_empty() && finished,
        End::Dead => {
            // As it was sent, so that it can be moved back.
            let as_sent = |letter: &&Value| {
                let reason = letter["MessageAttributes"][REJECT_REASON]["StringValue"].as_str();
                letter["Body"] == sent && reason.is_some_and(|reason| reason.starts_with(told.reason))
            };
            letters.len() == 1 && letters.iter().all(as_sent) && !finished
        }
    };
    // A rejected message is deleted too, once the dead-letter queue has it.
    let deleted = deleted.count();
    (!as_told || deleted != 1).then(|| {
        format!("{message} is not {:?}: deleted {deleted} times, done: {finished}, dead letters: {letters:?}", told.end)
    })
}

fn first_hidden(message: &str, events: &[Noted]) -> Option<Duration> {
    events.iter().find_map(|(_, dead, name, event)| match event {
        Event::Visibility(hidden) if !dead && name == message => Some(*hidden),
        _ => None,
    })
}

/// In a group, no handler begins before all messages ahead of it have been done, were rejected or have used up their receives.
fn out_of_order(case: &Case, lines: &[Line]) -> Vec<String> {
    let number = |line: &Line| line.1.trim_start_matches('m').parse::<usize>().expect("m and a number");
    let mut wrong = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.0 == "began") {
        let this = number(line);
        let settled = |ahead: usize| {
            let of_it = || lines[..at].iter().filter(|line| number(line) == ahead);
            let failures = of_it().filter(|line| line.0 == "retry" || line.0 == "panic").count();
            of_it().any(|line| line.0 == "done" || line.0 == "reject") || failures >= case.max_receives as usize
        };
        let same = |ahead: &usize| case.messages[*ahead].group == case.messages[this].group;
        // What no handler sees leaves no line either.
        let ahead = (0..this).filter(|ahead| same(ahead) && case.messages[*ahead].handled != (0..=0));
        wrong
            .extend(ahead.filter(|ahead| !settled(*ahead)).map(|ahead| format!("m{this} began before m{ahead} ended")));
    }
    let of_g = |line: &&Line| line.0 == "began" && case.messages[number(line)].group == "g";
    let order: Vec<_> = lines.iter().filter(of_g).map(number).collect();
    if !case.order.is_empty() && order != case.order {
        wrong.push(format!("group g began in the order {order:?}, not {:?}", case.order));
    }
    wrong
}
