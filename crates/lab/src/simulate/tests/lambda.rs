use super::*;
use crate::scenario::load::Load;
use crate::scenario::{Lambda, Managed};
use twinscale_scaling::event_source::{MappingSettings, Provisioned};
use twinscale_scaling::{Reason, Scaler};

fn function(change: impl FnOnce(&mut Scenario)) -> Target {
    let mut scenario = article();
    change(&mut scenario);
    run_lambda(&scenario.checked().expect("a good scenario"))
}

#[test]
fn reserved_concurrency_throttles_and_raises_receive_counts_until_messages_are_dead_letters() {
    let reserved = |reserved, max_receive_count| {
        function(|s| {
            (s.messages, s.lambda.visibility_timeout) = (3000, Duration::from_secs(30));
            (s.lambda.reserved_concurrency, s.queue.max_receive_count) = (Some(reserved), max_receive_count);
        })
    };
    let free = reserved(900, 1);
    assert_eq!((free.messages.done, free.messages.rejected), (3000, 0));
    let throttled = reserved(2, 3);
    assert!(throttled.peak_capacity == 2, "{}", throttled.peak_capacity);
    let messages = &throttled.messages;
    assert!(messages.rejected > 100, "nothing failed, and still there are dead letters: {messages:?}");
    assert_eq!((messages.done + messages.rejected, messages.lost), (3000, Some(0)));
}

#[test]
fn an_account_runs_so_many_executions_and_no_more() {
    let peak = |account| {
        function(|s| (s.messages, s.lambda.account_concurrency, s.limit) = (20_000, account, Duration::from_secs(1200)))
            .peak_capacity
    };
    assert_eq!(peak(50), 50);
    assert!(peak(1000) > 300);
}

#[test]
fn a_thousand_environments_start_in_ten_seconds_and_no_more() {
    // 300 pollers of 10 batches from the start: 3,000 invocations are wanted at once.
    let target = function(|s| {
        (s.messages, s.lambda.account_concurrency) = (60_000, 10_000);
        s.work.wait = "constant:12s".parse().expect("a wait");
        (s.lambda.timeout, s.lambda.visibility_timeout) = (Duration::from_secs(300), Duration::from_secs(1800));
        let provisioned = Some(Provisioned { minimum_pollers: 200, maximum_pollers: 200 });
        s.lambda.mapping = MappingSettings { provisioned, ..s.lambda.mapping.clone() };
    });
    let at = |t: f64| target.samples.iter().find(|s| s.t >= t).map_or(0, |s| s.capacity);
    assert!((1000..=1101).contains(&at(1.0)), "{}", at(1.0));
    assert!((1800..=2000).contains(&at(9.0)), "refilled continuously: {}", at(9.0));
    assert_eq!(target.peak_capacity, 2000);
}

#[test]
fn a_deployment_starts_every_environment_anew() {
    let cold = |every: u64| {
        let target = function(|s| {
            s.load = Load::Steady { rate: 20.0 };
            (s.messages, s.lambda.deploy_every) = (4000, Duration::from_secs(every));
        });
        assert_eq!(target.messages.done, 4000);
        target.usage.cold_starts.expect("counted")
    };
    let none = cold(0);
    let three = cold(50);
    assert!(three > 3 * none, "{none} {three}");
}

#[test]
fn a_deployment_lets_a_mapping_exceed_its_maximum_by_some_percent_for_moments() {
    let peak = |every: u64| {
        let target = function(|s| {
            s.load = Load::Steady { rate: 400.0 };
            (s.messages, s.limit) = (160_000, Duration::from_secs(400));
            s.work.wait = "constant:200ms".parse().expect("a wait");
            s.lambda.deploy_every = Duration::from_secs(every);
            s.lambda.mapping =
                MappingSettings { batch_size: 1, maximum_concurrency: Some(60), ..s.lambda.mapping.clone() };
        });
        target.peak_capacity
    };
    assert_eq!(peak(0), 60);
    let overshot = peak(40);
    assert!((61..=90).contains(&overshot), "{overshot}");
}

#[test]
fn a_message_reaches_the_function_with_the_published_latency() {
    let latency = |fifo| {
        let target = function(|s| {
            s.load = Load::Steady { rate: 5.0 };
            (s.messages, s.queue.fifo, s.queue.groups) = (4000, fifo, 100);
            s.work.wait = "constant:0s".parse().expect("a wait");
            (s.lambda.placement, s.lambda.init) = (Duration::ZERO, Duration::ZERO);
            s.lambda.mapping.batch_size = 1;
        });
        target.latency_seconds.expect("done")
    };
    let near = |ours: f64, published: f64, of: f64| (ours - published).abs() <= of * published;
    // bitesizedserverless.com (2022).
    let standard = latency(false);
    let fifo = latency(true);
    assert!(near(standard.p50, 0.016, 0.1) && near(standard.p90, 0.034, 0.1), "{standard:?}");
    assert!(near(standard.p99, 0.105, 0.25), "{standard:?}");
    assert!(near(fifo.p50, 0.028, 0.1) && near(fifo.p99, 0.645, 0.25), "{fifo:?}");
}

#[test]
fn what_a_handler_throws_fails_its_whole_batch_and_the_mapping_backs_off_by_each() {
    let run = |throw_share, report| {
        function(|s| {
            (s.messages, s.limit) = (60_000, Duration::from_secs(40));
            (s.work.throw_share, s.queue.max_receive_count) = (throw_share, 1000);
            s.work.wait = "constant:50ms".parse().expect("a wait");
            s.lambda.mapping =
                MappingSettings { batch_size: 1, report_batch_item_failures: report, ..MappingSettings::default() };
        })
    };
    let invocations = |target: &Target| target.usage.invocations.expect("counted") as f64;
    let well = run(0.0, false);
    let few = run(0.01, false);
    let many = run(0.1, false);
    let reported = run(0.1, true);
    // Messages wait all the time, so the ramp goes on against the failures; with partial responses nothing slows it down.
    assert!(invocations(&few) < 0.9 * invocations(&well), "{} {}", invocations(&few), invocations(&well));
    assert!(invocations(&many) < 0.4 * invocations(&well), "{} {}", invocations(&many), invocations(&well));
    assert!(invocations(&reported) > 0.95 * invocations(&well), "{}", invocations(&reported));
    assert!(many.decisions.iter().any(|d| d.reason == Some(Reason::ErrorBackoff)));
    assert_eq!(many.messages.rejected, 0, "what was thrown at comes again");
}

#[test]
fn an_account_begins_ten_invocations_a_second_for_each_of_its_executions() {
    let target = function(|s| {
        (s.messages, s.lambda.account_concurrency) = (20_000, 50);
        s.work.wait = "constant:1ms".parse().expect("a wait");
        (s.lambda.mapping.batch_size, s.queue.max_receive_count) = (1, 1000);
    });
    // 500 a second, and a second's worth at once.
    assert!(target.drain_seconds.is_some_and(|drained| drained > 39.0), "{:?}", target.drain_seconds);
}

#[test]
fn a_standard_mapping_passes_five_megabytes_a_second_to_managed_instances() {
    let drained = |managed: bool| {
        let target = function(|s| {
            (s.messages, s.body_bytes) = (2000, 100_000);
            s.work.wait = "constant:10ms".parse().expect("a wait");
            (s.lambda.memory_mb, s.lambda.managed) = (2048, managed.then(Managed::default));
        });
        assert_eq!(target.messages.done, 2000);
        target.drain_seconds.expect("drained")
    };
    // 200 MB.
    let instances = drained(true);
    let functions = drained(false);
    assert!((39.0..45.0).contains(&instances), "{instances}");
    assert!(functions < 30.0, "{functions}");
}

#[test]
fn idle_environments_are_reclaimed() {
    let cold = |idle: u64| {
        let target = function(|s| {
            s.load = Load::OnOff { rate: 10.0, on: Duration::from_secs(10), off: Duration::from_secs(60) };
            (s.messages, s.lambda.idle_reclaim) = (400, Duration::from_secs(idle));
        });
        target.usage.cold_starts.expect("counted")
    };
    assert!(cold(30) >= 3 * cold(600), "{} {}", cold(30), cold(600));
}

#[test]
fn a_fifo_queue_has_no_more_invocations_than_groups() {
    for (groups, expected) in [(3, 3), (40, 40)] {
        let target = function(|s| {
            (s.queue.fifo, s.queue.groups, s.messages) = (true, groups, 4000);
            s.lambda.mapping.batch_size = 1;
        });
        assert!(target.peak_capacity <= expected, "{} of {groups}", target.peak_capacity);
        assert!(target.decisions.iter().all(|decision| decision.to <= expected), "{:?}", target.decisions);
        assert_eq!((target.messages.done, target.messages.duplicates), (4000, Some(0)));
    }
}

#[test]
fn low_traffic_may_keep_a_batch_beyond_its_window() {
    let p50 = |wait: u64, rate| {
        let target = function(|s| {
            s.load = Load::Steady { rate };
            s.messages = 60;
            s.work.wait = "constant:10ms".parse().expect("a wait");
            s.lambda.low_traffic_wait = Duration::from_secs(wait);
            s.lambda.mapping =
                MappingSettings { batch_size: 100, window: Duration::from_secs(2), ..s.lambda.mapping.clone() };
        });
        target.latency_seconds.expect("done").p50
    };
    let window = p50(0, 0.02);
    let low = p50(20, 0.02);
    assert!((2.0..2.5).contains(&window) && (20.0..20.5).contains(&low), "{window} {low}");
    assert!(p50(20, 5.0) < 3.0, "with the next message it goes");
}

#[test]
fn a_function_that_runs_into_its_timeout_fails_its_whole_batch_and_the_mapping_backs_off() {
    let run = |margin| {
        function(|s| {
            (s.messages, s.lambda.timeout, s.lambda.deadline_margin) = (2000, Duration::from_secs(18), margin);
            s.lambda.mapping.report_batch_item_failures = false;
            s.queue.max_receive_count = 100;
        })
    };
    let failing = run(Duration::ZERO);
    assert!(failing.messages.duplicates.is_some_and(|n| n > 1000), "{:?}", failing.messages);
    assert!(failing.decisions.iter().any(|d| d.reason == Some(Reason::ErrorBackoff)));
    assert_eq!((failing.messages.done, failing.messages.lost), (2000, Some(0)));
}

#[test]
fn without_partial_responses_failed_messages_are_deleted_with_the_rest() {
    let retried = |report| {
        let target = function(|s| {
            (s.work.retry_share, s.lambda.mapping.report_batch_item_failures) = (0.5, report);
        });
        target.usage.invocations.expect("counted")
    };
    assert!(retried(true) > retried(false), "a success deletes all: nothing comes back");
    let deleted = function(|s| {
        s.work.retry_share = 0.5;
        s.lambda.mapping.report_batch_item_failures = false;
    });
    let messages = deleted.messages;
    let lost = messages.lost.expect("counted");
    // A retry that is visible again before its batch has ended is received anew, and its old handle deletes nothing.
    assert!(lost > 0 && messages.retried.is_some_and(|retried| retried >= lost), "{messages:?}");
    assert_eq!(messages.done + messages.rejected + lost, messages.sent, "what failed and was deleted is lost");
}

#[test]
fn a_provisioned_poller_moves_a_megabyte_a_second() {
    let drained = |body_bytes| {
        let target = function(|s| {
            (s.messages, s.body_bytes) = (2000, body_bytes);
            s.work.wait = "constant:1ms".parse().expect("a wait");
            let provisioned = Some(Provisioned { minimum_pollers: 2, maximum_pollers: 2 });
            s.lambda.mapping = MappingSettings { provisioned, ..s.lambda.mapping.clone() };
        });
        target.drain_seconds.expect("drained")
    };
    // 2,000 x 100 kB at 2 MB a second are 100 s, less the pause after the last 10 %; small ones are bound by 10 polls a
    // second and poller: 10 s.
    assert!((88.0..=102.0).contains(&drained(100_000)), "{}", drained(100_000));
    assert!((8.0..=11.0).contains(&drained(36)), "{}", drained(36));
}

mod managed {
    use super::*;

    fn fleet(load: Load, messages: u64, managed: Managed) -> Target {
        function(|s| {
            (s.load, s.messages) = (load, messages);
            s.lambda = Lambda { memory_mb: 2048, managed: Some(managed), ..s.lambda.clone() };
        })
    }

    #[test]
    fn an_environment_takes_several_invocations_and_there_are_no_cold_starts() {
        let target = fleet(Load::Steady { rate: 10.0 }, 1000, Managed::default());
        assert_eq!((target.messages.done, target.usage.cold_starts), (1000, Some(0)));
        assert!(target.usage.instance_seconds.is_some_and(|t| t >= 3.0 * 100.0), "three instances at least");
        assert_eq!(target.usage.gb_seconds, None);
        assert!(target.unavailable.contains_key("usage.gb_seconds"));
    }

    #[test]
    fn traffic_that_more_than_doubles_is_throttled_and_traffic_that_grows_slowly_is_not() {
        let ramp = |from, to, over: u64| {
            let load = Load::Ramp { from, to, over: Duration::from_secs(over) };
            let managed = Managed { max_concurrency: Some(2), ..Managed::default() };
            fleet(load, 6000, managed).decisions
        };
        let throttled = |decisions: &[Decision]| decisions.iter().any(|d| d.reason == Some(Reason::ErrorBackoff));
        assert!(throttled(&ramp(1.0, 40.0, 20)), "forty times as much within 20 s");
        assert!(!throttled(&ramp(1.0, 8.0, 1200)), "eight times as much within 20 min");
    }

    #[test]
    fn it_grows_on_saturation_and_is_back_at_its_minimum_five_minutes_later() {
        let managed = Managed { max_concurrency: Some(2), max_environments: 30, ..Managed::default() };
        let target = fleet(Load::Burst, 3000, managed);
        let fleet = || target.decisions.iter().filter(|d| d.by == Scaler::ManagedInstances.into());
        assert!(fleet().any(|d| d.to > 3), "{:?}", target.decisions);
        assert_eq!(fleet().next_back().map(|d| d.to), Some(3));
        assert!(target.floor_seconds > target.drain_seconds.map(|t| t + 200.0));
    }
}
