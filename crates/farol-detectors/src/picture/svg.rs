//! A series as SVG: the measure as a line, what was expected as a dashed one, the incident as a band, the alarm as a line.

use std::fmt::Write as _;

use farol_jobs::time::rfc3339;

use super::Series;

pub(super) const WIDTH: f64 = 860.0;
pub(super) const HEIGHT: f64 = 300.0;
pub(super) const LEFT: f64 = 76.0;
pub(super) const RIGHT: f64 = 16.0;
pub(super) const TOP: f64 = 40.0;
pub(super) const BOTTOM: f64 = 40.0;

/// The series as a document of its own.
pub fn svg(series: &Series) -> String {
    let plot = Plot::of(series);
    let mut out = begin(&series.title);
    let end_us = series.ended_us.unwrap_or(plot.to_us);
    band(&mut out, &plot, series.since_us, end_us);
    frame(&mut out, &plot, series);
    let y = plot.y(series.reference);
    let right = WIDTH - RIGHT;
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#666666\" stroke-dasharray=\"6 4\"/>\n\
         <text x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666666\">expected {}</text>",
        y - 5.0,
        number(series.reference)
    );
    for line in lines(series, &plot) {
        let _ = writeln!(
            out,
            "<polyline points=\"{line}\" fill=\"none\" stroke=\"#0b5fa5\" stroke-width=\"1.6\"/>"
        );
    }
    let x = plot.x(series.noticed_us);
    let bottom = HEIGHT - BOTTOM;
    let _ = writeln!(
        out,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"#b3261e\" stroke-width=\"1.5\"/>\n\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#b3261e\">noticed</text>\n</svg>",
        TOP - 4.0
    );
    out
}

/// A document's beginning: its size and its title.
pub(super) fn begin(title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" fill=\"#1a1a1a\">{}</text>\n",
        escaped(title)
    )
}

/// The two axes.
pub(super) fn axes(out: &mut String) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let _ = writeln!(
        out,
        "<path d=\"M {LEFT} {TOP} V {bottom} H {right}\" fill=\"none\" stroke=\"#999999\"/>"
    );
}

/// Where times and values are on the picture.
struct Plot {
    from_us: i64,
    to_us: i64,
    low: f64,
    high: f64,
}

impl Plot {
    fn of(series: &Series) -> Self {
        let (low, high) = series.extent();
        let first = series
            .points
            .first()
            .map_or(series.since_us, |point| point.0);
        let last = series
            .points
            .last()
            .map_or(series.noticed_us, |point| point.0);
        Self {
            from_us: first,
            to_us: (last + series.window_us).max(first + 1),
            low,
            high,
        }
    }

    fn x(&self, time_us: i64) -> f64 {
        let part = (time_us - self.from_us) as f64 / (self.to_us - self.from_us) as f64;
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - part.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

fn band(out: &mut String, plot: &Plot, from_us: i64, to_us: i64) {
    let (from, to) = (plot.x(from_us), plot.x(to_us));
    let _ = writeln!(
        out,
        "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\" fill=\"#b3261e\" fill-opacity=\"0.10\"/>",
        (to - from).max(1.0),
        HEIGHT - TOP - BOTTOM
    );
}

fn frame(out: &mut String, plot: &Plot, series: &Series) {
    axes(out);
    for value in [plot.low, f64::midpoint(plot.low, plot.high), plot.high] {
        let at = (LEFT - 6.0, plot.y(value) + 4.0);
        label(out, at, "end", &number(value));
    }
    if let Some(unit) = &series.unit {
        label(out, (6.0, TOP - 6.0), "start", unit);
    }
    for (time_us, anchor) in [(plot.from_us, "start"), (plot.to_us, "end")] {
        let at = (plot.x(time_us), HEIGHT - BOTTOM + 18.0);
        label(out, at, anchor, &rfc3339(time_us));
    }
}

/// A text at a place, which is its start, its middle or its end.
pub(super) fn label(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#444444\">{}</text>",
        escaped(text)
    );
}

/// The points of each unbroken piece of the line: where a value is not known, there is none.
fn lines(series: &Series, plot: &Plot) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (start_us, value) in &series.points {
        match (value, lines.last_mut()) {
            (Some(value), Some(line)) => {
                let middle = start_us + series.window_us / 2;
                let _ = write!(line, "{:.1},{:.1} ", plot.x(middle), plot.y(*value));
            }
            _ => lines.push(String::new()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// Four digits, as a person reads them.
pub(super) fn number(value: f64) -> String {
    let digits = if value == 0.0 {
        0
    } else {
        (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
