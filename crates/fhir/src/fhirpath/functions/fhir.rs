//! The functions FHIR adds, and the keys of SQL-on-FHIR.

use super::super::Error;
use super::super::ast::Call;
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::{Element, Item};
use super::html;
use crate::json::Node;
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Fhir {
    Extension,
    HasValue,
    GetValue,
    Resolve,
    MemberOf,
    ConformsTo,
    HtmlChecks,
    CheckModifiers,
    GetResourceKey,
    GetReferenceKey,
}

const STRUCTURE_DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn fhir(
        &self,
        function: Fhir,
        call: &Call,
        input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        match function {
            Fhir::Extension => self.extension(call, &input, frame),
            Fhir::HasValue => Ok(vec![Item::Boolean(match input.as_slice() {
                [Item::Element(element)] => element.is_primitive(self.env.defs) && element.node.is_some(),
                [_] => true,
                _ => false,
            })]),
            Fhir::GetValue => match self.single(&input)? {
                Some(Item::Element(element)) if !element.is_primitive(self.env.defs) => Ok(Vec::new()),
                Some(item) => Ok(item.to_value(self.env.defs).into_iter().collect()),
                None => Ok(Vec::new()),
            },
            Fhir::Resolve => self.resolve(&input),
            Fhir::MemberOf => self.member_of(call, &input, frame),
            Fhir::ConformsTo => self.conforms_to(call, &input, frame),
            Fhir::HtmlChecks => match self.text(&input)? {
                Some(text) => Ok(vec![Item::Boolean(html::is_narrative(&text))]),
                None => Ok(Vec::new()),
            },
            Fhir::CheckModifiers => self.check_modifiers(call, &input, frame),
            Fhir::GetResourceKey => Ok(self.member(&input, "id")?),
            Fhir::GetReferenceKey => self.reference_key(call, &input),
        }
    }

    fn extension(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let Some(url) = self.text_argument(call, 0, frame)? else {
            return Ok(Vec::new());
        };
        let mut out = Vec::new();
        for item in input {
            if let Item::Element(element) = item {
                super::super::navigate::member(self.env.defs, element, "extension", &mut out);
            }
        }
        self.spend(out.len() as u64)?;
        out.retain(|item| item.node().and_then(|node| node.str("url")).is_some_and(|have| have == url));
        Ok(out)
    }

    fn resolve(&self, input: &[Item<'a>]) -> Result<Items<'a>, Error> {
        let mut out = Vec::new();
        for item in input {
            let reference = match item {
                Item::Element(element) => match element.node.filter(|node| node.is_object()) {
                    Some(node) => node.str("reference"),
                    None => element.text(),
                },
                item => item.to_text(),
            };
            if let Some(node) = reference.map(|reference| self.referred(&reference)).transpose()?.flatten() {
                out.push(Item::Element(Element::resource(self.env.defs, node)));
            }
        }
        Ok(out)
    }

    fn referred(&self, reference: &str) -> Result<Option<Node<'a>>, Error> {
        let root = self.env.root_resource.or(self.env.resource);
        if let Some(id) = reference.strip_prefix('#') {
            let Some(root) = root else {
                return Ok(None);
            };
            if id.is_empty() {
                return Ok(Some(root));
            }
            let mut contained = root.get("contained").into_iter().flat_map(Node::items);
            return Ok(contained.find(|node| node.str("id").is_some_and(|have| have == id)));
        }
        if let Some(bundle) = root.filter(|root| root.str("resourceType").is_some_and(|ty| ty == "Bundle")) {
            for entry in bundle.get("entry").into_iter().flat_map(Node::items) {
                self.spend(1)?;
                let url = entry.str("fullUrl").unwrap_or_default();
                let is_relative = url.strip_suffix(reference).is_some_and(|base| base.ends_with('/'));
                if url == reference || is_relative {
                    return Ok(entry.get("resource"));
                }
            }
        }
        Ok(self.env.resolver.and_then(|resolver| resolver.resolve(reference)))
    }

    /// `true` if any coding is in the value set, empty if the value set is not known here.
    fn member_of(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let (Some(item), Some(url)) = (self.single(input)?, self.text_argument(call, 0, frame)?) else {
            return Ok(Vec::new());
        };
        let mut codings: Vec<(Option<Cow<'a, str>>, Cow<'a, str>)> = Vec::new();
        match item.node().filter(|node| node.is_object()) {
            Some(node) => {
                let nodes = node.get("coding").map_or_else(|| vec![node], |list| list.items().collect());
                codings.extend(nodes.iter().filter_map(|node| Some((node.str("system"), node.str("code")?))));
            }
            None => codings.extend(item.to_text().map(|code| (None, code))),
        }
        let plain = url.split_once('|').map_or(&*url, |(url, _)| url);
        let known = self.env.defs.value_sets.iter().find(|set| set.url.split('|').next() == Some(plain));
        let mut answer = None;
        for (system, code) in &codings {
            let is_member = match known {
                Some(set) => Some(set.codes.iter().any(|(set_system, set_code)| {
                    set_code == code && system.as_deref().is_none_or(|system| system == *set_system)
                })),
                None => self.env.resolver.and_then(|resolver| resolver.member_of(&url, system.as_deref(), code)),
            };
            answer = match (answer, is_member) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (None, is_member) => is_member,
                (answer, _) => answer,
            };
        }
        Ok(answer.map(Item::Boolean).into_iter().collect())
    }

    /// Only the profiles of the base types are known.
    fn conforms_to(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let (Some(item), Some(url)) = (self.single(input)?, self.text_argument(call, 0, frame)?) else {
            return Ok(Vec::new());
        };
        let defs = self.env.defs;
        let wanted = url.strip_prefix(STRUCTURE_DEFINITION).and_then(|name| defs.type_by_name(name));
        let Some(wanted) = wanted else {
            return Err(Error::Evaluation("the structure definition is not known"));
        };
        let have = item.as_element().and_then(|element| element.ty);
        Ok(vec![Item::Boolean(have.is_some_and(|have| defs.is_a(have, wanted)))])
    }

    /// `true` if all modifier extensions are among the named ones.
    fn check_modifiers(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let mut known = Vec::new();
        for position in 0..call.arguments.len() {
            known.extend(self.text_argument(call, position, frame)?);
        }
        let extensions = input.iter().filter_map(Item::node).filter_map(|node| node.get("modifierExtension"));
        let mut urls = extensions.flat_map(Node::items).map(|extension| extension.str("url").unwrap_or_default());
        Ok(vec![Item::Boolean(urls.all(|url| known.contains(&url)))])
    }

    /// The id in a relative or absolute reference, if it is to the wanted type.
    fn reference_key(&self, call: &Call, input: &[Item<'a>]) -> Result<Items<'a>, Error> {
        let mut out = Vec::new();
        for item in input {
            let Some(reference) = item.node().and_then(|node| node.str("reference")) else {
                continue;
            };
            let path = reference.split_once("/_history/").map_or(&*reference, |(path, _)| path);
            let mut parts = path.rsplit('/');
            let (Some(id), Some(ty)) = (parts.next(), parts.next()) else {
                continue;
            };
            if call.ty.as_ref().is_none_or(|wanted| wanted.name == ty) {
                out.push(Item::String(Cow::Owned(id.to_owned())));
            }
        }
        Ok(out)
    }
}
