//! `weir reference`: the generated parts of the pages in `docs/reference`, for `cargo xtask docs`.

use anyhow::Result;
use clap::ValueEnum;
use std::fmt::Write;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Page {
    Cli,
    Configuration,
}

pub(crate) fn run(page: Page, mut command: clap::Command) -> Result<ExitCode> {
    let text = match page {
        Page::Cli => {
            // Only a built command knows the names of those above it.
            command.build();
            let mut text = String::new();
            commands(&mut text, &mut command)?;
            text
        }
        Page::Configuration => {
            let destination = crate::config::destination::TEMPLATE.replace("[[destination]]", "[destination]");
            let event_sink = crate::config::event_sink::TEMPLATE.replace("[[event_sink]]", "[event_sink]");
            configuration(&format!("{}\n{destination}\n{event_sink}", crate::config::TEMPLATE))?
        }
    };
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// A section with the help of the command, and of each one below it.
fn commands(out: &mut String, command: &mut clap::Command) -> Result<()> {
    // Options of all commands are shown once, at the top.
    let is_top = command.get_bin_name().is_none_or(|name| !name.contains(' '));
    let mut shown = command.clone().mut_args(|arg| match arg.is_global_set() && !is_top {
        true => arg.hide(true),
        false => arg,
    });
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    writeln!(out, "\n## {name}\n\n```text\n{}\n```", lines.join("\n"))?;
    for below in command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        commands(out, below)?;
    }
    Ok(())
}

/// A table for each section. A comment counts for all keys up to the next one.
fn configuration(template: &str) -> Result<String> {
    let mut out = String::new();
    let (mut section, mut comment, mut is_new) = ("", String::new(), true);
    for line in template.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            writeln!(out, "\n## {name}\n\n| key | default | meaning |\n|---|---|---|")?;
            is_new = true;
        } else if let Some(text) = line.strip_prefix("# ") {
            if std::mem::take(&mut is_new) {
                comment.clear();
            }
            comment.push_str(if comment.is_empty() { "" } else { " " });
            comment.push_str(text);
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !section.is_empty()) {
            writeln!(out, "| `{section}.{key}` | `{value}` | {} |", comment.replace('|', "\\|"))?;
            is_new = true;
        }
    }
    Ok(out)
}
