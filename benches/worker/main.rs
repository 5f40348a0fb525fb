//! The worker beside a hand-written loop (receive 10, delete 10) on the same SDK, and beside what people use, where it
//! is set up (`benches/peers/setup.sh`): messages per second, CPU per message, peak memory, requests per message.
//!
//! Every program is a process of its own and is measured from outside, from the first receive to the last delete,
//! against an embedded queue in another process, with the network's latency put in front. Programs take turns, and the
//! ratios are medians over the rounds, since they travel between machines, and through a noisy hour, better than seconds.
//!
//! `cargo bench --bench worker`, or a part of it with `-- peers` or `-- idle`; `ROUNDS` (5), `MESSAGES` (60,000 at the
//! most a run) and `IDLE_SECS` (60) set how long it takes.
#![allow(unreachable_pub)]

mod floor;
mod idle;
mod measured;
mod network;
mod peers;
mod service;

use std::time::Duration;

use measured::{Figures, Program, median};
use service::Service;

/// Hand-written loops that run at once, whatever the worker's concurrency is.
const LOOPS: usize = 16;
const CONCURRENCIES: [usize; 3] = [10, 100, 1000];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => service::serve().await,
        ["loop", queue, loops] => floor::run(queue, loops.parse().expect("a number")).await,
        ["idle"] => idle::measure().await,
        ["peers"] => compare_peers(setting("ROUNDS", 3), setting("MESSAGES", 20_000)).await,
        _ => {
            compare(setting("ROUNDS", 5), setting("MESSAGES", 60_000)).await;
            compare_peers(setting("ROUNDS", 5).min(3), setting("MESSAGES", 60_000).min(20_000)).await;
            idle::measure().await;
        }
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The worker at each concurrency beside sixteen loops, and beside as many as hold the same number of messages.
async fn compare(rounds: usize, most: usize) {
    println!("worker, and how many times the loops' figure that is: medians of {rounds} rounds");
    println!("latency  concurrency  loops | {}", Figures::HEADINGS);
    for latency in [Duration::ZERO, Duration::from_millis(10)] {
        let mut service = Service::start(latency).await;
        let mut seen: Vec<[Vec<(Figures, Figures)>; 2]> = CONCURRENCIES.map(|_| Default::default()).to_vec();
        for _ in 0..rounds {
            for (concurrency, seen) in CONCURRENCIES.into_iter().zip(&mut seen) {
                // What is in hand bounds the speed at a distance, so few messages last as long as many.
                let messages = if latency.is_zero() { most } else { most.min(concurrency * 500) };
                let worker = measured::run(&mut service, &Program::worker(concurrency), messages).await;
                for (loops, seen) in [LOOPS, concurrency / 10].into_iter().zip(seen) {
                    let by_hand = measured::run(&mut service, &Program::by_hand(loops), messages).await;
                    seen.push((worker, by_hand));
                }
            }
        }
        for (concurrency, seen) in CONCURRENCIES.into_iter().zip(&seen) {
            for (loops, pairs) in [LOOPS, concurrency / 10].into_iter().zip(seen) {
                println!("{latency:>7.0?} {concurrency:>12} {loops:>6} | {}", Figures::row(pairs));
            }
        }
    }
}

/// The worker, at a concurrency of 100, beside other consumers with sixteen receives at once.
async fn compare_peers(rounds: usize, messages: usize) {
    println!("\nworker (concurrency 100), and how many times a peer's figure that is: medians of {rounds} rounds");
    let (found, left_out) = peers::installed();
    for latency in [Duration::ZERO, Duration::from_millis(10)] {
        let mut service = Service::start(latency).await;
        let mut seen: Vec<Vec<(Figures, Figures)>> = vec![Vec::new(); found.len()];
        for _ in 0..rounds {
            let worker = measured::run(&mut service, &Program::worker(100), messages).await;
            for (peer, seen) in found.iter().zip(&mut seen) {
                seen.push((worker, measured::run(&mut service, peer, messages).await));
            }
        }
        for (peer, pairs) in found.iter().zip(&seen) {
            let theirs = median(pairs.iter().map(|(_, peer)| peer.rate));
            println!("{latency:>7.0?} {:>19} | {} | {theirs:.0}/s", peer.name, Figures::row(pairs));
        }
    }
    for name in left_out {
        println!("left out, as it is not set up (benches/peers/setup.sh): {name}");
    }
}
