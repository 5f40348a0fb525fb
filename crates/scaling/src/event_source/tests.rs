use super::*;
use crate::Counts;

const SECOND: Duration = Duration::from_secs(1);

fn made(settings: MappingSettings, groups: Option<u32>) -> EventSource {
    EventSource::new(settings, groups, &Estimates::default())
}

fn seen(visible: u64, under_way: u32) -> Observation {
    let queue = Some(Counts { visible, ..Counts::default() });
    Observation { queue, replicas: under_way, ready: under_way }
}

/// The limit at each whole second while `visible` messages wait and every poller is busy.
fn saturated(mapping: &mut EventSource, secs: u32) -> Vec<u32> {
    (0..secs)
        .map(|_| {
            let now = mapping.due();
            let under_way = mapping.limit();
            mapping.tick(now, &seen(1_000_000_000, under_way)).to
        })
        .collect()
}

#[test]
fn standard_mode_starts_at_5_adds_300_a_minute_and_ends_at_1250() {
    let mut mapping = made(MappingSettings::default(), None);
    assert_eq!(mapping.limit(), 5);
    let limits = saturated(&mut mapping, 300);
    assert_eq!(limits[59], 305);
    assert_eq!(limits[247], 1245);
    assert_eq!(limits[248], 1250, "after 249 s = 4.15 min");
    assert_eq!(limits[299], 1250);
}

#[test]
fn the_older_rule_adds_60_a_minute_and_ends_at_1000() {
    let limits =
        saturated(&mut made(MappingSettings { ramp: Ramp::Before2023, ..MappingSettings::default() }, None), 1100);
    assert_eq!((limits[59], limits[994], limits[1099]), (65, 1000, 1000));
}

#[test]
fn maximum_concurrency_caps_start_and_ramp() {
    let settings = |maximum| MappingSettings { maximum_concurrency: Some(maximum), ..MappingSettings::default() };
    assert_eq!(made(settings(2), None).limit(), 2);
    let mut mapping = made(settings(12), None);
    assert_eq!(saturated(&mut mapping, 4), [10, 12, 12, 12]);
    let now = mapping.due();
    assert_eq!(mapping.tick(now, &seen(1_000_000, 12)).reason, Reason::MaximumConcurrency);
}

#[test]
fn a_fifo_queue_has_no_more_batches_than_groups_or_its_maximum_if_that_is_lower() {
    for (groups, maximum_concurrency, expected) in [(20, None, 20), (3, None, 3), (20, Some(12), 12), (8, Some(12), 8)]
    {
        let settings = MappingSettings { maximum_concurrency, ..MappingSettings::default() };
        let mut mapping = made(settings, Some(groups));
        assert_eq!(mapping.limit(), expected.min(5));
        assert_eq!(saturated(&mut mapping, 60)[59], expected, "{groups} groups, maximum {maximum_concurrency:?}");
        let now = mapping.due();
        let word = if expected == groups { Reason::MessageGroups } else { Reason::MaximumConcurrency };
        assert_eq!(mapping.tick(now, &seen(1_000_000, expected)).reason, word);
    }
}

#[test]
fn provisioned_pollers_run_10_batches_each_and_ramp_1000_a_minute() {
    let provisioned = Provisioned { minimum_pollers: 2, maximum_pollers: 300 };
    let mut mapping = made(MappingSettings { provisioned: Some(provisioned), ..MappingSettings::default() }, None);
    assert_eq!((mapping.limit(), mapping.pollers()), (20, Some(2)));
    let limits = saturated(&mut mapping, 240);
    assert_eq!(limits[59], 1020);
    assert_eq!((limits[239], mapping.pollers()), (3000, Some(300)));
    assert!(limits.iter().all(|limit| limit % 10 == 0), "only whole pollers");
}

#[test]
fn messages_that_free_pollers_take_add_none() {
    let mut mapping = made(MappingSettings::default(), None);
    assert_eq!(mapping.tick(SECOND, &seen(50, 0)).to, 5, "5 free pollers of 10 records");
    assert_eq!(mapping.tick(SECOND * 2, &seen(51, 0)).to, 10);
}

#[test]
fn an_idle_mapping_goes_back_to_5_and_later_to_2_unless_its_maximum_is_set() {
    for (maximum_concurrency, expected) in [(None, 2), (Some(100), 5)] {
        let mut mapping = made(MappingSettings { maximum_concurrency, ..MappingSettings::default() }, None);
        saturated(&mut mapping, 10);
        assert_eq!(mapping.limit(), 55);
        let mut now = mapping.due();
        let mut limits = Vec::new();
        for _ in 0..700 {
            limits.push(mapping.tick(now, &seen(0, 0)).to);
            now = mapping.due();
        }
        // The last message waited in the look before these: five minutes are over at the 300th.
        assert_eq!((limits[298], limits[299], limits[308], limits[699]), (55, 50, 5, expected));
    }
}

#[test]
fn it_goes_back_by_steps_to_no_less_than_was_under_way_within_five_minutes() {
    let mut mapping = made(MappingSettings::default(), None);
    saturated(&mut mapping, 10);
    assert_eq!(mapping.limit(), 55);
    let mut limits = Vec::new();
    for look in 0..600 {
        let now = mapping.due();
        limits.push(mapping.tick(now, &seen(0, if look == 50 { 47 } else { 12 })).to);
    }
    assert_eq!((limits[298], limits[299], limits[300], limits[349]), (55, 50, 50, 50));
    assert_eq!((limits[350], limits[599]), (45, 15));
}

#[test]
fn a_message_that_waits_now_and_then_keeps_the_limit_up() {
    let mut mapping = made(MappingSettings::default(), None);
    saturated(&mut mapping, 2);
    assert_eq!(mapping.limit(), 15);
    for look in 0..600 {
        let now = mapping.due();
        // As many as free pollers take, and one that waits.
        let visible = if look % 60 == 59 { u64::from(mapping.limit() - 5) * 10 + 1 } else { 0 };
        let to = mapping.tick(now, &seen(visible, 5)).to;
        assert!(to >= 15, "{to} at {now:?}");
    }
}

#[test]
fn failures_back_off_unless_they_are_reported_by_record() {
    for (report_batch_item_failures, throttled, expected) in
        [(false, false, 48), (true, false, 60), (true, true, 48), (false, true, 48)]
    {
        let mut mapping = made(MappingSettings { report_batch_item_failures, ..MappingSettings::default() }, None);
        saturated(&mut mapping, 10);
        // 55 x 0.975^10 = 42.7, and the ramp's 5 go on.
        (0..10).for_each(|_| mapping.failed(throttled));
        let now = mapping.due();
        assert_eq!(mapping.tick(now, &seen(1_000_000, 55)).to, expected);
    }
}

#[test]
fn a_failure_now_and_then_takes_off_its_share_also_where_that_is_less_than_one_batch() {
    let mut mapping = made(MappingSettings::default(), None);
    saturated(&mut mapping, 2);
    assert_eq!(mapping.limit(), 15);
    for _ in 0..8 {
        mapping.failed(false);
        let now = mapping.due();
        // No message waits: nothing goes up.
        mapping.tick(now, &seen(0, 15));
    }
    assert_eq!(mapping.limit(), 13, "15 x 0.975^8 = 12.25, rounded up");
}

#[test]
fn an_idle_mapping_waits_with_two_pollers_or_with_those_that_its_settings_keep() {
    let pollers = |change: fn(&mut MappingSettings)| {
        let mut settings = MappingSettings::default();
        change(&mut settings);
        settings.idle_pollers()
    };
    assert_eq!(pollers(|_| {}), 2);
    assert_eq!(pollers(|s| s.maximum_concurrency = Some(100)), 5, "15 long polls of 20 s a minute");
    assert_eq!(pollers(|s| s.maximum_concurrency = Some(3)), 3);
    assert_eq!(pollers(|s| s.ramp = Ramp::Before2023), 5);
    assert_eq!(pollers(|s| s.provisioned = Some(Provisioned::default())), 20);
}

#[test]
fn impossible_settings_are_named() {
    let fields =
        |settings: MappingSettings| settings.mistakes().into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    assert!(fields(MappingSettings::default()).is_empty());
    assert_eq!(fields(MappingSettings { batch_size: 0, ..MappingSettings::default() }), ["BatchSize"]);
    assert_eq!(
        fields(MappingSettings { batch_size: 11, ..MappingSettings::default() }),
        ["MaximumBatchingWindowInSeconds"]
    );
    let provisioned = Some(Provisioned { minimum_pollers: 9, maximum_pollers: 4 });
    let both = MappingSettings { maximum_concurrency: Some(5), provisioned, ..MappingSettings::default() };
    assert_eq!(fields(both), ["MaximumConcurrency", "MinimumPollers"]);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn settings() -> impl Strategy<Value = MappingSettings> {
        let mode = prop_oneof![
            Just((None, None)),
            (2..50_u32).prop_map(|maximum| (Some(maximum), None)),
            (2..20_u32, 0..50_u32).prop_map(|(min, above)| {
                (None, Some(Provisioned { minimum_pollers: min, maximum_pollers: min + above }))
            }),
        ];
        (mode, any::<bool>(), any::<bool>()).prop_map(|((maximum_concurrency, provisioned), report, old)| {
            MappingSettings {
                maximum_concurrency,
                provisioned,
                report_batch_item_failures: report,
                ramp: if old { Ramp::Before2023 } else { Ramp::Current },
                ..MappingSettings::default()
            }
        })
    }

    proptest! {
        #[test]
        fn the_limit_stays_within_its_mode_and_rises_no_faster_than_its_ramp(
            settings in settings(),
            looks in prop::collection::vec((0..10_000_u64, 0..100_u32, 0..10_u32), 1..700),
        ) {
            let mut mapping = made(settings.clone(), None);
            let first = mapping.limit();
            let step = mapping.ramp().div_ceil(60).next_multiple_of(if settings.provisioned.is_some() { 10 } else { 1 });
            for (visible, share, fails) in looks {
                if fails == 0 {
                    mapping.failed(false);
                }
                let now = mapping.due();
                let before = mapping.limit();
                let decision = mapping.tick(now, &seen(visible, before * share.min(100) / 100));
                prop_assert_eq!(decision.from, before);
                prop_assert!(decision.to <= mapping.maximum());
                prop_assert!(decision.to >= first.min(IDLE));
                let wakes = before < first && decision.to == first;
                prop_assert!(decision.to <= before + step || wakes, "{} after {}", decision.to, before);
                if settings.provisioned.is_some() {
                    prop_assert!(decision.to >= first && decision.to.is_multiple_of(10));
                }
            }
        }
    }
}
