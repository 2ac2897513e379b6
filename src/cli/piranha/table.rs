//! Tables in columns, and lines that fit.

use std::fmt::Write as _;

/// What a screen is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Columns there are.
    pub(super) width: usize,
    /// Whether there are colours.
    pub(super) colored: bool,
}

/// How a word stands out. Never by colour alone: the word says it too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Screen {
    /// Standard output: as wide as the terminal, or as a line must be where there is none.
    pub(super) fn of_stdout() -> Self {
        use std::io::IsTerminal;
        let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let terminal = std::io::stdout().is_terminal();
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|_| terminal);
        let columns = std::env::var_os("COLUMNS").and_then(|value| value.to_str()?.parse().ok());
        let width = columns.or(size.map(|size| usize::from(size.ws_col)).filter(|&n| n > 0));
        Self { width: width.unwrap_or(usize::MAX), colored: terminal && !dumb && !objection }
    }

    /// `text`, standing out.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colored => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Warning => 33,
            Tone::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `text`, cut where the screen ends.
    pub(super) fn cut(self, text: &str) -> String {
        cut(text, self.width)
    }
}

/// Rows of cells under headings. What does not fit into the last column stands below its row.
#[derive(Debug)]
pub(super) struct Table {
    headings: Vec<&'static str>,
    /// The columns of numbers, which stand at the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// A table with these headings; those that begin with `>` are of numbers.
    pub(super) fn new(headings: &[&'static str]) -> Self {
        let numbers = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let headings = headings.iter().map(|heading| heading.trim_start_matches('>')).collect();
        Self { headings, numbers, rows: Vec::new() }
    }

    /// Adds a row, with as many cells as there are headings.
    pub(super) fn row(&mut self, cells: Vec<(String, Tone)>) {
        self.rows.push(cells);
    }

    /// The table as it stands on `screen`. Columns without anything in them are left out.
    pub(super) fn render(&self, screen: Screen) -> String {
        let widths: Vec<_> = (0..self.headings.len()).map(|column| self.width(column)).collect();
        let headings = self.headings.iter().map(|heading| ((*heading).to_owned(), Tone::Plain));
        let headings = self.line(&headings.collect::<Vec<_>>(), &widths, screen);
        // A heading that does not fit is not missed.
        let mut text: String =
            headings.lines().take(1).map(|line| line.to_owned() + "\n").collect();
        for row in &self.rows {
            text += &self.line(row, &widths, screen);
        }
        text
    }

    /// The width of a column; 0 for one that is empty.
    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].0.chars().count());
        match cells.max().unwrap_or(0) {
            0 => 0,
            widest => widest.max(self.headings[column].len()),
        }
    }

    fn line(&self, cells: &[(String, Tone)], widths: &[usize], screen: Screen) -> String {
        let mut line = String::new();
        let (mut used, mut below) = (0, String::new());
        let shown: Vec<_> = (0..cells.len()).filter(|&column| widths[column] > 0).collect();
        for (place, &column) in shown.iter().enumerate() {
            let gap = if place == 0 { 0 } else { 2 };
            let left = screen.width.saturating_sub(used + gap);
            let last = place + 1 == shown.len();
            let (cell, tone) = &cells[column];
            if last && cell.chars().count() > left {
                below = wrap(cell, 4, screen.width);
                break;
            }
            // Half a number is another number.
            if left == 0 || (self.numbers[column] && widths[column] > left) {
                continue;
            }
            let room = if last { left } else { widths[column].min(left) };
            let cell = cut(cell, room);
            let pad = if last { 0 } else { room - cell.chars().count() };
            let (before, after) = if self.numbers[column] { (pad, 0) } else { (0, pad) };
            let _ = write!(line, "{:gap$}{:before$}", "", "");
            line += &screen.paint(*tone, &cell);
            let _ = write!(line, "{:after$}", "");
            used += gap + room;
        }
        line.truncate(line.trim_end().len());
        line + "\n" + &below
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    match width {
        0 => String::new(),
        _ => text.chars().take(width - 1).chain(['~']).collect(),
    }
}

/// `text` with lines that fit, the first indented by `indent` and the others by two more.
pub(super) fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            lines += &line;
            lines.push('\n');
            line = " ".repeat(indent + 2);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line += word;
        empty = false;
    }
    lines + &line + "\n"
}

/// A number people can take in: `1234`, `12k`, `3.4M`.
pub(super) fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{}k", number / 1000),
        1_000_000..1_000_000_000 => tenths(number / 100_000, 'M'),
        1_000_000_000..1_000_000_000_000 => tenths(number / 100_000_000, 'G'),
        _ => tenths(number / 100_000_000_000, 'T'),
    }
}

fn tenths(tenths: u64, unit: char) -> String {
    format!("{}.{}{unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_screen_and_no_number_is_cut_in_the_middle() {
        let mut table = Table::new(&["NAME", ">COUNT", "WHY"]);
        table.row(vec![
            ("web".to_owned(), Tone::Good),
            ("1234".to_owned(), Tone::Plain),
            ("a long story that nobody wants to read to its end".to_owned(), Tone::Plain),
        ]);
        let text = table.render(Screen { width: 30, colored: false });
        let story = "    a long story that nobody\n      wants to read to its end\n";
        assert_eq!(text, format!("NAME  COUNT  WHY\nweb    1234\n{story}"));
        let colored = table.render(Screen { width: 30, colored: true });
        assert!(colored.contains("\x1b[32mweb\x1b[0m"));
    }

    #[test]
    fn columns_beyond_the_screen_are_left_out() {
        let mut table = Table::new(&["NAME", ">COUNT", ">MORE", "WHY"]);
        let cells = ["web", "1234", "5678", "because"];
        table.row(cells.map(|cell| (cell.to_owned(), Tone::Plain)).to_vec());
        let at = |width| table.render(Screen { width, colored: false });
        assert_eq!(at(11), "NAME  COUNT\nweb    1234\n    because\n");
        assert_eq!(at(24), "NAME  COUNT  MORE  WHY\nweb    1234  5678\n    because\n");
        assert_eq!(at(26), "NAME  COUNT  MORE  WHY\nweb    1234  5678  because\n");
    }

    #[test]
    fn a_column_without_anything_is_left_out() {
        let mut table = Table::new(&["NAME", ">COUNT", "WHY"]);
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        table.row(vec![plain("web"), plain(""), plain("x")]);
        assert_eq!(table.render(Screen { width: 80, colored: false }), "NAME  WHY\nweb   x\n");
    }

    #[test]
    fn large_numbers_are_short() {
        let shown = [9999, 10_000, 999_999, 3_450_000, 12_000_000_000, u64::MAX].map(short);
        assert_eq!(shown, ["9999", "10k", "999k", "3.4M", "12.0G", "18446744.0T"]);
    }
}
