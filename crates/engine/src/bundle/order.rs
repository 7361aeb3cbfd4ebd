//! The order of a transaction: DELETE, POST, PUT and PATCH, GET; within one method the order of the Bundle.

use super::parse::{Entry, Method};

pub(crate) fn writes<'a, 'b>(entries: &'a [Entry<'b>]) -> Vec<&'a Entry<'b>> {
    let mut writes: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.method != Method::Get).collect();
    // PUT and PATCH are one step.
    writes.sort_by_key(|entry| entry.method.min(Method::Put));
    writes
}

pub(crate) fn reads<'a, 'b>(entries: &'a [Entry<'b>]) -> impl Iterator<Item = &'a Entry<'b>> {
    entries.iter().filter(|entry| entry.method == Method::Get)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use fhir::json::{Document, Limits};

    #[test]
    fn deletes_come_first_and_reads_are_apart() {
        let text =
            br#"[{"request":{"method":"GET","url":"Patient/a"}},{"request":{"method":"PATCH","url":"Patient/b"}},
            {"request":{"method":"PUT","url":"Patient/c"}},{"request":{"method":"POST","url":"Patient"}},
            {"request":{"method":"DELETE","url":"Patient/d"}}]"#;
        let document = Document::parse(text, &Limits::default()).unwrap();
        let nodes = document.root().items().enumerate();
        let entries: Vec<Entry<'_>> = nodes.map(|(index, node)| parse::entry("", index, node).unwrap()).collect();
        let order: Vec<usize> = writes(&entries).iter().map(|entry| entry.index).collect();
        assert_eq!(order, [4, 3, 1, 2]);
        assert_eq!(reads(&entries).map(|entry| entry.index).collect::<Vec<_>>(), [0]);
    }
}
