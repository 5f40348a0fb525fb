//! What the page's script draws: lines, marks, spans and labels on two axes, as columns of numbers.

use maud::{Markup, html};
use serde::{Serialize, Serializer};

use crate::target::TargetKind;

/// All pictures of a page.
#[derive(Default, Serialize)]
pub(super) struct Data {
    /// Whether states will come over server-sent events.
    pub live: bool,
    /// Positions along horizontal axes, which several lines share.
    columns: Vec<Short>,
    pictures: Vec<Picture>,
}

impl Data {
    /// Keeps a column, and gives the number by which lines name it.
    pub(super) fn column(&mut self, x: Vec<f64>) -> usize {
        self.columns.push(Short(x));
        self.columns.len() - 1
    }

    /// Adds a picture.
    pub(super) fn add(&mut self, picture: Picture) {
        self.pictures.push(picture);
    }
}

/// One picture; the page has a [`panel`] of the same id.
#[derive(Default, Serialize)]
pub(super) struct Picture {
    pub id: String,
    pub x: Axis,
    pub y: Axis,
    /// Pictures with the same word share their cursor and their zoom.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub sync: &'static str,
    /// A low picture, of which there are several.
    pub low: bool,
    pub lines: Vec<Line>,
    /// Points that say something.
    pub marks: Vec<Mark>,
    /// Decisions, in a lane above the picture: those that would touch become one mark with their number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lane: Vec<DecisionMark>,
    /// Stretches of the horizontal axis.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Stretch>,
}

/// One axis.
#[derive(Default, Serialize)]
pub(super) struct Axis {
    pub label: &'static str,
    pub unit: Unit,
    pub log: bool,
    /// Linear up to one, and logarithmic above: a few are seen beside thousands.
    pub burst: bool,
    /// Where it ends, if not at the highest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The picture below has the same axis, with its figures.
    pub bare: bool,
}

/// How the script writes a value.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    #[default]
    Number,
    Seconds,
    Usd,
}

/// What has a colour: the same thing has the same one on every page. The values are in page.css.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Color {
    Eks,
    Lambda,
    /// What is sent.
    Load,
    /// What has to be met.
    Goal,
    /// What was recorded elsewhere.
    Observed,
    /// Where the cheaper target changes, and what is of no target.
    #[default]
    Plain,
}

impl Color {
    pub(super) fn of(kind: TargetKind) -> Self {
        match kind {
            TargetKind::Eks => Self::Eks,
            TargetKind::Lambda => Self::Lambda,
        }
    }

    /// Its name in page.css.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Eks => "var(--eks)",
            Self::Lambda => "var(--lambda)",
            Self::Load => "var(--load)",
            Self::Goal => "var(--goal)",
            Self::Observed => "var(--observed)",
            Self::Plain => "var(--plain)",
        }
    }
}

/// One line.
#[derive(Clone, Default, Serialize)]
pub(super) struct Line {
    pub label: String,
    pub color: Color,
    /// How it is dashed: 0 is solid. Lines of one colour differ by this.
    pub dash: usize,
    /// The number of its column.
    pub x: usize,
    #[serde(serialize_with = "short")]
    pub y: Vec<Option<f64>>,
    /// Holds until the next point.
    pub step: bool,
    /// Filled down to the axis.
    pub fill: bool,
    /// The lower end of a band around it, if it has one.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "short")]
    pub low: Vec<Option<f64>>,
    /// The upper end.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "short")]
    pub high: Vec<Option<f64>>,
}

/// One point that says something.
#[derive(Serialize)]
pub(super) struct Mark {
    pub x: f64,
    pub y: f64,
    pub color: Color,
    pub look: Look,
    /// What stands beside it in the picture; empty for most.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub text: &'static str,
    pub tip: String,
}

/// How a mark looks.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// A full disc.
    Full,
    /// A ring.
    Hollow,
    /// A small faint disc.
    Faint,
    /// A large disc with a ring.
    Best,
    /// A square.
    Now,
}

/// A decision, or several in a row that came to the same.
#[derive(Serialize)]
pub(super) struct DecisionMark {
    pub x: f64,
    pub from: u32,
    pub to: u32,
    /// How many.
    pub looks: usize,
    pub color: Color,
    pub why: String,
    pub tip: String,
}

/// A stretch of the horizontal axis, shaded.
#[derive(Serialize)]
pub(super) struct Stretch {
    pub from: f64,
    pub to: f64,
    pub color: Color,
    /// A line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// What stands beside that line.
    pub label: String,
}

/// Every value of a line that has no gap.
pub(super) fn all(values: impl IntoIterator<Item = f64>) -> Vec<Option<f64>> {
    values.into_iter().map(Some).collect()
}

/// Numbers in as few characters as a picture needs: whole ones without a point, others with six digits.
fn short<S: Serializer>(numbers: &[Option<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(numbers.iter().map(|number| six_digits((*number)?)))
}

/// `None` of what is no number: a gap.
fn six_digits(number: f64) -> Option<serde_json::Number> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return Some((number as i64).into());
    }
    let scale = 10_f64.powf(5.0 - number.abs().log10().floor());
    let rounded = (number * scale).round() / scale;
    serde_json::Number::from_f64(if rounded.is_finite() { rounded } else { number })
}

/// A column of such numbers.
struct Short(Vec<f64>);

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|number| six_digits(*number)))
    }
}

/// The place of a picture: its heading, and what it shows in words. The script adds the legend.
pub(super) fn panel(id: &str, heading: &str, about: &str) -> Markup {
    html! {
        figure {
            figcaption { b { (heading) } " " span class="soft" { (about) } }
            div class="chart" id=(id) role="group" aria-label={ (heading) ": " (about) } {}
        }
    }
}

/// The data of a picture as a table, which the script fills when it is opened.
pub(super) fn data_table(id: &str, heading: &str) -> Markup {
    html! {
        details data-for=(id) {
            summary { (heading) " as a table" }
            div class="wide" role="region" tabindex="0" aria-label={ "Table: " (heading) } {}
        }
    }
}
