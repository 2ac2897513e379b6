//! Lines of words that stand out, and tables, on a part of a picture.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::glyph::Looks;
use crate::cli::piranha::table::Tone;

/// A word, and how it stands out.
pub(super) type Cell = (String, Tone);

pub(super) fn plain(text: impl Into<String>) -> Cell {
    (text.into(), Tone::Plain)
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    is_number: bool,
}

/// A column of words.
pub(super) const fn words(heading: &'static str) -> Column {
    Column { heading, is_number: false }
}

/// A column of numbers, which stand at the right.
pub(super) const fn numbers(heading: &'static str) -> Column {
    Column { heading, is_number: true }
}

/// The columns between two of a table, and before the first, where the row that is meant is marked.
const GAP: u16 = 2;

/// A part of a picture that is filled from its top.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    looks: Looks,
    /// The line that is next.
    line: u16,
}

impl<'a> Canvas<'a> {
    pub(super) const fn new(buffer: &'a mut Buffer, area: Rect, looks: Looks) -> Self {
        Self { buffer, area, looks, line: 0 }
    }

    pub(super) const fn looks(&self) -> Looks {
        self.looks
    }

    pub(super) fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// The lines that are left.
    pub(super) fn room(&self) -> usize {
        usize::from(self.area.height.saturating_sub(self.line))
    }

    pub(super) const fn skip(&mut self) {
        self.line += 1;
    }

    /// A line of cells, one behind the other.
    pub(super) fn line(&mut self, cells: &[Cell]) {
        if self.room() == 0 {
            return;
        }
        let (mut x, y) = (self.area.x, self.area.y + self.line);
        for (text, tone) in cells {
            x = self.put(x, y, text, self.looks.style(*tone));
        }
        self.line += 1;
    }

    /// A line that says what stands below it.
    pub(super) fn title(&mut self, text: &str) {
        if self.room() > 0 {
            let y = self.area.y + self.line;
            self.put(self.area.x, y, text, Style::new().add_modifier(Modifier::BOLD));
            self.line += 1;
        }
    }

    /// A text over as many lines as it takes, and at most `most`.
    pub(super) fn text(&mut self, text: &str, indent: usize, tone: Tone, most: usize) {
        let lines = crate::cli::piranha::table::wrap(text, indent, self.width());
        for line in lines.lines().take(most) {
            self.line(&[(line.to_owned(), tone)]);
        }
    }

    /// A table that takes at most `height` lines, headings included. Of `count` rows those around
    /// `meant` are shown; `row` makes one.
    pub(super) fn table(
        &mut self,
        columns: &[Column],
        height: usize,
        (count, meant): (usize, Option<usize>),
        row: impl Fn(usize) -> Vec<Cell>,
    ) {
        let height = height.min(self.room());
        if height < 2 {
            return;
        }
        let shown = window(count, meant.unwrap_or(0), height - 1);
        let rows: Vec<_> = shown.clone().map(|place| (meant == Some(place), row(place))).collect();
        let widths = widths(columns, rows.iter().map(|(_, cells)| cells));
        let heading = |column: &Column| plain(column.heading);
        let headings: Vec<_> = columns.iter().map(heading).collect();
        self.row(columns, &widths, &headings, Style::new().add_modifier(Modifier::BOLD));
        for (is_meant, cells) in rows {
            let style = if is_meant { Looks::selection() } else { Style::new() };
            if is_meant {
                self.put(self.area.x, self.area.y + self.line, ">", style);
            }
            self.row(columns, &widths, &cells, style);
        }
    }

    fn row(&mut self, columns: &[Column], widths: &[usize], cells: &[Cell], style: Style) {
        let (mut x, y) = (self.area.x + GAP, self.area.y + self.line);
        let last = columns.len() - 1;
        for (place, (text, tone)) in cells.iter().enumerate() {
            let left = usize::from(self.area.right().saturating_sub(x));
            let width = if place == last { left } else { widths[place] };
            // Half a number is another number.
            if width == 0 || (columns[place].is_number && width > left) {
                continue;
            }
            let pad = width.saturating_sub(text.chars().count());
            let before = if columns[place].is_number && place != last { pad } else { 0 };
            let begin = x.saturating_add(u16::try_from(before).unwrap_or(u16::MAX));
            let text = cut(text, width.min(left));
            self.put(begin, y, &text, self.looks.style(*tone).patch(style));
            x = x.saturating_add(u16::try_from(width).unwrap_or(u16::MAX)).saturating_add(GAP);
        }
        if style == Looks::selection() {
            self.buffer.set_style(Rect::new(self.area.x, y, self.area.width, 1), style);
        }
        self.line += 1;
    }

    /// Writes until the area ends; control characters are left out. Returns where it ended.
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        let room = usize::from(self.area.right().saturating_sub(x));
        if room == 0 || y >= self.area.bottom() {
            return x;
        }
        self.buffer.set_stringn(x, y, text, room, style).0
    }
}

/// The places that are shown of `count`, so that `meant` is among them, in the middle if it can be.
fn window(count: usize, meant: usize, height: usize) -> std::ops::Range<usize> {
    let begin = meant.saturating_sub(height / 2).min(count.saturating_sub(height));
    begin..(begin + height).min(count)
}

/// As wide as the widest cell; nothing for columns without any.
fn widths<'a>(columns: &[Column], rows: impl Iterator<Item = &'a Vec<Cell>>) -> Vec<usize> {
    let mut widths = vec![0; columns.len()];
    for cells in rows {
        for (width, (text, _)) in widths.iter_mut().zip(cells) {
            *width = text.chars().count().max(*width);
        }
    }
    let heading = |(column, width): (&Column, usize)| match width {
        0 => 0,
        width => width.max(column.heading.len()),
    };
    columns.iter().zip(widths).map(heading).collect()
}

pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_that_is_meant_is_among_those_shown() {
        for count in 0..30 {
            for meant in 0..count {
                let shown = window(count, meant, 7);
                assert!(
                    shown.contains(&meant) && shown.len() == count.min(7),
                    "{meant} of {count}"
                );
            }
        }
        assert_eq!(window(0, 0, 7), 0..0);
    }
}
