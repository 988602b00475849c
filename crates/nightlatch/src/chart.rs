//! Pictures as SVG paths, drawn by the server: they are there without JavaScript.
//!
//! Colours and widths are the stylesheet's, so that they fit the dark, too.

use std::fmt::Write as _;
use std::time::Duration;

/// The width of a column and the height of a picture, in the picture's own units.
pub(crate) const COLUMN: usize = 6;
pub(crate) const HEIGHT: f64 = 120.0;

/// A step for each column that is known, each series upon the one before.
pub(crate) fn stacked(series: &[Vec<Option<f64>>], most: f64) -> Vec<String> {
    let mut floor = vec![0.0; series.first().map_or(0, Vec::len)];
    let mut paths = Vec::with_capacity(series.len());
    for values in series {
        let mut path = String::new();
        for (column, (value, below)) in values.iter().zip(&mut floor).enumerate() {
            let Some(value) = value.filter(|value| *value > 0.0) else { continue };
            let (bottom, top) = (height(*below, most), height(*below + value, most));
            let (left, right) = (column * COLUMN, (column + 1) * COLUMN);
            let _ = write!(path, "M{left} {bottom:.1}V{top:.1}H{right}V{bottom:.1}z");
            *below += value;
        }
        paths.push(path);
    }
    paths
}

/// A line through the columns that are known.
pub(crate) fn line(values: &[Option<f64>], most: f64) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (column, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_drawing = false;
            continue;
        };
        let (command, x) = (if is_drawing { 'L' } else { 'M' }, column * COLUMN + COLUMN / 2);
        let _ = write!(path, "{command}{x} {:.1}", height(*value, most));
        if !is_drawing {
            // A column alone would be a point, which nobody sees.
            path.push_str("h.1");
        }
        is_drawing = true;
    }
    path
}

/// The least of 1, 2 and 5 times a power of ten that is not less than any.
pub(crate) fn round_up(most: f64, least: f64) -> f64 {
    let most = most.max(least);
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|top| *top >= most)
        .unwrap_or(most)
}

/// As people read it: no more digits than mean something.
pub(crate) fn amount(value: f64) -> String {
    let text = if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// The same of a span of time.
pub(crate) fn span(span: Duration) -> String {
    let micros = span.as_micros();
    match micros {
        0 => "0".to_owned(),
        1..=999 => format!("{micros} µs"),
        1_000..=9_999 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..=999_999 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

/// From the top, as SVG counts.
fn height(value: f64, most: f64) -> f64 {
    HEIGHT - (value / most).clamp(0.0, 1.0) * HEIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_stand_upon_each_other_and_what_is_not_known_is_left_out() {
        let paths = stacked(&[vec![Some(1.0), None], vec![Some(3.0), Some(4.0)]], 4.0);
        assert_eq!(paths, ["M0 120.0V90.0H6V120.0z", "M0 90.0V0.0H6V90.0zM6 120.0V0.0H12V120.0z"]);
    }

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let path = line(&[Some(0.0), Some(5.0), None, Some(10.0)], 10.0);
        assert_eq!(path, "M3 120.0h.1L9 60.0M21 0.0h.1");
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (most, top) in [(0.0, 1.0), (1.0, 1.0), (1.2, 2.0), (37.0, 50.0), (501.0, 1000.0)] {
            assert!((round_up(most, 1.0) - top).abs() < 1e-9, "{most}");
        }
        assert!((round_up(0.03, 0.01) - 0.05).abs() < 1e-9);
    }
}
