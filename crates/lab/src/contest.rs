//! The one rule by which a target wins on a figure.

/// Two figures that differ by less than this share of the higher one are called equal.
const TIE: f64 = 0.05;

/// Which of two figures is the lower one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lower {
    /// The first.
    First,
    /// The second.
    Second,
    /// They are about the same.
    Neither,
}

/// Which of two figures is the lower one, if they are not about the same.
pub(crate) fn lower(x: f64, y: f64) -> Lower {
    match (x - y).abs() <= TIE * x.max(y) {
        true => Lower::Neither,
        false if x < y => Lower::First,
        false => Lower::Second,
    }
}
