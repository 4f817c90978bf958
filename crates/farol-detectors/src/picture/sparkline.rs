//! A series as one line of blocks.

use super::Series;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// What stands for a window without a value.
const UNKNOWN: char = '·';

/// The series as blocks, `width` at the most, and below it a line of marks: `┬` where the change began, `▲` where it was
/// noticed, `┴` where it was over. Of several windows in one block the value farthest from the reference is shown.
pub fn sparkline(series: &Series, width: usize) -> (String, String) {
    let count = series.points.len();
    let width = width.clamp(1, count.max(1));
    let (low, high) = series.extent();
    let mut blocks = String::new();
    let mut marks = String::new();
    for block in 0..width.min(count) {
        let from = block * count / width;
        let to = ((block + 1) * count / width).max(from + 1);
        let within = &series.points[from..to];
        let away = |value: &f64| (value - series.reference).abs();
        let value = within
            .iter()
            .filter_map(|(_, value)| *value)
            .max_by(|a, b| away(a).total_cmp(&away(b)));
        blocks.push(value.map_or(UNKNOWN, |value| {
            let place = (value - low) / (high - low) * (BLOCKS.len() - 1) as f64;
            BLOCKS[(place.round() as usize).min(BLOCKS.len() - 1)]
        }));
        let (start_us, end_us) = (within[0].0, within[within.len() - 1].0 + series.window_us);
        let is_in = |time_us: i64| (start_us..end_us).contains(&time_us);
        marks.push(if is_in(series.noticed_us - 1) {
            '▲'
        } else if is_in(series.since_us) {
            '┬'
        } else if series.ended_us.is_some_and(is_in) {
            '┴'
        } else {
            ' '
        });
    }
    (blocks, marks.trim_end().to_owned())
}
