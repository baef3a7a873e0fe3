//! A line of bars, one character each.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as bars between the lowest and the highest of the scale; a gap where there is none.
pub(super) fn sparkline(values: &[Option<f64>], low: f64, high: f64) -> String {
    let bar = |value: f64| {
        let part = (value - low) / (high - low);
        // A scale without extent, or a value that is no number, is at its foot.
        let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
        // At most the last of them, as just clamped.
        let place = (part * (BARS.len() - 1) as f64).round() as usize;
        BARS.get(place).copied().unwrap_or(' ')
    };
    values.iter().map(|value| value.map_or(' ', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_reach_from_the_lowest_to_the_highest() {
        let values = [Some(0.0), None, Some(0.5), Some(1.0), Some(7.0), Some(f64::NAN)];
        assert_eq!(sparkline(&values, 0.0, 1.0), "▁ ▅██▁");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)], 0.0, 0.0), "▁▁");
    }
}
