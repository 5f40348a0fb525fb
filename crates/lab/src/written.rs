//! How times and counts are written, in every text, on every page and in what limits a run.

/// Scenario seconds for people: 250 ms, 34.0 s, 2 min 29 s, 1 h 24 min, 2 d 3 h. The pictures write them the same way
/// (html/draw.js).
pub fn seconds(seconds: f64) -> String {
    if seconds < 0.0 {
        return format!("−{}", self::seconds(-seconds));
    }
    let two = |high: u64, low: u64, a: &str, b: &str| match low {
        0 => format!("{} {a}", count(high)),
        low => format!("{} {a} {low} {b}", count(high)),
    };
    let whole = seconds.round() as u64;
    let minutes = (seconds / 60.0).round() as u64;
    let hours = (seconds / 3600.0).round() as u64;
    match seconds {
        short if short < 0.9995 => format!("{:.0} ms", short * 1000.0),
        short if short < 59.95 => format!("{short:.1} s"),
        _ if whole < 3600 => two(whole / 60, whole % 60, "min", "s"),
        _ if minutes < 24 * 60 => two(minutes / 60, minutes % 60, "h", "min"),
        _ => two(hours / 24, hours % 24, "d", "h"),
    }
}

/// A count with its thousands apart.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
