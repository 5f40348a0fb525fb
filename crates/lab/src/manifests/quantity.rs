//! Quantities of Kubernetes: `250m`, `1.5`, `256Mi`, `1G`, `1e3`.

/// The value of a quantity as the API server reads it; `None` for what it refuses (`512MiB`, `1e3m`).
pub(crate) fn quantity(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = text.split_at(text.len() - unsigned.len() + end);
    let exponent = || suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok();
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 2_f64.powi(10),
        "Mi" => 2_f64.powi(20),
        "Gi" => 2_f64.powi(30),
        "Ti" => 2_f64.powi(40),
        "Pi" => 2_f64.powi(50),
        "Ei" => 2_f64.powi(60),
        _ => 10_f64.powi(exponent()?),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::quantity;

    #[test]
    fn what_the_api_server_takes_is_taken_and_nothing_else() {
        for (text, value) in [
            ("0.5", 0.5),
            ("+1", 1.0),
            ("250m", 0.25),
            ("1.5Gi", 1_610_612_736.0),
            ("1024M", 1_024_000_000.0),
            ("1Ti", 1_099_511_627_776.0),
            ("1E3", 1000.0),
            ("129e6", 129_000_000.0),
            ("134217728000m", 134_217_728.0),
            ("1E", 1e18),
        ] {
            assert_eq!(quantity(text), Some(value), "{text}");
        }
        for text in ["", "m", "512MiB", "512mi", "1e3m", "much", "1 Gi", "1.2.3"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
}
