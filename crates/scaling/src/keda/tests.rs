use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// First poll at once, first sync after one period: about 15, 30 and 45 s.
fn made(settings: ScaledObjectSettings, replicas: u32) -> Keda {
    Keda::new(settings, replicas, Phases { poll: 0.0, sync: 1.0 }, &Estimates::default())
}

fn queue(visible: u64, in_flight: u64) -> Option<Counts> {
    Some(Counts { visible, in_flight, delayed: 0 })
}

/// Runs the policy to `until`, with the queue as `at` says; every replica asked for is there and ready at once.
fn changes(keda: &mut Keda, until: u64, at: impl Fn(u64) -> Option<Counts>) -> Vec<(u64, u32, Reason)> {
    let mut changes = Vec::new();
    while keda.due() <= SECOND * until as u32 {
        let now = keda.due();
        let replicas = keda.replicas();
        let seen = Observation { queue: at(now.as_secs()), replicas, ready: replicas };
        let decision = keda.tick(now, &seen);
        if decision.from != decision.to {
            changes.push((now.as_secs(), decision.to, decision.reason));
        }
    }
    changes
}

#[test]
fn the_articles_burst_goes_1_4_8_15_at_15_30_and_45_s() {
    let settings =
        ScaledObjectSettings { min_replica_count: 1, max_replica_count: 15, ..ScaledObjectSettings::default() };
    let seen = changes(&mut made(settings, 1), 60, |_| queue(1000, 0));
    assert_eq!(seen, [(15, 4, Reason::ScaleUpLimit), (30, 8, Reason::ScaleUpLimit), (45, 15, Reason::TooManyReplicas)]);
}

#[test]
fn with_default_behavior_set_it_goes_1_5_10_15() {
    let hpa = hpa::HpaSettings { behavior: Some(hpa::Behavior::default()), ..hpa::HpaSettings::default() };
    let settings =
        ScaledObjectSettings { min_replica_count: 1, max_replica_count: 15, hpa, ..ScaledObjectSettings::default() };
    let seen: Vec<u32> = changes(&mut made(settings, 1), 60, |_| queue(1000, 0)).iter().map(|c| c.1).collect();
    assert_eq!(seen, [5, 10, 15]);
}

#[test]
fn the_operator_wakes_from_zero_at_its_poll_and_stops_all_at_once_after_the_cooldown() {
    let mut keda = made(ScaledObjectSettings { max_replica_count: 4, ..ScaledObjectSettings::default() }, 0);
    // Messages from 31 s, just after a poll, to 100 s.
    let seen = changes(&mut keda, 900, |t| if (31..=100).contains(&t) { queue(1000, 0) } else { queue(0, 0) });
    assert_eq!(seen[..2], [(60, 1, Reason::Activated), (60, 4, Reason::TooManyReplicas)]);
    // Last active poll at 90 s: the poll of 390 s is the cooldown later, and KEDA's clock has gone on.
    assert_eq!(seen[2..], [(390, 0, Reason::Deactivated)]);
}

#[test]
fn scaling_to_zero_does_not_stop_at_one() {
    let settings =
        ScaledObjectSettings { cooldown_period: SECOND * 60, max_replica_count: 8, ..ScaledObjectSettings::default() };
    let seen = changes(&mut made(settings, 0), 300, |t| if t < 40 { queue(1000, 0) } else { queue(0, 0) });
    assert_eq!(seen.last(), Some(&(90, 0, Reason::Deactivated)), "{seen:?}");
    assert_eq!(seen[seen.len() - 2].1, 8, "from 8 straight to 0");
}

#[test]
fn activation_is_strictly_above_and_counts_messages_in_flight() {
    let trigger =
        |scale_on_in_flight| Trigger { activation_queue_length: 10, scale_on_in_flight, ..Trigger::default() };
    for (counts, in_flight, active) in [
        (queue(10, 0), true, false),
        (queue(11, 0), true, true),
        (queue(6, 5), true, true),
        (queue(6, 5), false, false),
    ] {
        let settings = ScaledObjectSettings { triggers: vec![trigger(in_flight)], ..ScaledObjectSettings::default() };
        let decision = made(settings, 0).tick(Duration::ZERO, &Observation { queue: counts, ..Observation::default() });
        assert_eq!(decision.to == 1, active, "{counts:?}");
    }
}

#[test]
fn delayed_messages_count_only_if_asked_for() {
    let counts = Some(Counts { delayed: 50, ..Counts::default() });
    let wakes = |scale_on_delayed| {
        let triggers = vec![Trigger { scale_on_delayed, ..Trigger::default() }];
        let mut keda = made(ScaledObjectSettings { triggers, ..ScaledObjectSettings::default() }, 0);
        keda.tick(Duration::ZERO, &Observation { queue: counts, ..Observation::default() }).to == 1
    };
    assert!(wakes(true) && !wakes(false));
}

#[test]
fn the_first_cooldown_is_the_initial_one() {
    let settings = ScaledObjectSettings { initial_cooldown_period: SECOND * 100, ..ScaledObjectSettings::default() };
    let seen = changes(&mut made(settings, 1), 300, |_| queue(0, 0));
    assert_eq!(seen, [(120, 0, Reason::Deactivated)]);
}

#[test]
fn an_idle_count_holds_while_inactive_and_min_while_active() {
    let settings = ScaledObjectSettings {
        idle_replica_count: Some(0),
        min_replica_count: 3,
        max_replica_count: 10,
        cooldown_period: SECOND * 30,
        ..ScaledObjectSettings::default()
    };
    let seen = changes(&mut made(settings, 0), 200, |t| if (20..80).contains(&t) { queue(1, 0) } else { queue(0, 0) });
    assert_eq!(seen, [(30, 3, Reason::Activated), (90, 0, Reason::Deactivated)]);
}

#[test]
fn without_an_idle_count_an_inactive_target_is_raised_to_min() {
    let settings = ScaledObjectSettings { min_replica_count: 2, ..ScaledObjectSettings::default() };
    let seen = changes(&mut made(settings, 0), 30, |_| queue(0, 0));
    assert_eq!(seen, [(0, 2, Reason::ScalerNotActive)]);
}

#[test]
fn a_queue_that_cannot_be_read_changes_nothing_without_a_fallback() {
    let mut keda = made(ScaledObjectSettings::default(), 3);
    assert_eq!(changes(&mut keda, 1000, |_| None), []);
}

#[test]
fn a_fallback_is_counted_by_both_loops_so_it_comes_twice_as_fast() {
    let fallback = Fallback { failure_threshold: 3, replicas: 6, behavior: FallbackBehavior::Static };
    let seen = |version| {
        let fallback = Some(fallback.clone());
        let settings = ScaledObjectSettings {
            version,
            min_replica_count: 1,
            max_replica_count: 10,
            fallback,
            ..ScaledObjectSettings::default()
        };
        changes(&mut made(settings, 1), 62, |_| None)
    };
    // Failures at 0 (poll), 15 (sync), 30 (poll), 30 (sync): the fourth exceeds 3. Alone the poll needed until 90 s.
    assert_eq!(seen(Version::V2_20), [(30, 4, Reason::ScaleUpLimit), (45, 6, Reason::DesiredWithinRange)]);
    // The first poll leaves the queue to the HPA; once that has failed, the operator reads too.
    assert_eq!(seen(Version::V2_21), [(45, 4, Reason::ScaleUpLimit), (60, 6, Reason::DesiredWithinRange)]);
}

#[test]
fn with_cached_metrics_a_fallback_resets_its_own_count_and_flaps() {
    let fallback = Some(Fallback { failure_threshold: 3, replicas: 6, behavior: FallbackBehavior::Static });
    let down = hpa::Rules { stabilization_window: Some(Duration::ZERO), ..hpa::Rules::default() };
    let behavior = Some(hpa::Behavior { scale_down: down, ..hpa::Behavior::default() });
    let settings = ScaledObjectSettings {
        version: Version::V2_20,
        min_replica_count: 1,
        max_replica_count: 10,
        fallback,
        triggers: vec![Trigger { use_cached_metrics: true, ..Trigger::default() }],
        hpa: hpa::HpaSettings { behavior, ..hpa::HpaSettings::default() },
        ..ScaledObjectSettings::default()
    };
    let mut keda = made(settings, 1);
    let mut failing = Vec::new();
    while keda.due() < SECOND * 150 {
        let now = keda.due();
        let replicas = keda.replicas();
        let decision = keda.tick(now, &Observation { queue: None, replicas, ready: replicas });
        if decision.by == Scaler::Hpa {
            failing.push(decision.reason == Reason::FailedGetExternalMetric);
        }
    }
    // The fourth failure in a row is that of the sync at 30 s: fallback. The poll of 60 s caches the fallback's answer, which
    // the syncs take for a success: they count from 0, and the poll of 90 s fails below the threshold again.
    assert_eq!(failing, [true, false, false, false, false, true, true, false, false]);
}

#[test]
fn a_fallback_counts_as_active_and_wakes_from_zero() {
    let fallback = Fallback { failure_threshold: 1, replicas: 2, behavior: FallbackBehavior::Static };
    let settings = ScaledObjectSettings { fallback: Some(fallback), ..ScaledObjectSettings::default() };
    let seen = changes(&mut made(settings, 0), 60, |_| None);
    assert_eq!(seen, [(30, 1, Reason::Activated), (30, 2, Reason::DesiredWithinRange)]);
}

#[test]
fn fallbacks_of_other_kinds_look_at_the_current_replicas() {
    let table = [
        (FallbackBehavior::Static, 4, 6),
        (FallbackBehavior::CurrentReplicas, 4, 4),
        (FallbackBehavior::CurrentReplicasIfHigher, 8, 8),
        (FallbackBehavior::CurrentReplicasIfHigher, 4, 6),
        (FallbackBehavior::CurrentReplicasIfLower, 4, 4),
    ];
    for (behavior, start, expected) in table {
        let fallback = Some(Fallback { failure_threshold: 0, replicas: 6, behavior });
        let settings = ScaledObjectSettings {
            min_replica_count: 1,
            max_replica_count: 10,
            fallback,
            ..ScaledObjectSettings::default()
        };
        let mut keda = made(settings, start);
        changes(&mut keda, 40, |_| None);
        assert_eq!(keda.replicas(), expected, "{behavior:?} from {start}");
    }
}

#[test]
fn cached_metrics_are_as_old_as_the_last_poll_and_save_reads() {
    let settings = |use_cached_metrics| ScaledObjectSettings {
        min_replica_count: 1,
        max_replica_count: 4,
        polling_interval: SECOND * 60,
        triggers: vec![Trigger { use_cached_metrics, ..Trigger::default() }],
        ..ScaledObjectSettings::default()
    };
    let burst = |t| if t > 0 { queue(1000, 0) } else { queue(0, 0) };
    let mut live = made(settings(false), 1);
    assert_eq!(changes(&mut live, 119, burst)[0].0, 15);
    let mut cached = made(settings(true), 1);
    assert_eq!(changes(&mut cached, 119, burst)[0].0, 60);
    assert_eq!((live.queue_reads(), cached.queue_reads()), (7, 2));
}

#[test]
fn a_day_of_reads_is_that_of_the_syncs_and_of_the_polls_where_the_version_polls() {
    let day = 24 * 3600 - 1;
    let hpa = hpa::HpaSettings { first_sync: Some(Duration::ZERO), ..hpa::HpaSettings::default() };
    let reads = |settings: ScaledObjectSettings, replicas| {
        let mut keda = made(ScaledObjectSettings { hpa: hpa.clone(), ..settings }, replicas);
        changes(&mut keda, day, |_| queue(0, 0));
        keda.queue_reads()
    };
    let one = |version| ScaledObjectSettings { version, min_replica_count: 1, ..ScaledObjectSettings::default() };
    // 86,400 / 15.037 syncs, and 86,400 / 30 polls.
    assert_eq!(reads(one(Version::V2_20), 1), 5746 + 2880);
    assert_eq!(reads(one(Version::V2_21), 1), 5746, "the operator uses what the HPA's sync has read");
    assert_eq!(
        reads(ScaledObjectSettings { idle_replica_count: Some(0), ..one(Version::V2_21) }, 0),
        2880,
        "it decides"
    );
    let cached = vec![Trigger { use_cached_metrics: true, ..Trigger::default() }];
    assert_eq!(
        reads(ScaledObjectSettings { triggers: cached, ..one(Version::V2_21) }, 1),
        2880,
        "the HPA uses what it has read"
    );
    let formula = ScaledObjectSettings { min_replica_count: 1, ..with_formula("all", 5.0, 0.0) };
    assert_eq!(reads(formula, 1), 2 * (5746 + 2880), "two triggers");
    for version in [Version::V2_20, Version::V2_21] {
        assert_eq!(
            reads(ScaledObjectSettings { version, ..ScaledObjectSettings::default() }, 0),
            2880,
            "nobody syncs at 0 replicas"
        );
    }
}

#[test]
fn the_highest_of_several_triggers_decides() {
    let triggers = vec![Trigger { queue_length: 100, ..Trigger::default() }, Trigger::default()];
    let settings = ScaledObjectSettings { min_replica_count: 1, triggers, ..ScaledObjectSettings::default() };
    let mut keda = made(settings, 1);
    assert_eq!(changes(&mut keda, 20, |_| queue(20, 0)), [(15, 4, Reason::DesiredWithinRange)]);
}

/// Two triggers, of which the second does not count what is in flight.
fn with_formula(formula: &str, target: f64, activation_target: f64) -> ScaledObjectSettings {
    let named = |name: &str, scale_on_in_flight| {
        let name = Some(name.to_owned());
        Trigger { name, scale_on_in_flight, ..Trigger::default() }
    };
    let metric_type = MetricType::AverageValue;
    ScaledObjectSettings {
        triggers: vec![named("all", true), named("waiting", false)],
        scaling_modifiers: Some(ScalingModifiers {
            formula: formula.to_owned(),
            target,
            activation_target,
            metric_type,
        }),
        ..ScaledObjectSettings::default()
    }
}

#[test]
fn a_formula_is_the_one_metric_for_the_operator_and_for_the_hpa() {
    let settings = with_formula("waiting > 100 ? all * 2 : 0", 100.0, 0.0);
    assert_eq!(settings.mistakes(), []);
    let seen = |visible| changes(&mut made(settings.clone(), 0), 50, |_| queue(visible, 50));
    assert_eq!(seen(100), [], "the triggers alone would be active");
    assert_eq!(seen(150), [(0, 1, Reason::Activated), (15, 4, Reason::DesiredWithinRange)], "400 / 100");
}

#[test]
fn a_formula_is_active_strictly_above_its_activation_target() {
    let active = |activation| {
        let mut keda = made(with_formula("all", 5.0, activation), 0);
        keda.tick(Duration::ZERO, &Observation { queue: queue(10, 0), ..Observation::default() }).to == 1
    };
    assert!(active(9.5) && !active(10.0));
}

#[test]
fn a_trigger_that_fails_makes_the_formula_inactive_until_the_fallback() {
    let fallback = Some(Fallback { failure_threshold: 3, replicas: 6, behavior: FallbackBehavior::Static });
    let settings = ScaledObjectSettings { min_replica_count: 1, fallback, ..with_formula("all + waiting", 0.5, 0.0) };
    assert_eq!(
        changes(&mut made(settings, 1), 60, |_| None),
        [(30, 4, Reason::ScaleUpLimit), (45, 6, Reason::DesiredWithinRange)]
    );
}

#[test]
fn fallbacks_value_is_divided_by_the_ready_replicas_and_fails_without_any() {
    let fallback = Fallback { failure_threshold: 0, replicas: 6, behavior: FallbackBehavior::Static };
    let triggers = vec![Trigger { metric_type: MetricType::Value, ..Trigger::default() }];
    for (ready, expected) in [(3, 6), (1, 6), (0, 3)] {
        let settings = ScaledObjectSettings {
            min_replica_count: 1,
            fallback: Some(fallback.clone()),
            triggers: triggers.clone(),
            ..ScaledObjectSettings::default()
        };
        let mut keda = made(settings, 3);
        let seen = |_: &Keda| Observation { queue: None, replicas: 3, ready };
        for _ in 0..2 {
            let now = keda.due();
            let seen = seen(&keda);
            keda.tick(now, &seen);
        }
        // 5 x 6 / ready, as a ratio to 5, x ready.
        assert_eq!(keda.replicas(), expected, "{ready} ready");
    }
}

#[test]
fn impossible_settings_are_named() {
    let settings = ScaledObjectSettings {
        min_replica_count: 5,
        max_replica_count: 4,
        polling_interval: Duration::ZERO,
        triggers: vec![Trigger { queue_length: 0, ..Trigger::default() }],
        ..ScaledObjectSettings::default()
    };
    let fields: Vec<_> = settings.mistakes().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["pollingInterval", "minReplicaCount", "queueLength"]);
    assert!(ScaledObjectSettings::default().mistakes().is_empty());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn replicas_are_zero_idle_or_within_min_and_max(
            min in 0..5_u32, above in 1..20_u32, cooldown in 0..400_u64, in_flight: bool, cached: bool,
            counts in prop::collection::vec(prop::option::of(0..500_u64), 1..40),
        ) {
            let max = min + above;
            let settings = ScaledObjectSettings {
                min_replica_count: min,
                max_replica_count: max,
                cooldown_period: Duration::from_secs(cooldown),
                triggers: vec![Trigger { scale_on_in_flight: in_flight, use_cached_metrics: cached, ..Trigger::default() }],
                ..ScaledObjectSettings::default()
            };
            let mut keda = made(settings, min);
            let mut due = Duration::ZERO;
            while keda.due() < SECOND * 20 * counts.len() as u32 {
                let now = keda.due();
                prop_assert!(now >= due, "time goes forward");
                due = now;
                let replicas = keda.replicas();
                let queue = counts[(now.as_secs() / 20) as usize].and_then(|n| queue(n, n / 2));
                let decision = keda.tick(now, &Observation { queue, replicas, ready: replicas });
                prop_assert_eq!(decision.from, replicas);
                prop_assert!(decision.to <= max && decision.to >= min);
                if decision.to < decision.from && decision.to == 0 {
                    prop_assert_eq!(decision.reason, Reason::Deactivated);
                }
            }
        }
    }
}
