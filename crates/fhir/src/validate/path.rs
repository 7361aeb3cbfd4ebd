//! Where in a resource the check is: `Patient.name[0].given[1]`.

use std::fmt::Write as _;

/// A stack of steps; text is made only when there is something to report.
#[derive(Debug, Default)]
pub(super) struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Name(&'static str),
    Index(usize),
}

impl Path {
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn push(&mut self, name: &'static str) {
        self.steps.push(Step::Name(name));
    }

    pub(super) fn push_index(&mut self, index: usize) {
        self.steps.push(Step::Index(index));
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            // Writing to a String cannot fail.
            let _ = match step {
                Step::Name(name) if text.is_empty() => write!(text, "{name}"),
                Step::Name(name) => write!(text, ".{name}"),
                Step::Index(index) => write!(text, "[{index}]"),
            };
        }
        text
    }
}
