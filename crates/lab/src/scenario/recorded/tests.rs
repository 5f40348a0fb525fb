use super::*;

fn rows(text: &str) -> Vec<(u64, u64)> {
    let rows = metrics_of(text).and_then(load).expect(text).rows;
    rows.iter().map(|row| (row.at.as_secs(), row.count)).collect()
}

fn refused(text: &str) -> Mistake {
    metrics_of(text).and_then(load).expect_err(text)
}

#[test]
fn a_cloudwatch_export_is_read() {
    let export = "Full label,NumberOfMessagesSent\nPeriod,60\n\
                  2026/11/24 10:00:00,120.0\n2026/11/24 10:01:00,\n2026/11/24 10:02:00,7\n";
    assert_eq!(rows(export), [(0, 120), (60, 0), (120, 7)]);
    // Of several metrics in one export, the load is the one that was sent.
    let export = "Label,orders ApproximateAgeOfOldestMessage,\"orders, NumberOfMessagesSent\",Duration\nPeriod,60,60,60\n\
                  2026/11/24 10:00:00,3.5,120.0,401.25\n2026/11/24 10:01:00,0.5,4,399.5\n";
    assert_eq!(rows(export), [(0, 120), (60, 4)]);
    let all = metrics_of(export).expect("metrics");
    assert_eq!(all[0].levels(), [(1_795_514_400.0, 3.5), (1_795_514_460.0, 0.5)]);
    assert_eq!(all.iter().map(|m| m.name.as_str()).collect::<Vec<_>>()[1], "orders, NumberOfMessagesSent 60");
}

#[test]
fn what_the_command_line_and_the_api_answer_is_read_in_whatever_order_it_comes() {
    // Where there is no point, nothing was sent.
    let expected = [(0, 120), (60, 7), (120, 0), (180, 3)];
    let text = "NumberOfMessagesSent\nDATAPOINTS\t7.0\t2026-11-24T10:01:00+00:00\tCount\n\
                DATAPOINTS\t120.0\t2026-11-24T10:00:00+00:00\tCount\nDATAPOINTS\t3.0\t2026-11-24T10:03:00+00:00\tCount\n";
    assert_eq!(rows(text), expected);
    let statistics = r#"{ "Label": "NumberOfMessagesSent", "Datapoints": [
        { "Timestamp": "2026-11-24T10:03:00Z", "Sum": 3.0, "Unit": "Count" },
        { "Timestamp": "2026-11-24T10:00:00Z", "Sum": 120.0, "Unit": "Count" },
        { "Timestamp": "2026-11-24T10:01:00Z", "Sum": 7.0, "Unit": "Count" } ] }"#;
    assert_eq!(rows(statistics), expected);
    let data = r#"{ "MetricDataResults": [
        { "Id": "age", "Label": "ApproximateAgeOfOldestMessage", "StatusCode": "Complete", "Timestamps": [], "Values": [] },
        { "Id": "sent", "Label": "orders NumberOfMessagesSent", "StatusCode": "PartialData",
          "Timestamps": ["2026-11-24T10:03:00+00:00", "2026-11-24T10:01:00+00:00"], "Values": [3.0, 7.0] },
        { "Id": "sent", "Label": "orders NumberOfMessagesSent", "StatusCode": "Complete",
          "Timestamps": ["2026-11-24T10:00:00+00:00"], "Values": [120.0] }], "Messages": [] }"#;
    assert_eq!(rows(data), expected);
}

#[test]
fn a_counter_of_prometheus_is_read_as_what_it_grew_by_through_restarts_and_new_pods() {
    let matrix =
        |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#);
    let one = r#"{"metric":{"__name__":"orders_sent_total","pod":"a"},"values":[[1000,"5"],[1060,"15"],[1120,"3"],[1180,"3"]]}"#;
    let two = r#"{"metric":{"__name__":"orders_sent_total","pod":"b"},"values":[[1120,"7"],[1180,"9"]]}"#;
    // The first pod starts anew between 1060 and 1120; the second begins there, at 0.
    assert_eq!(rows(&matrix(&format!("{one},{two}"))), [(0, 10), (60, 10), (120, 2)]);
    let gauge = r#"{"metric":{"__name__":"queue_length"},"values":[[0,"5"],[60,"2"],[120,"9"],[180,"1"],[240,"7"]]}"#;
    assert!(refused(&matrix(gauge)).1.contains("query a counter itself"));
    let rate = r#"{"metric":{},"values":[[0,"0.5"],[60,"0.75"]]}"#;
    assert!(refused(&matrix(rate)).1.contains("counts whole ones"));
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert!(refused(vector).1.contains("/api/v1/query_range"));
    assert!(refused(r#"{"status":"error","error":"parse error","data":{}}"#).1.contains("parse error"));
}

#[test]
fn times_alone_are_a_message_each() {
    assert_eq!(rows("time\n12.0\n10\n10.5\n11.9\n"), [(0, 2), (1, 1), (2, 1), (3, 0)]);
    let week = (0..20_160).map(|n| format!("{}\n", n * 30)).collect::<String>();
    let rows = rows(&week);
    assert!(rows.len() <= 10_081, "{}", rows.len());
    assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), 20_160);
}

#[test]
fn times_may_be_seconds_or_dates_with_an_offset() {
    assert_eq!(rows("time,count\n100,1\n105.5,2\n"), [(0, 1), (5, 2)]);
    assert_eq!(rows("2026-11-24T23:59:59+01:00,1\n2026-11-24T23:00:04Z,2"), [(0, 1), (5, 2)]);
    assert_eq!(rows("\"2024-02-28 23:59:00\",\"1\"\n\"2024-03-01 00:00:00\",\"2\""), [(0, 1), (86_460, 2)]);
}

#[test]
fn a_bad_row_is_named_with_its_line() {
    for (text, line, named) in [
        ("", None, "no row"),
        ("time,count\n", None, "no row"),
        ("0,5\nsoon,5", Some(2), "'soon' is no time"),
        ("0,5\n60,-1", Some(2), "no whole number"),
        ("0,many", Some(1), "no whole number"),
        ("0,NaN", Some(1), "no whole number"),
        ("time,count\n60,5\n0,5", Some(3), "order the rows"),
        ("time,a,b\n0,5,6", None, "more than one metric in it (a, b)"),
        ("0,5\n60\n120,5", Some(2), "a time without a value"),
        ("{\"Datapoints\": []}", None, "no row"),
        ("{\"Datapoints\": [{\"Timestamp\": \"2026-11-24T10:00:00Z\", \"Average\": 2.0}]}", None, "--statistics Sum"),
        ("{\"Datapoints\": [", None, "no JSON"),
        ("{\"Items\": []}", None, "Datapoints"),
        ("DATAPOINTS\t1.5\t2026-11-24T10:00:00Z\tCount", Some(1), "--statistics Sum"),
        (
            "{\"MetricDataResults\": [{\"Id\": \"a\", \"StatusCode\": \"PartialData\", \"Timestamps\": [], \"Values\": []}]}",
            None,
            "turn pages",
        ),
    ] {
        let (at, what) = refused(text);
        assert_eq!(at, line, "{text}");
        assert!(what.contains(named), "{text}: {what}");
    }
}
