//! Two distributions as SVG: of numbers the shares at or below each value, of categories a pair of bars each.

use std::fmt::Write as _;

use super::svg::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes, begin, escaped, label, number};

const BEFORE: &str = "#888888";
const NOW: &str = "#0b5fa5";
/// Categories that are drawn, those with most rows.
const BARS_MAX: usize = 12;
/// Values whose largest is so many times their smallest are drawn on a logarithmic scale.
const LOGARITHMIC_FROM: f64 = 30.0;
/// Where the names of categories end.
const NAMES: f64 = 230.0;
/// How long a name is drawn, in characters.
const NAME_MAX: usize = 30;

/// How often each value was there, in the reference and in the window.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers in order.
    Numbers(Vec<(f64, u64, u64)>),
    /// Names in any order.
    Categories(Vec<(String, u64, u64)>),
}

/// A column before and in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributions {
    /// What is shown: a title of one line.
    pub title: String,
    /// The values.
    pub values: Values,
}

/// Both distributions as a document of its own.
pub fn distributions(shown: &Distributions) -> String {
    let mut out = begin(&shown.title);
    for (place, (color, name)) in [(BEFORE, "reference"), (NOW, "window")].iter().enumerate() {
        let x = WIDTH - RIGHT - 190.0 + 100.0 * place as f64;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"12\" width=\"10\" height=\"10\" fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"21\" fill=\"#444444\">{name}</text>",
            x + 15.0
        );
    }
    match &shown.values {
        Values::Numbers(values) => curves(&mut out, values),
        Values::Categories(values) => bars(&mut out, values),
    }
    out.push_str("</svg>\n");
    out
}

/// Where numbers and shares are on the picture.
struct Scale {
    is_logarithmic: bool,
    low: f64,
    width: f64,
}

impl Scale {
    fn of(first: f64, last: f64) -> Self {
        let is_logarithmic = first > 0.0 && last / first > LOGARITHMIC_FROM;
        let ends = [first, last].map(|end| if is_logarithmic { end.ln() } else { end });
        Self {
            is_logarithmic,
            low: ends[0],
            width: (ends[1] - ends[0]).max(f64::MIN_POSITIVE),
        }
    }

    fn x(&self, value: f64) -> f64 {
        let scaled = if self.is_logarithmic {
            value.ln()
        } else {
            value
        };
        LEFT + (scaled - self.low) / self.width * (WIDTH - LEFT - RIGHT)
    }

    fn middle(&self) -> f64 {
        let middle = self.low + self.width / 2.0;
        if self.is_logarithmic {
            middle.exp()
        } else {
            middle
        }
    }
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

fn curves(out: &mut String, values: &[(f64, u64, u64)]) {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return;
    };
    let scale = Scale::of(first.0, last.0);
    axes(out);
    for percent in [0, 50, 100] {
        let y = y(f64::from(percent) / 100.0) + 4.0;
        label(out, (LEFT - 6.0, y), "end", &format!("{percent} %"));
    }
    for (value, anchor) in [
        (first.0, "start"),
        (scale.middle(), "middle"),
        (last.0, "end"),
    ] {
        let at = (scale.x(value), HEIGHT - BOTTOM + 18.0);
        label(out, at, anchor, &number(value));
    }
    let reference = values.iter().map(|value| (value.0, value.1));
    curve(out, &scale, reference, BEFORE);
    let window = values.iter().map(|value| (value.0, value.2));
    curve(out, &scale, window, NOW);
}

/// The shares at or below each value, as steps.
fn curve(
    out: &mut String,
    scale: &Scale,
    counts: impl Iterator<Item = (f64, u64)> + Clone,
    color: &str,
) {
    let total: u64 = counts.clone().map(|(_, count)| count).sum();
    let mut so_far = 0;
    let mut line = format!("M {LEFT} {}", HEIGHT - BOTTOM);
    for (value, count) in counts {
        so_far += count;
        let share = so_far as f64 / total.max(1) as f64;
        let _ = write!(line, " H {:.1} V {:.1}", scale.x(value), y(share));
    }
    let _ = writeln!(
        out,
        "<path d=\"{line}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\"/>"
    );
}

fn bars(out: &mut String, values: &[(String, u64, u64)]) {
    let totals = values.iter().fold((0, 0), |sums: (u64, u64), value| {
        (sums.0 + value.1, sums.1 + value.2)
    });
    let share = |count: u64, total: u64| count as f64 / total.max(1) as f64;
    let mut shares: Vec<_> = values
        .iter()
        .map(|(name, before, now)| (name, share(*before, totals.0), share(*now, totals.1)))
        .collect();
    shares.sort_by(|a, b| {
        let most = |one: &(&String, f64, f64)| one.1.max(one.2);
        most(b).total_cmp(&most(a)).then_with(|| a.0.cmp(b.0))
    });
    shares.truncate(BARS_MAX);
    let largest = shares
        .iter()
        .fold(0.0, |so_far: f64, one| so_far.max(one.1).max(one.2));
    let step = (HEIGHT - TOP - 10.0) / shares.len().max(1) as f64;
    for (place, (name, before, now)) in shares.into_iter().enumerate() {
        let top = TOP + step * place as f64;
        let short: String = name.chars().take(NAME_MAX).collect();
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#1a1a1a\">{}</text>",
            NAMES - 8.0,
            top + step / 2.0 + 4.0,
            escaped(&short)
        );
        for (half, (share, color)) in [(before, BEFORE), (now, NOW)].into_iter().enumerate() {
            let width = share / largest.max(f64::MIN_POSITIVE) * (WIDTH - RIGHT - 60.0 - NAMES);
            let y = top + step * (0.1 + 0.4 * half as f64);
            let _ = writeln!(
                out,
                "<rect x=\"{NAMES}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{color}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#444444\">{:.1} %</text>",
                step * 0.38,
                NAMES + width + 5.0,
                y + step * 0.19 + 3.5,
                share * 100.0
            );
        }
    }
}
