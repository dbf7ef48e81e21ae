//! The trend as two small line charts, drawn as SVG, with the same figures as a table.

use super::super::{
    TrendPoint,
    words::{count, day, tenths, time},
};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 44.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 22.0;

/// The trend of score and open violations.
pub(super) struct Trend {
    pub charts: Vec<Chart>,
    pub runs: Vec<RunView>,
    /// Whether any run was incomplete.
    pub incomplete: bool,
    pub from: String,
    pub to: String,
}

/// One line chart.
pub(super) struct Chart {
    pub id: &'static str,
    pub title: &'static str,
    /// The chart in a sentence, for those who do not see it.
    pub summary: String,
    /// Lines; a run without figure interrupts them.
    pub lines: Vec<String>,
    /// Area under the line, for the last stretch without interruption.
    pub areas: Vec<String>,
    pub points: Vec<Point>,
    pub ticks: Vec<Tick>,
    pub last: Option<Label>,
}

/// A run on the line.
pub(super) struct Point {
    pub x: String,
    pub y: String,
    pub complete: bool,
    pub title: String,
}

/// A line across with its figure.
pub(super) struct Tick {
    pub y: String,
    pub text_y: String,
    pub text: String,
}

/// A figure beside a point.
pub(super) struct Label {
    pub x: String,
    pub y: String,
    pub text: String,
}

/// One run in figures.
pub(super) struct RunView {
    pub run: String,
    pub at: String,
    pub score: String,
    pub open: String,
    pub new: String,
    pub fixed: String,
    pub complete: &'static str,
}

impl Trend {
    /// The charts, where there are at least two runs to compare.
    pub fn new(points: &[TrendPoint]) -> Option<Self> {
        let [first, .., last] = points else {
            return None;
        };
        let scores: Vec<Option<f64>> = points.iter().map(|point| point.score).collect();
        let open: Vec<Option<f64>> = points.iter().map(|point| Some(float(point.open))).collect();
        let lowest = scores.iter().flatten().copied().fold(100.0, f64::min);
        let floor = ((lowest - 1.0) / 10.0).floor().max(0.0) * 10.0;
        let ceiling = nice(open.iter().flatten().copied().fold(0.0, f64::max));
        Some(Self {
            charts: vec![
                chart("score", "Score", points, &scores, (floor, 100.0), tenths),
                chart("open", "Open violations", points, &open, (0.0, ceiling), |value| {
                    format!("{value:.0}")
                }),
            ],
            runs: points.iter().rev().map(run).collect(),
            incomplete: points.iter().any(|point| !point.complete),
            from: day(first.at),
            to: day(last.at),
        })
    }
}

fn run(point: &TrendPoint) -> RunView {
    RunView {
        run: point.run.clone(),
        at: time(point.at),
        score: point.score.map_or("no score".to_owned(), tenths),
        open: count(point.open),
        new: count(point.new),
        fixed: count(point.fixed),
        complete: if point.complete { "complete" } else { "incomplete" },
    }
}

fn chart(
    id: &'static str,
    title: &'static str,
    points: &[TrendPoint],
    values: &[Option<f64>],
    (low, high): (f64, f64),
    text: fn(f64) -> String,
) -> Chart {
    let step = (WIDTH - LEFT - RIGHT) / float(values.len().saturating_sub(1).max(1) as u64);
    let y_of = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value - low) / (high - low));
    let mut lines: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    let mut marks = Vec::new();
    let mut last = None;
    let mut x = LEFT;
    let crowded = values.len() > 45;
    for (point, value) in points.iter().zip(values) {
        match value {
            Some(value) => {
                let y = y_of(*value);
                if let Some(line) = lines.last_mut() {
                    line.push((x, y));
                }
                last = Some(Label { x: place(x + 7.0), y: place(y + 4.0), text: text(*value) });
                if !crowded || !point.complete {
                    marks.push(Point {
                        x: place(x),
                        y: place(y),
                        complete: point.complete,
                        title: format!(
                            "{}: {}{}",
                            time(point.at),
                            text(*value),
                            if point.complete { "" } else { ", incomplete" }
                        ),
                    });
                }
            }
            None => lines.push(Vec::new()),
        }
        x += step;
    }
    lines.retain(|line| !line.is_empty());
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let summary = match (known.first(), known.last()) {
        (Some(first), Some(last)) => {
            format!("{title} went from {} to {} over {} runs.", text(*first), text(*last), values.len())
        }
        _ => format!("{title}: no figures."),
    };
    let base = HEIGHT - BOTTOM;
    Chart {
        id,
        title,
        summary,
        areas: lines.iter().filter_map(|line| area(line, base)).collect(),
        lines: lines.iter().map(|line| path(line)).collect(),
        points: marks,
        ticks: [low, f64::midpoint(low, high), high]
            .into_iter()
            .map(|value| Tick { y: place(y_of(value)), text_y: place(y_of(value) + 3.5), text: tick(value) })
            .collect(),
        last,
    }
}

fn path(line: &[(f64, f64)]) -> String {
    line.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn area(line: &[(f64, f64)], base: f64) -> Option<String> {
    let [(first, _), .., (last, _)] = line else {
        return None;
    };
    Some(format!("{first:.1},{base:.1} {} {last:.1},{base:.1}", path(line)))
}

fn place(number: f64) -> String {
    format!("{number:.1}")
}

fn tick(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// The next number that divides well into halves.
fn nice(most: f64) -> f64 {
    let mut size = 10.0;
    loop {
        for part in [0.2, 0.4, 0.6, 1.0] {
            if most <= size * part {
                return size * part;
            }
        }
        size *= 10.0;
    }
}

#[allow(clippy::cast_precision_loss, reason = "a chart shows three digits")]
fn float(number: u64) -> f64 {
    number as f64
}
