//! The checked-in reference pages are what the binary says.

use crate::support::run;

/// What stands above it in a page is written by hand.
const MARK: &str = "<!-- made by cargo xtask docs -->\n";

#[test]
fn the_reference_pages_are_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["cli", "configuration"] {
        let path = format!("{}/../../docs/reference/{name}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(path).unwrap();
        let (_, generated) = page.split_once(MARK).expect("the page has the mark");
        let output = run(dir.path(), &["reference", name]);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text == generated, "docs/reference/{name}.md is out of date: run cargo xtask docs");
    }
}
