//! Documentation: the generated reference pages; every relative link in every Markdown file leads somewhere, and every page of the book is in its SUMMARY.

use crate::{cargo, files, root};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

pub(crate) fn check() -> Result<()> {
    let pages = files(&[".md"])?;
    let mut problems = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(root().join(page))?;
        for link in links(&text) {
            let target = resolve(page, &link);
            if !root().join(&target).exists() {
                problems.push(format!("{}: dead link {link}", page.display()));
            }
        }
    }
    let summary = Path::new("docs/SUMMARY.md");
    let listed: Vec<PathBuf> =
        links(&std::fs::read_to_string(root().join(summary))?).iter().map(|link| resolve(summary, link)).collect();
    for page in pages.iter().filter(|page| page.starts_with("docs") && *page != summary) {
        if !listed.contains(page) {
            problems.push(format!("{} is not in docs/SUMMARY.md", page.display()));
        }
    }
    for problem in &problems {
        eprintln!("  {problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{} problems in the documentation", problems.len());
    Ok(())
}

/// What stands above it in a page is written by hand.
const MARK: &str = "<!-- made by cargo xtask docs -->\n";

/// Writes the generated parts of the reference pages. A test of `weir` says when they are out of date.
pub(crate) fn write() -> Result<()> {
    for name in ["cli", "configuration"] {
        let output = cargo(&["run", "--quiet", "--package", "weir", "--", "reference", name])
            .stderr(std::process::Stdio::inherit())
            .output()?;
        anyhow::ensure!(output.status.success(), "weir reference {name} failed");
        let path = root().join(format!("docs/reference/{name}.md"));
        let page = std::fs::read_to_string(&path)?;
        let (by_hand, _) = page.split_once(MARK).with_context(|| format!("{} has no mark", path.display()))?;
        let text = format!("{by_hand}{MARK}{}", String::from_utf8(output.stdout)?);
        if text != page {
            std::fs::write(&path, text)?;
            println!("wrote docs/reference/{name}.md");
        }
    }
    Ok(())
}

/// `link` as seen from `page`, relative to the root, without `.` and `..`.
fn resolve(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_path_buf).unwrap_or_default();
    for part in Path::new(link).components() {
        match part {
            std::path::Component::ParentDir => {
                path.pop();
            }
            std::path::Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// Targets of relative links in a Markdown text, without fragments; code is skipped.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Even pieces between backticks are prose, odd ones code; a link text may hold code, so only drop code that closes.
        let mut prose = String::new();
        for (index, piece) in line.split('`').enumerate() {
            if index % 2 == 0 {
                prose.push_str(piece);
            }
        }
        for piece in prose.split("](").skip(1) {
            let target = piece.split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                links.push(target.to_owned());
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_relative_links_outside_code() {
        let text = "[a](x.md) and [`b`](../y.md#part), [c](https://example.org), `[d](no.md)`\n```\n[e](no.md)\n```\n[f](#here)";
        assert_eq!(links(text), ["x.md", "../y.md"]);
        assert_eq!(resolve(Path::new("docs/guides/a.md"), "../y.md"), Path::new("docs/y.md"));
    }
}
