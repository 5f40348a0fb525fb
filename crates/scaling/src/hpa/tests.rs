use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn messages(n: u64, target: u64) -> [Option<Metric>; 1] {
    [Some(Metric { milli: n * 1000, target_milli: target * 1000, kind: MetricType::AverageValue })]
}

fn all(n: u32) -> Replicas {
    Replicas { spec: n, status: n, ready: n }
}

fn with_behavior(behavior: Behavior) -> HpaSettings {
    HpaSettings { behavior: Some(behavior), ..HpaSettings::default() }
}

/// Replicas and reasons of syncs every 15 s, with this many messages at each.
fn trace(hpa: &mut Hpa, start: u32, target: u64, counts: &[u64]) -> Vec<(u32, Reason)> {
    let mut replicas = start;
    let mut seen = Vec::new();
    for (tick, count) in counts.iter().enumerate() {
        let verdict = hpa.sync(SECOND * 15 * (tick as u32 + 1), all(replicas), &messages(*count, target));
        replicas = verdict.to;
        seen.push((replicas, verdict.reason));
    }
    seen
}

#[test]
fn without_behavior_the_articles_burst_goes_1_4_8_15() {
    let mut hpa = Hpa::new(HpaSettings::default(), 1, 15);
    let expected = [(4, Reason::ScaleUpLimit), (8, Reason::ScaleUpLimit), (15, Reason::TooManyReplicas)];
    assert_eq!(trace(&mut hpa, 1, 5, &[1000, 990, 960]), expected);
}

#[test]
fn with_the_apis_default_behavior_it_goes_1_5_10_15() {
    let mut hpa = Hpa::new(with_behavior(Behavior::default()), 1, 15);
    let expected = [(5, Reason::ScaleUpLimit), (10, Reason::ScaleUpLimit), (15, Reason::TooManyReplicas)];
    assert_eq!(trace(&mut hpa, 1, 5, &[1000, 990, 960]), expected);
}

#[test]
fn without_a_maximum_both_paths_take_nine_syncs_to_a_thousand() {
    let counts = [100_000; 9];
    let replicas = |settings| {
        let mut hpa = Hpa::new(settings, 1, 1000);
        trace(&mut hpa, 1, 5, &counts).into_iter().map(|(n, _)| n).collect::<Vec<_>>()
    };
    assert_eq!(replicas(HpaSettings::default()), [4, 8, 16, 32, 64, 128, 256, 512, 1000]);
    assert_eq!(replicas(with_behavior(Behavior::default())), [5, 10, 20, 40, 80, 160, 320, 640, 1000]);
}

#[test]
fn recommendations_are_kept_unlimited_so_replicas_stay_at_the_maximum_for_300_s() {
    for settings in [HpaSettings::default(), with_behavior(Behavior::default())] {
        let mut hpa = Hpa::new(settings, 1, 15);
        let mut counts = vec![1000, 1000, 1000];
        counts.extend([0; 22]);
        let seen = trace(&mut hpa, 1, 5, &counts);
        // The last high sample is of 45 s, and counts while it is younger than 300 s.
        let down = seen.iter().rposition(|(n, _)| *n == 15).expect("it was at 15");
        assert_eq!(15 * (down + 1), 330, "last at 15 replicas");
        assert_eq!(seen[4], (15, Reason::ScaleDownStabilized));
        assert_eq!(seen[down + 1], (1, Reason::TooFewReplicas), "then straight down: there is no limit downwards");
    }
}

#[test]
fn within_a_tenth_of_the_target_nothing_changes() {
    let table = [(4, 44, 4), (4, 45, 5), (4, 36, 4), (4, 35, 4), (10, 110, 10), (10, 111, 12), (10, 90, 10)];
    for (replicas, count, expected) in table {
        let mut hpa =
            Hpa::new(HpaSettings { downscale_stabilization: Duration::ZERO, ..HpaSettings::default() }, 1, 100);
        let verdict = hpa.sync(SECOND * 15, all(replicas), &messages(count, 10));
        assert_eq!(verdict.to, expected, "{count} messages at 10 a replica with {replicas}");
    }
}

#[test]
fn pending_pods_count_for_average_value_and_ready_ones_for_value() {
    let replicas = Replicas { spec: 10, status: 10, ready: 2 };
    let mut hpa = Hpa::new(HpaSettings::default(), 1, 100);
    assert_eq!(hpa.sync(SECOND, replicas, &messages(100, 10)).to, 10, "within the tolerance of the 10 that exist");
    let value = |n: u64| [Some(Metric { milli: n * 1000, target_milli: 10_000, kind: MetricType::Value })];
    let mut hpa = Hpa::new(HpaSettings::default(), 1, 100);
    assert_eq!(hpa.sync(SECOND, replicas, &value(100)).to, 20, "ten times the target x 2 ready");
    assert_eq!(
        hpa.sync(SECOND * 2, replicas, &value(10)).to,
        20,
        "at the target, held by the recommendation of before"
    );
}

#[test]
fn an_event_of_exactly_one_period_ago_is_free() {
    let pods = |value, secs| ScalingPolicy { unit: Unit::Pods, value, period: SECOND * secs };
    let behavior =
        |policies| Behavior { scale_up: Rules { policies: Some(policies), ..Rules::default() }, ..Behavior::default() };
    let at = |hpa: &mut Hpa, secs, n| hpa.sync(SECOND * secs, all(n), &messages(1000, 1)).to;
    let mut hpa = Hpa::new(with_behavior(behavior(vec![pods(3, 15)])), 1, 100);
    assert_eq!(at(&mut hpa, 15, 1), 4);
    assert_eq!(at(&mut hpa, 29, 4), 4, "14 s later the period is used up");
    assert_eq!(at(&mut hpa, 30, 4), 7, "15 s later it is free");
    let mut hpa = Hpa::new(with_behavior(behavior(vec![pods(3, 60)])), 1, 100);
    assert_eq!(at(&mut hpa, 15, 1), 4);
    assert_eq!(at(&mut hpa, 60, 4), 4);
    assert_eq!(at(&mut hpa, 75, 4), 7);
}

#[test]
fn policies_are_chosen_by_their_effect() {
    let policies = || {
        Some(vec![
            ScalingPolicy { unit: Unit::Pods, value: 2, period: SECOND * 15 },
            ScalingPolicy { unit: Unit::Percent, value: 50, period: SECOND * 15 },
        ])
    };
    for (select, up, down) in [(SelectPolicy::Max, 15, 5), (SelectPolicy::Min, 12, 8), (SelectPolicy::Disabled, 10, 10)]
    {
        let rules = Rules {
            policies: policies(),
            select_policy: Some(select),
            stabilization_window: Some(Duration::ZERO),
            tolerance: None,
        };
        let behavior = Behavior { scale_up: rules.clone(), scale_down: rules };
        let sync = |count| {
            Hpa::new(with_behavior(behavior.clone()), 1, 100).sync(SECOND * 15, all(10), &messages(count, 1)).to
        };
        assert_eq!((sync(1000), sync(0)), (up, down), "{select:?}");
    }
}

#[test]
fn percentages_round_up_on_the_way_up_and_are_cut_on_the_way_down() {
    let percent = |value| Rules {
        policies: Some(vec![ScalingPolicy { unit: Unit::Percent, value, period: SECOND * 15 }]),
        stabilization_window: Some(Duration::ZERO),
        ..Rules::default()
    };
    let behavior = Behavior { scale_up: percent(10), scale_down: percent(10) };
    let sync = |count| Hpa::new(with_behavior(behavior.clone()), 1, 100).sync(SECOND, all(5), &messages(count, 1)).to;
    assert_eq!(sync(100), 6, "5 x 1.1 = 5.5");
    assert_eq!(sync(0), 4, "5 x 0.9 = 4.5");
}

#[test]
fn an_upward_window_waits_until_all_recent_recommendations_agree() {
    let rules = Rules { stabilization_window: Some(SECOND * 30), ..Rules::default() };
    let mut hpa = Hpa::new(with_behavior(Behavior { scale_up: rules, ..Behavior::default() }), 1, 100);
    let expected = [(1, Reason::ScaleUpStabilized), (5, Reason::ScaleUpLimit), (10, Reason::ScaleUpLimit)];
    // The first sync notes the 1 replica that there is: it holds the count until it is 30 s old.
    let seen = trace(&mut hpa, 1, 1, &[100, 100, 100, 100]);
    assert_eq!(seen[0], expected[0]);
    assert_eq!(&seen[2..], &expected[1..]);
}

#[test]
fn an_object_that_stood_there_before_the_load_is_held_upwards_by_what_it_recommended_then() {
    let rules = Rules { stabilization_window: Some(SECOND * 30), ..Rules::default() };
    let hpa = || Hpa::new(with_behavior(Behavior { scale_up: rules.clone(), ..Behavior::default() }), 1, 100);
    let mut before = hpa();
    before.has_synced(SECOND * 15, SECOND * 15, all(1), &messages(0, 1));
    // 15 s before time zero it recommended 0: too old for the sync at 30 s, and not for that at 15 s.
    let seen: Vec<u32> = trace(&mut before, 1, 1, &[100; 3]).into_iter().map(|(n, _)| n).collect();
    assert_eq!(seen, [1, 5, 10], "a sync earlier than an object that is new");
    let mut woken = hpa();
    woken.has_synced(SECOND * 15, SECOND * 15, all(0), &messages(0, 1));
    assert_eq!(trace(&mut woken, 1, 1, &[100])[0].0, 5, "at 0 replicas nothing was recommended");
}

#[test]
fn each_direction_forgets_changes_by_its_own_longest_period() {
    // Downwards 2 pods in 60 s; upwards the API's defaults, whose periods are 15 s.
    let down = vec![ScalingPolicy { unit: Unit::Pods, value: 2, period: SECOND * 60 }];
    let scale_down = Rules { policies: Some(down), stabilization_window: Some(Duration::ZERO), ..Rules::default() };
    let mut hpa = Hpa::new(with_behavior(Behavior { scale_down, ..Behavior::default() }), 1, 15);
    let step = Duration::from_millis(15_030);
    let mut replicas = 1;
    let counts = [100, 100, 0, 0, 0, 0, 0];
    let seen: Vec<u32> = (1..)
        .zip(counts)
        .map(|(n, count)| {
            replicas = hpa.sync(step * n, all(replicas), &messages(count, 5)).to;
            replicas
        })
        .collect();
    // At 10 the change from 1 to 5 has been overwritten by that from 5 to 10: the period began with 5.
    assert_eq!(seen, [5, 10, 3, 3, 3, 3, 1]);
}

#[test]
fn replicas_outside_the_range_are_brought_inside_without_a_look_at_the_metric() {
    let mut hpa = Hpa::new(HpaSettings::default(), 2, 10);
    assert_eq!(hpa.sync(SECOND, all(20), &[None]).to, 10);
    assert_eq!(hpa.sync(SECOND * 2, all(1), &[None]).to, 2);
    assert_eq!(hpa.sync(SECOND * 3, all(0), &messages(1000, 1)).reason, Reason::ScalingDisabled);
}

#[test]
fn a_metric_that_fails_holds_the_replicas_and_a_second_one_may_still_scale_up() {
    let mut hpa = Hpa::new(HpaSettings::default(), 1, 10);
    assert_eq!(hpa.sync(SECOND, all(3), &[None]).reason, Reason::FailedGetExternalMetric);
    let with_failing = |n| [messages(n, 1)[0], None];
    assert_eq!(hpa.sync(SECOND * 400, all(3), &with_failing(0)).to, 3, "never down on half the evidence");
    assert_eq!(hpa.sync(SECOND * 800, all(3), &with_failing(6)).to, 6);
    let two = [messages(2, 1)[0], messages(5, 1)[0]];
    assert_eq!(Hpa::new(HpaSettings::default(), 1, 10).sync(SECOND, all(1), &two).to, 4, "5 is higher, 4 the limit");
}

#[test]
fn the_detail_tells_the_arithmetic() {
    let mut hpa = Hpa::new(HpaSettings::default(), 1, 15);
    let verdict = hpa.sync(SECOND * 15, all(1), &messages(1000, 5));
    assert_eq!(verdict.detail, "1,000 messages / 5 = 200 desired, limited to 4");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> impl Strategy<Value = Rules> {
        let policy = (any::<bool>(), 1..200_u32, 1..60_u64).prop_map(|(pods, value, secs)| ScalingPolicy {
            unit: if pods { Unit::Pods } else { Unit::Percent },
            value,
            period: Duration::from_secs(secs),
        });
        let select = prop_oneof![Just(SelectPolicy::Max), Just(SelectPolicy::Min), Just(SelectPolicy::Disabled)];
        let policies = prop::option::of(prop::collection::vec(policy, 1..4));
        (prop::option::of(0..600_u64), prop::option::of(select), policies).prop_map(
            |(window, select_policy, policies)| {
                let stabilization_window = window.map(Duration::from_secs);
                Rules { stabilization_window, select_policy, policies, tolerance: None }
            },
        )
    }

    fn settings() -> impl Strategy<Value = HpaSettings> {
        let behavior = (rules(), rules()).prop_map(|(scale_up, scale_down)| Behavior { scale_up, scale_down });
        (prop::option::of(behavior), 0..600_u64).prop_map(|(behavior, window)| HpaSettings {
            behavior,
            downscale_stabilization: Duration::from_secs(window),
            ..HpaSettings::default()
        })
    }

    proptest! {
        #[test]
        fn replicas_stay_within_min_and_max_and_never_rise_without_a_desire(
            settings in settings(), min in 1..20_u32, above in 0..50_u32,
            counts in prop::collection::vec(prop::option::of(0..5000_u64), 1..60),
        ) {
            let max = min + above;
            let mut hpa = Hpa::new(settings.clone(), min, max);
            let mut replicas = min;
            let mut highest = 0;
            for (tick, count) in counts.iter().enumerate() {
                let metric = [count.and_then(|n| messages(n, 5)[0])];
                let verdict = hpa.sync(SECOND * 15 * (tick as u32 + 1), all(replicas), &metric);
                highest = highest.max(count.unwrap_or(0).div_ceil(5) as u32);
                prop_assert!((min..=max).contains(&verdict.to));
                prop_assert!(verdict.to <= highest.max(min), "{} without a recommendation of it", verdict.to);
                if count.is_none() {
                    prop_assert_eq!(verdict.to, replicas);
                }
                if settings.behavior.is_none() {
                    prop_assert!(verdict.to <= (2 * replicas).max(4));
                }
                replicas = verdict.to;
            }
            prop_assert!(hpa.recommendations.len() <= 43, "memory is bounded by the windows");
        }
    }
}
