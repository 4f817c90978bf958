use super::*;

const MINUTE_US: i64 = 60_000_000;

fn series() -> Series {
    let value = |place: i64| match place {
        20 => None,
        30..40 => Some(0.5),
        _ => Some(0.01),
    };
    Series {
        title: "error_rate of <chat> & more".to_owned(),
        unit: Some("ratio".to_owned()),
        points: (0..60)
            .map(|place| (place * MINUTE_US, value(place)))
            .collect(),
        window_us: MINUTE_US,
        reference: 0.01,
        since_us: 30 * MINUTE_US,
        noticed_us: 33 * MINUTE_US,
        ended_us: Some(40 * MINUTE_US),
    }
}

#[test]
fn a_line_of_blocks_shows_the_change_and_its_marks() {
    let (blocks, marks) = sparkline(&series(), 60);
    assert_eq!(blocks.chars().count(), 60);
    assert_eq!(blocks.chars().nth(20), Some('·'));
    assert_eq!(blocks.chars().nth(35), Some('█'));
    assert_eq!(blocks.chars().nth(45), Some('▁'));
    let marked: Vec<_> = marks
        .chars()
        .enumerate()
        .filter(|(_, c)| *c != ' ')
        .collect();
    assert_eq!(marked, [(30, '┬'), (32, '▲'), (40, '┴')]);
    let (narrow, _) = sparkline(&series(), 12);
    assert_eq!(narrow.chars().count(), 12);
    assert_eq!(
        narrow.chars().nth(7),
        Some('█'),
        "the highest of five is shown"
    );
}

#[test]
fn a_picture_is_whole_and_its_text_is_text() {
    let picture = svg(&series());
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    assert!(picture.contains("error_rate of &lt;chat&gt; &amp; more"));
    assert_eq!(
        picture.matches("<polyline").count(),
        2,
        "one on each side of what is not known"
    );
    assert!(picture.contains("expected 0.01") && picture.contains("noticed"));
    assert!(!picture.contains("NaN"));
}

#[test]
fn nothing_to_show_is_shown_as_nothing() {
    let empty = Series {
        points: Vec::new(),
        ..series()
    };
    assert_eq!(sparkline(&empty, 60), (String::new(), String::new()));
    assert!(!svg(&empty).contains("NaN"));
}

fn drawn(values: Values) -> String {
    distributions(&Distributions {
        title: "latency_ms of <chat>".to_owned(),
        values,
    })
}

#[test]
fn two_distributions_of_numbers_are_two_curves_from_none_to_all() {
    let values = (1..=100).map(|place| (f64::from(place), 3, u64::from(place > 50) * 2));
    let picture = drawn(Values::Numbers(values.collect()));
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    assert!(picture.contains("latency_ms of &lt;chat&gt;"));
    let curves: Vec<_> = picture
        .lines()
        .filter(|line| line.contains("stroke-width=\"1.8\""))
        .collect();
    assert_eq!(curves.len(), 2);
    // All of both is at the top, and half of the reference where the window has nothing yet.
    assert!(curves.iter().all(|curve| curve.contains(" V 40.0\"")));
    assert!(!drawn(Values::Numbers(Vec::new())).contains("NaN"));
}

#[test]
fn two_distributions_of_categories_are_pairs_of_bars_the_largest_first() {
    let values = (0..40_u64)
        .map(|place| (format!("task & {place:02}"), 100 - place, place))
        .collect();
    let picture = drawn(Values::Categories(values));
    assert_eq!(picture.matches("text-anchor=\"end\"").count(), 12);
    let (first, second) = (picture.find("task &amp; 39"), picture.find("task &amp; 38"));
    assert!(first.is_some() && first < second, "{picture}");
    assert!(!drawn(Values::Categories(Vec::new())).contains("NaN"));
}
