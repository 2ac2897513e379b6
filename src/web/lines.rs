//! Two texts compared line by line, as people read a difference.

use serde::Serialize;

/// The most pairs of lines that are compared; texts that differ in more are shown as a whole.
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
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let end = ends.take_while(|(old, new)| old == new).count();
    let (old_part, new_part) =
        (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);

    let mut marks = vec![Mark::Same; start];
    marks.extend(middle(old_part, new_part));
    marks.extend(std::iter::repeat_n(Mark::Same, end));
    number(&marks, &old, &new)
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

/// The marks of two stretches, by their longest common subsequence.
fn middle(old: &[&str], new: &[&str]) -> Vec<Mark> {
    let width = new.len() + 1;
    let mut marks = Vec::new();
    let (mut at, mut to) = (0, 0);
    if old.len().saturating_mul(new.len()) <= MOST {
        let common = common(old, new);
        while at < old.len() && to < new.len() {
            if old[at] == new[to] {
                marks.push(Mark::Same);
                (at, to) = (at + 1, to + 1);
            } else if common[(at + 1) * width + to] >= common[at * width + to + 1] {
                marks.push(Mark::Gone);
                at += 1;
            } else {
                marks.push(Mark::New);
                to += 1;
            }
        }
    }
    marks.extend(std::iter::repeat_n(Mark::Gone, old.len() - at));
    marks.extend(std::iter::repeat_n(Mark::New, new.len() - to));
    marks
}

/// How many lines the ends of both from each pair of places on have in common.
fn common(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut table = vec![0; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            table[at * width + to] = if old[at] == new[to] {
                table[(at + 1) * width + to + 1] + 1
            } else {
                table[(at + 1) * width + to].max(table[at * width + to + 1])
            };
        }
    }
    table
}

fn number<'a>(marks: &[Mark], old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (mut at, mut to) = (0, 0);
    let mut lines = Vec::with_capacity(marks.len());
    for &mark in marks {
        let text = if mark == Mark::New { new[to] } else { old[at] };
        at += usize::from(mark != Mark::New);
        to += usize::from(mark != Mark::Gone);
        let before = (mark != Mark::New).then_some(at);
        let after = (mark != Mark::Gone).then_some(to);
        lines.push(Line { mark, before, after, text });
    }
    lines
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
