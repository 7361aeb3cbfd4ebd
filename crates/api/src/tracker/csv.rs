//! CSV as RFC 4180 has it: written so that spreadsheets run nothing, read strictly.

/// A line with its end.
pub(super) fn row(cells: &[String]) -> String {
    let mut line = cells.iter().map(|cell| shown(cell)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

fn shown(cell: &str) -> String {
    // A spreadsheet would take it for a formula.
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// A record: the line it begins in, and its cells; or why it cannot be read.
pub(super) type Record = (usize, Result<Vec<String>, &'static str>);

/// All records. An empty line is none. A quote that is never closed spoils the rest.
pub(super) fn records(text: &str) -> Vec<Record> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut records, mut line, mut rest) = (Vec::new(), 1, text);
    while !rest.is_empty() {
        let (cells, read) = record(rest);
        let begun = line;
        line += rest[..read].matches('\n').count();
        rest = &rest[read..];
        match &cells {
            Ok(cells) if cells.len() == 1 && cells[0].trim().is_empty() => {}
            _ => records.push((begun, cells)),
        }
    }
    records
}

/// One record and how many bytes it takes.
fn record(text: &str) -> (Result<Vec<String>, &'static str>, usize) {
    let (mut cells, mut at) = (Vec::new(), 0);
    loop {
        let rest = &text[at..];
        let (cell, taken) = match rest.strip_prefix('"') {
            Some(inner) => match quoted(inner) {
                Some((cell, taken)) => (cell, taken + 1),
                None => return (Err("a quote is not closed: \" within a cell is written twice"), text.len()),
            },
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                (rest[..end].trim_end_matches('\r').to_owned(), end)
            }
        };
        cells.push(cell);
        at += taken;
        let after = text[at..].strip_prefix('\r').unwrap_or(&text[at..]);
        let skipped = text.len() - at - after.len();
        match after.bytes().next() {
            Some(b',') => at += skipped + 1,
            Some(b'\n') => return (Ok(cells), at + skipped + 1),
            None => return (Ok(cells), at + skipped),
            Some(_) => {
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
                return (Err("text after a closing quote: quote the whole cell"), end);
            }
        }
    }
}

/// The cell up to its closing quote, and the bytes with that quote.
fn quoted(text: &str) -> Option<(String, usize)> {
    let (mut cell, mut at) = (String::new(), 0);
    loop {
        let end = at + text[at..].find('"')?;
        cell.push_str(&text[at..end]);
        if text[end + 1..].starts_with('"') {
            cell.push('"');
            at = end + 2;
        } else {
            return Some((cell, end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let text = "\u{feff}a,b\r\n\"x, \"\"y\"\"\nz\",2\r\n\r\n,last";
        let read = records(text);
        let cells = |cells: &[&str]| Ok(cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        assert_eq!(read, [(1, cells(&["a", "b"])), (2, cells(&["x, \"y\"\nz", "2"])), (5, cells(&["", "last"]))]);
    }

    #[test]
    fn damaged_records_do_not_stop_the_others() {
        let read = records("a\"b,1\n\"x\"y,2\nok,3\n\"open,4\n");
        assert_eq!(read[0].1.as_ref().unwrap()[0], "a\"b");
        assert!(read[1].1.is_err());
        assert_eq!(read[2], (3, Ok(vec!["ok".into(), "3".into()])));
        assert!(read[3].1.is_err());
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn formulas_are_defused() {
        assert_eq!(row(&["=1+1".into(), "a,b".into(), "2".into()]), "'=1+1,\"a,b\",2\r\n");
    }
}
