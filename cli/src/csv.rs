//! Small pieces of CSV (RFC 4180): the row that a user types, and the predictions that come back. The user's own files are
//! read by the locked reader, never here.

/// Records of a CSV text, header included. A quoted field may hold commas, quotes and line ends.
pub fn records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\r' if !is_quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

/// One line of CSV with its end; fields that need quotes get them.
pub fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |field: &str| {
        if field.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    let mut line = fields.into_iter().map(quoted).collect::<Vec<_>>().join(",");
    if line.is_empty() {
        // A line of one empty field would be read as no line at all.
        line.push_str("\"\"");
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for record in [vec!["a", "b"], vec!["", ""], vec![""], vec!["x,\"y\"\r\nz", "é"]] {
            let text = line(record.iter().copied());
            assert_eq!(records(&text), [record], "{text:?}");
        }
    }

    #[test]
    fn line_ends_of_all_kinds() {
        assert_eq!(records("a,b\r\n1,2"), [["a", "b"], ["1", "2"]]);
        assert!(records("").is_empty());
    }
}
