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
