//! Small pictures in a line of text: an hour as a line, an area or bars, and a part of a whole.

use std::fmt::Write;

use super::escape::escaped;

/// Returns an hour as an area under a line. The tallest value fills the height.
pub(crate) fn area(values: &[f64], (width, height): (u32, u32), label: &str) -> String {
    let points = points(values, (width, height));
    let shape = format!(
        "<polygon class=\"a1\" points=\"0,{height} {points} {width},{height}\"/>{}",
        stroke("l1", &points)
    );
    picture((width, height), label, &shape)
}

/// Returns an hour as a line of a class.
pub(crate) fn line(
    values: &[f64],
    (width, height): (u32, u32),
    class: &str,
    label: &str,
) -> String {
    picture((width, height), label, &stroke(class, &points(values, (width, height))))
}

/// Returns an hour as bars, a bar a value.
pub(crate) fn bars(values: &[f64], (width, height): (u32, u32), label: &str) -> String {
    let most = most(values);
    let step = f64::from(width) / values.len().max(1) as f64;
    let mut shape = String::new();
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        let tall = (value / most * f64::from(height - 1)).max(1.0);
        // Writing to a string does not fail.
        let _ = write!(
            shape,
            "<rect class=\"bad-bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
            at as f64 * step,
            f64::from(height) - tall,
            (step * 0.75).max(0.5),
        );
    }
    picture((width, height), label, &shape)
}

/// Returns a part of a whole as a bar; full ones warn.
pub(crate) fn meter(part: f64, (width, height): (u32, u32)) -> String {
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let class = if part >= 0.9 { "warn-bar" } else { "c1-bar" };
    let round = f64::from(height) / 2.0;
    format!(
        "<svg class=\"meter\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" width=\"{width}\" \
         height=\"{height}\" rx=\"{round}\"/><rect class=\"{class}\" width=\"{:.1}\" \
         height=\"{height}\" rx=\"{round}\"/></svg>",
        part * f64::from(width)
    )
}

fn picture((width, height): (u32, u32), label: &str, shape: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{shape}</svg>",
        escaped(label)
    )
}

fn stroke(class: &str, points: &str) -> String {
    format!(
        "<polyline class=\"{class}\" points=\"{points}\" vector-effect=\"non-scaling-stroke\"/>"
    )
}

fn points(values: &[f64], (width, height): (u32, u32)) -> String {
    let (most, last) = (most(values), values.len().saturating_sub(1).max(1));
    let mut points = String::new();
    for (at, value) in values.iter().enumerate() {
        let x = at as f64 * f64::from(width) / last as f64;
        let value = if value.is_finite() { value.clamp(0.0, most) } else { most };
        let y = f64::from(height) - 1.0 - value / most * f64::from(height - 2);
        let _ = write!(points, "{x:.1},{y:.1} ");
    }
    points
}

/// Returns the tallest value; 1 for none, so that an empty hour is a flat line.
fn most(values: &[f64]) -> f64 {
    let most = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    if most > 0.0 { most } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stay_inside_of_their_frame_whatever_the_values() {
        for values in [vec![], vec![0.0; 3], vec![1.0], vec![5.0, f64::INFINITY, -3.0, 10.0]] {
            for picture in [
                area(&values, (60, 20), "a <b>"),
                line(&values, (60, 20), "l2", "x"),
                bars(&values, (60, 20), "x"),
            ] {
                assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"), "{picture}");
                assert!(!picture.contains("NaN") && !picture.contains("<b>"), "{picture}");
            }
        }
        let drawn = area(&[0.0, 10.0], (60, 20), "x");
        assert!(drawn.contains("0.0,19.0 60.0,1.0"), "{drawn}");
        assert!(meter(f64::NAN, (56, 6)).contains("width=\"0.0\""));
        assert!(meter(0.95, (56, 6)).contains("warn-bar"));
    }
}
