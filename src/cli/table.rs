//! What listing commands print: a table for people, or JSON for programs. On standard output, so that it can be piped.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use serde_json::{Map, Value};

use super::output::print_result;

/// The format of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// Columns, separated by two spaces.
    Text,
    /// An array of objects.
    Json,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct OutputArgs {
    /// `text` for people, `json` for programs.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    output: OutputFormat,
}

/// Rows with the same columns.
pub(super) struct Table<const N: usize> {
    columns: [&'static str; N],
    rows: Vec<[Value; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [&'static str; N], rows: impl IntoIterator<Item = [Value; N]>) -> Self {
        Self { columns, rows: rows.into_iter().collect() }
    }

    pub(super) fn print(self, args: OutputArgs) {
        print_result(&match args.output {
            OutputFormat::Text => self.text(),
            OutputFormat::Json => format!("{:#}\n", self.json()),
        });
    }

    fn json(self) -> Value {
        let columns = self.columns;
        let object = |row: [Value; N]| -> Value {
            columns.iter().map(|column| (*column).to_owned()).zip(row).collect::<Map<_, _>>().into()
        };
        self.rows.into_iter().map(object).collect()
    }

    fn text(&self) -> String {
        let heading = self.columns.map(str::to_uppercase);
        let rows: Vec<_> =
            std::iter::once(heading).chain(self.rows.iter().map(|row| row.each_ref().map(cell))).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for row in &rows {
            let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// A value in a table. Control characters are escaped: labels and names are free text, and a terminal would obey them.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A time as JSON has it.
pub(super) fn time(at: DateTime<Utc>) -> Value {
    at.to_rfc3339_opts(SecondsFormat::Secs, true).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Table;

    fn table() -> Table<3> {
        let rows = [
            ["org_a".into(), Value::Null, true.into()],
            ["org_long".into(), "red\u{1b}[31m".into(), false.into()],
        ];
        Table::new(["id", "label", "enabled"], rows)
    }

    #[test]
    fn text_has_aligned_columns_and_no_control_characters() {
        let expected = "ID        LABEL          ENABLED\n\
                        org_a     -              true\n\
                        org_long  red\\u{1b}[31m  false\n";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn json_is_an_array_of_objects_with_nulls() {
        let expected = json!([
            { "id": "org_a", "label": null, "enabled": true },
            { "id": "org_long", "label": "red\u{1b}[31m", "enabled": false },
        ]);
        assert_eq!(table().json(), expected);
    }
}
