//! Tables of plain text that keep to the width of the terminal.

use crate::console::{Paint, Style};
use ansatz_report::text::{visible, width};

/// Spaces between two columns.
const GAP: usize = 2;

/// Least width to which the last column is cut.
const LAST_MIN: usize = 12;

/// A table with a heading; cells are made harmless when they are added.
#[derive(Debug, Clone)]
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    cell_width: usize,
}

impl Table {
    /// An empty table. No cell but those of the last column gets wider than `cell_width`.
    pub fn new(heading: &[&'static str], cell_width: usize) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new(), cell_width }
    }

    /// Adds a row; missing cells at its end are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines. The last column is cut so that a line fits into `width_max`.
    pub fn lines(&self, paint: Paint, width_max: usize) -> String {
        let last = self.heading.len().saturating_sub(1);
        let cell = |row: &Vec<String>, column: usize, limit: usize| {
            visible(row.get(column).map_or("", String::as_str), limit)
        };
        let widths: Vec<usize> = (0..last)
            .map(|column| {
                let widest =
                    self.rows.iter().map(|row| width(&cell(row, column, self.cell_width))).max().unwrap_or(0);
                widest.max(self.heading[column].len())
            })
            .collect();
        let used: usize = widths.iter().map(|width| width + GAP).sum();
        let rest = width_max.saturating_sub(used).max(LAST_MIN);
        let line = |cells: Vec<String>| {
            let mut line = String::new();
            for (column, text) in cells.iter().enumerate() {
                line.push_str(text);
                if column < last {
                    line.push_str(&" ".repeat(widths[column] + GAP - width(text)));
                }
            }
            line.trim_end().to_owned()
        };
        let heading = line(self.heading.iter().map(|text| (*text).to_owned()).collect());
        let mut text = paint.text(Style::Dim, &heading) + "\n";
        for row in &self.rows {
            let limit = |column: usize| if column == last { rest } else { self.cell_width };
            text.push_str(&line((0..=last).map(|column| cell(row, column, limit(column))).collect()));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn columns_line_up_and_lines_fit() {
        let mut table = Table::new(&["run", "score", "note"], 10);
        table.row(["a".into(), "0.5".into(), "short".into()]);
        table.row(["日本".into(), "0.25".into(), "this one is longer than the terminal is wide".into()]);
        table.row(["a very long name".into(), "\u{1b}".into()]);
        let text = table.lines(Paint(false), 40);
        expect![[r#"
            run         score  note
            a           0.5    short
            日本        0.25   this one is longer t…
            a very lo…  \x1b
        "#]]
        .assert_eq(&text);
        assert!(text.lines().all(|line| width(line) <= 40));
    }
}
