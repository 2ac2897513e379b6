//! Writing an exposition: the part whose speed matters where there are many servers.

use std::fmt::Write;
use std::time::Duration;

use super::{Family, FamilyKind, Format};
use crate::control::{Age, BOUNDS, Histogram, Timestamp};
use crate::health::Load;

/// Takes the samples of one family.
pub(super) struct Samples<'a> {
    text: &'a mut String,
    family: &'a Family,
    format: Format,
    begun: bool,
}

/// The value of a sample.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Whole(u64),
    Fraction(f64),
}

impl<'a> Samples<'a> {
    pub(super) const fn new(text: &'a mut String, family: &'a Family, format: Format) -> Self {
        Self { text, family, format, begun: false }
    }

    /// One sample. `labels` are parts made by [`label`], or literals; empty ones are passed over.
    pub(super) fn put(&mut self, labels: &[&str], value: impl Into<Value>) {
        self.begin();
        self.text.push_str(self.family.name);
        self.labels(labels);
        self.value(value.into());
    }

    /// A sample without labels.
    pub(super) fn one(&mut self, value: impl Into<Value>) {
        self.put(&[], value);
    }

    /// One series for each of `names` under `labels`, of which that of `now` is 1.
    pub(super) fn set<'n>(
        &mut self,
        labels: &str,
        names: impl IntoIterator<Item = &'n str>,
        now: &str,
    ) {
        for name in names {
            self.put(&[labels, name], name == now);
        }
    }

    /// All series of a histogram.
    pub(super) fn histogram(&mut self, labels: &str, histogram: &Histogram) {
        self.begin();
        for ((_, bound), count) in BOUNDS.iter().zip(histogram.cumulative()) {
            self.bucket(labels, bound, count);
        }
        self.bucket(labels, "+Inf", histogram.count());
        self.part("_sum", labels, Value::from(histogram.sum()));
        self.part("_count", labels, Value::from(histogram.count()));
    }

    fn bucket(&mut self, labels: &str, bound: &str, count: u64) {
        self.text.push_str(self.family.name);
        self.text.push_str("_bucket{");
        self.text.push_str(labels);
        if !labels.is_empty() {
            self.text.push(',');
        }
        self.text.push_str("le=\"");
        self.text.push_str(bound);
        self.text.push_str("\"}");
        self.value(Value::from(count));
    }

    fn part(&mut self, suffix: &str, labels: &str, value: Value) {
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        self.labels(&[labels]);
        self.value(value);
    }

    /// The head of the family, before its first sample.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let Family { name, kind, help, .. } = self.family;
        // A counter is called by the name of its samples in one format and without its ending in
        // the other.
        let name = match (self.format, kind) {
            (Format::OpenMetrics, FamilyKind::Counter) => name.trim_end_matches("_total"),
            _ => name,
        };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
    }

    fn labels(&mut self, labels: &[&str]) {
        let mut separator = '{';
        for label in labels.iter().filter(|label| !label.is_empty()) {
            self.text.push(separator);
            self.text.push_str(label);
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
    }

    fn value(&mut self, value: Value) {
        self.text.push(' ');
        match value {
            Value::Whole(number) => whole(self.text, number),
            Value::Fraction(number) => {
                let _ = write!(self.text, "{number}");
            }
        }
        self.text.push('\n');
    }
}

/// `name="value"`, with what a value may not contain escaped.
pub(super) fn label(name: &str, value: &str) -> String {
    let mut text = String::with_capacity(name.len() + value.len() + 3);
    text.push_str(name);
    text.push_str("=\"");
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Digits by hand: formatting is most of the work for some hundred thousand samples.
fn whole(text: &mut String, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        // A remainder of 10 is one digit.
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[first..]).unwrap_or_default());
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<bool> for Value {
    fn from(holds: bool) -> Self {
        Self::Whole(holds.into())
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Self::Fraction(duration.as_secs_f64())
    }
}

impl From<Load> for Value {
    fn from(load: Load) -> Self {
        Self::Fraction(load.get())
    }
}

impl From<Age> for Value {
    fn from(age: Age) -> Self {
        age.0.into()
    }
}

impl From<Timestamp> for Value {
    /// Seconds since 1970, as Prometheus has them.
    fn from(at: Timestamp) -> Self {
        Duration::from_millis(at.0).into()
    }
}
