//! Tables that become blocks on small screens, and files.

use maud::{Markup, html};

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head<'a> {
    Text(&'a str),
    /// Numbers, at the right.
    Count(&'a str),
}

impl Head<'_> {
    fn name(&self) -> &str {
        match self {
            Head::Text(name) | Head::Count(name) => name,
        }
    }

    fn class(self) -> Option<&'static str> {
        matches!(self, Head::Count(_)).then_some("count")
    }
}

/// Roles are named because small screens show the rows as blocks, and browsers would then forget that this is a table. The
/// first cell of a row names it.
pub(super) fn table(caption: &str, heads: &[Head<'_>], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table.rows role="table" {
            caption { (caption) }
            thead role="rowgroup" { tr role="row" { @for head in heads {
                th role="columnheader" scope="col" class=[head.class()] { (head.name()) }
            } } }
            tbody role="rowgroup" { @for row in rows { tr role="row" {
                @for (at, (head, cell)) in heads.iter().zip(row).enumerate() {
                    @if at == 0 {
                        th role="rowheader" scope="row" class=[head.class()] { (label(head)) (cell) }
                    } @else {
                        td role="cell" class=[head.class()] { (label(head)) (cell) }
                    }
                }
            } } }
        }
    }
}

fn label(head: &Head<'_>) -> Markup {
    html! { span.label aria-hidden="true" { (head.name()) ": " } }
}

/// Lines of comma-separated values (RFC 4180), the first one with the names.
pub(super) fn csv(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                out.push(',');
            }
            field(&mut out, cell);
        }
        out.push_str("\r\n");
    };
    line(&mut heads.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

/// What a table calculator would take for a formula begins with an apostrophe.
fn field(out: &mut String, text: &str) {
    let guarded;
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        guarded = format!("'{text}");
        &guarded
    } else {
        text
    };
    if text.contains(['"', ',', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::csv;

    #[test]
    fn a_hostile_value_stays_a_value() {
        let rows = [vec!["=1+1".to_owned(), "a \"b\", c".to_owned()], vec!["12".to_owned(), String::new()]];
        assert_eq!(csv(&["lot", "doses"], &rows), "lot,doses\r\n'=1+1,\"a \"\"b\"\", c\"\r\n12,\r\n");
    }
}
