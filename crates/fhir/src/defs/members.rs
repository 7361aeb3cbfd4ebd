//! From a JSON member name to the element behind it.

use super::{ElementDef, TypeId};

/// The member names of one type, choices spelled out, sorted by length, then bytes: most names differ in length,
/// so that finding one seldom compares text.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(Vec<Member>);

#[derive(Clone, Copy, Debug)]
struct Member {
    name: &'static str,
    element: u16,
    ty: TypeId,
}

impl Members {
    /// `type_name` names the types of choices. Spelled-out names are leaked: the definitions live as long as the process.
    pub(super) fn new(elements: &[ElementDef], type_name: impl Fn(TypeId) -> &'static str) -> Members {
        let mut members = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            for ty in &element.types {
                let name =
                    if element.is_choice { choice_name(element.name, type_name(*ty)).leak() } else { element.name };
                members.push(Member { name, element: index as u16, ty: *ty });
            }
        }
        members.sort_by_key(|member| (member.name.len(), member.name));
        Members(members)
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, TypeId)> {
        let at = self.0.binary_search_by(|member| (member.name.len(), member.name).cmp(&(name.len(), name))).ok()?;
        Some((usize::from(self.0[at].element), self.0[at].ty))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|member| member.name)
    }
}

/// `value` and `dateTime` make `valueDateTime`.
pub(crate) fn choice_name(element: &str, ty: &str) -> String {
    let mut name = element.to_owned();
    let mut letters = ty.chars();
    name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
    name.push_str(letters.as_str());
    name
}
