//! Two texts compared line by line, as people read a difference.

use serde::Serialize;
use similar::{Algorithm, Change, ChangeTag, DiffOp, capture_diff_slices};

/// The most pairs of lines that are compared, so that nobody keeps the server busy with it; texts that
/// differ in more are shown as a whole.
const MOST: usize = 1 << 20;

/// Whether a line is in both texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// In both.
    Same,
    /// Only in the first.
    Gone,
    /// Only in the second.
    New,
}

/// A line of a comparison.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) mark: Mark,
    /// Its number in the first text, from 1.
    pub(crate) before: Option<usize>,
    /// Its number in the second one.
    pub(crate) after: Option<usize>,
    pub(crate) text: &'a str,
}

/// All lines of both texts, what is gone ahead of what is new in its place.
pub(crate) fn compare<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let line = |change: Change<&'a str>| Line {
        mark: Mark::from(change.tag()),
        before: change.old_index().map(|index| index + 1),
        after: change.new_index().map(|index| index + 1),
        text: change.value(),
    };
    let stretches = stretches(&old, &new);
    stretches.iter().flat_map(|stretch| stretch.iter_changes(&old, &new)).map(line).collect()
}

/// Those of `lines` that differ, with up to `around` lines beside each.
pub(crate) fn near(lines: Vec<Line<'_>>, around: usize) -> Vec<Line<'_>> {
    let mut keep = vec![false; lines.len()];
    for (place, _) in lines.iter().enumerate().filter(|(_, line)| line.mark != Mark::Same) {
        let end = lines.len().min(place + around + 1);
        keep[place.saturating_sub(around)..end].fill(true);
    }
    lines.into_iter().zip(keep).filter_map(|(line, keep)| keep.then_some(line)).collect()
}

/// Which stretches are in both, and which in one.
fn stretches(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let end = ends.take_while(|(old, new)| old == new).count();
    let (old_len, new_len) = (old_rest.len() - end, new_rest.len() - end);
    if old_len.saturating_mul(new_len) <= MOST {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let (old_index, new_index) = (start + old_len, start + new_len);
    vec![
        DiffOp::Equal { old_index: 0, new_index: 0, len: start },
        DiffOp::Replace { old_index: start, old_len, new_index: start, new_len },
        DiffOp::Equal { old_index, new_index, len: end },
    ]
}

impl From<ChangeTag> for Mark {
    fn from(tag: ChangeTag) -> Self {
        match tag {
            ChangeTag::Equal => Self::Same,
            ChangeTag::Delete => Self::Gone,
            ChangeTag::Insert => Self::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side(lines: &[Line<'_>], without: Mark) -> Vec<String> {
        let kept = lines.iter().filter(|line| line.mark != without);
        kept.map(|line| line.text.to_owned()).collect()
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_the_difference(
            before in prop::collection::vec("[ab]{0,2}", 0..12),
            after in prop::collection::vec("[ab]{0,2}", 0..12),
        ) {
            let (one, other) = (before.join("\n"), after.join("\n"));
            let lines = compare(&one, &other);
            prop_assert_eq!(side(&lines, Mark::New), one.lines().collect::<Vec<_>>());
            prop_assert_eq!(side(&lines, Mark::Gone), other.lines().collect::<Vec<_>>());
            for line in &lines {
                let place = |text: &str, number: Option<usize>| {
                    number.map(|number| text.lines().nth(number - 1).unwrap().to_owned())
                };
                for found in [place(&one, line.before), place(&other, line.after)] {
                    prop_assert!(found.is_none_or(|found| found == line.text));
                }
            }
        }
    }

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours_and_nothing_else() {
        let before: String = (0..20).map(|number| format!("line {number}\n")).collect();
        let after = before.replace("line 9\n", "line nine\n");
        let shown = near(compare(&before, &after), 2);
        let texts: Vec<_> = shown.iter().map(|line| (line.mark, line.text)).collect();
        let same = |text| (Mark::Same, text);
        let changed = [(Mark::Gone, "line 9"), (Mark::New, "line nine")];
        let (above, below) = ([same("line 7"), same("line 8")], [same("line 10"), same("line 11")]);
        assert_eq!(texts, [above, changed, below].concat());
        assert!(near(compare(&before, &before), 2).is_empty());
    }

    #[test]
    fn texts_that_have_too_little_in_common_are_shown_as_a_whole() {
        let before = "a\n".repeat(3000);
        let after = "b\n".repeat(3000);
        let lines = compare(&before, &after);
        assert_eq!(lines.len(), 6000);
        assert_eq!((lines[0].mark, lines[5999].mark), (Mark::Gone, Mark::New));
    }
}
