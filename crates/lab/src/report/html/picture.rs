//! What the page's script draws: lines and marks on two axes, as columns of numbers.

use serde::{Serialize, Serializer};

use super::escape;

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

/// One picture; the page has a [`figure`] of the same id.
#[derive(Default, Serialize)]
pub(super) struct Picture {
    pub id: String,
    pub x: Axis,
    pub y: Axis,
    /// Pictures with the same word share their cursor.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub sync: &'static str,
    /// A low picture, of which there are several.
    pub low: bool,
    pub lines: Vec<Line>,
    pub marks: Vec<Mark>,
}

/// One axis.
#[derive(Default, Serialize)]
pub(super) struct Axis {
    pub label: &'static str,
    pub unit: Unit,
    pub log: bool,
    /// Where it ends, if not at the highest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// How the script writes a value.
#[derive(Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    #[default]
    Number,
    Seconds,
    Usd,
}

/// One line.
#[derive(Default, Serialize)]
pub(super) struct Line {
    pub label: String,
    /// Place in the palette.
    pub color: usize,
    /// The number of its column.
    pub x: usize,
    #[serde(serialize_with = "short")]
    pub y: Vec<f64>,
    /// Holds until the next point.
    pub step: bool,
    /// Filled down to the axis.
    pub fill: bool,
    pub dashed: bool,
    /// The lower end of a band around it, if it has one.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "short")]
    pub low: Vec<f64>,
    /// The upper end.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "short")]
    pub high: Vec<f64>,
}

/// One point that says something.
#[derive(Serialize)]
pub(super) struct Mark {
    pub x: f64,
    pub y: f64,
    pub color: usize,
    /// Drawn hollow: a look that changed nothing.
    pub look: bool,
    pub tip: String,
}

/// Numbers in as few characters as a picture needs: whole ones without a point, others with six digits.
fn short<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(numbers.iter().map(|number| match number {
        whole if whole.fract() == 0.0 && whole.abs() < 1e15 => serde_json::Number::from(*whole as i64),
        other => {
            let scale = 10_f64.powf(5.0 - other.abs().log10().floor());
            let rounded = (other * scale).round() / scale;
            serde_json::Number::from_f64(if rounded.is_finite() { rounded } else { *other }).unwrap_or_else(|| 0.into())
        }
    }))
}

/// A column of such numbers.
struct Short(Vec<f64>);

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        short(&self.0, serializer)
    }
}

/// A figure with its heading, its caption, and its data as a table, which the script fills when it is opened.
pub(super) fn section(id: &str, heading: &str, caption: &str) -> String {
    format!("<h2>{}</h2>{}", escape(heading), figure(id, caption))
}

/// The same without a heading.
pub(super) fn figure(id: &str, caption: &str) -> String {
    format!(
        "<figure><div class=\"chart\" id=\"{id}\" role=\"group\" aria-label=\"{0}\"></div><figcaption>{0}</figcaption>\
         <details data-for=\"{id}\"><summary>The same as a table</summary><div class=\"wide\" role=\"region\" \
         tabindex=\"0\" aria-label=\"Table: {0}\"></div></details></figure>",
        escape(caption)
    )
}
