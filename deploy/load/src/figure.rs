//! One measured figure, its baseline, and what is asked of it.
use serde_json::{Value, json};

/// What is asked of a figure: of its ratio to the baseline, or of the value itself.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// value ÷ baseline is at least this.
    RatioAtLeast(f64),
    /// value ÷ baseline is at most this.
    RatioAtMost(f64),
    /// The value is at least this.
    AtLeast(f64),
    /// The value is at most this.
    AtMost(f64),
    /// Shown only.
    None,
}

/// A figure: the median of its repeats.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The median.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The baseline of the same run, in the same unit.
    pub baseline: Option<f64>,
    /// What is asked.
    pub bound: Bound,
    /// CPU time per operation, of all processes concerned, in microseconds.
    pub cpu_us: Option<f64>,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.baseline.filter(|baseline| *baseline > 0.0).map(|baseline| self.value / baseline)
    }

    /// Whether what is asked is met.
    pub fn holds(&self) -> bool {
        match self.bound {
            Bound::RatioAtLeast(bound) => self.ratio().is_some_and(|ratio| ratio >= bound),
            Bound::RatioAtMost(bound) => self.ratio().is_some_and(|ratio| ratio <= bound),
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::AtMost(bound) => self.value <= bound,
            Bound::None => true,
        }
    }

    /// One object: `figure, value, unit, baseline, ratio, at_least | at_most, holds`.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "figure": self.name, "value": self.value, "unit": self.unit, "baseline": self.baseline,
            "ratio": self.ratio(), "cpu_us": self.cpu_us, "holds": self.holds(),
        });
        match self.bound {
            Bound::RatioAtLeast(bound) | Bound::AtLeast(bound) => object["at_least"] = json!(bound),
            Bound::RatioAtMost(bound) | Bound::AtMost(bound) => object["at_most"] = json!(bound),
            Bound::None => {}
        }
        object
    }
}

/// Prints the figures for people.
pub fn print_table(figures: &[Figure]) {
    println!(
        "{:<58} {:>11} {:<9} {:>11} {:>7} {:>9} {:>10}  holds",
        "figure", "value", "unit", "baseline", "ratio", "cpu us", "asked"
    );
    for figure in figures {
        let asked = match figure.bound {
            Bound::RatioAtLeast(bound) => format!("x >= {bound}"),
            Bound::RatioAtMost(bound) => format!("x <= {bound}"),
            Bound::AtLeast(bound) => format!(">= {bound}"),
            Bound::AtMost(bound) => format!("<= {bound}"),
            Bound::None => String::new(),
        };
        let shown = |number: Option<f64>| number.map_or(String::new(), |number| format!("{number:.2}"));
        println!(
            "{:<58} {:>11.2} {:<9} {:>11} {:>7} {:>9} {:>10}  {}",
            figure.name,
            figure.value,
            figure.unit,
            shown(figure.baseline),
            shown(figure.ratio()),
            shown(figure.cpu_us),
            asked,
            if figure.holds() { "yes" } else { "NO" }
        );
    }
}
