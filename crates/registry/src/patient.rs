//! From a Patient resource to the tokens by which persons are matched. The clear text ends here.

use crate::golden::patient_type;
use engine::{Error, Feed};
use fhir::json::{Document, Limits, Node};
use identity::{Address, Encoded, Identifier, Keys, Name, Person};
use std::borrow::Cow;
use store::Op;

#[derive(Default)]
struct OwnedName {
    given: String,
    family: String,
}

#[derive(Default)]
struct OwnedAddress {
    street: String,
    city: String,
    postal_code: String,
}

/// What identifies the person of a Patient.
#[derive(Default)]
pub(crate) struct Demographics {
    names: Vec<OwnedName>,
    birth_date: String,
    sex: String,
    addresses: Vec<OwnedAddress>,
    phones: Vec<String>,
    /// System and value.
    identifiers: Vec<(String, String)>,
    deceased: bool,
}

fn text(node: Node<'_>, member: &str) -> String {
    node.str(member).map(Cow::into_owned).unwrap_or_default()
}

fn joined(node: Node<'_>, member: &str) -> String {
    let items = node.get(member).into_iter().flat_map(Node::items);
    items.filter_map(Node::as_str).collect::<Vec<_>>().join(" ")
}

/// Older ones after the others: what is in use is believed first.
fn is_old(node: &Node<'_>) -> bool {
    node.str("use").as_deref() == Some("old") || node.path(&["period", "end"]).is_some()
}

fn current_first<'a>(patient: Node<'a>, member: &str) -> Vec<Node<'a>> {
    let mut all: Vec<Node<'a>> = patient.get(member).into_iter().flat_map(Node::items).collect();
    all.sort_by_key(is_old);
    all
}

impl Demographics {
    pub(crate) fn of(patient: Node<'_>) -> Demographics {
        let names = current_first(patient, "name").into_iter().map(|name| OwnedName {
            given: joined(name, "given"),
            family: [text(name, "family"), joined(name, "suffix")].join(" ").trim().to_owned(),
        });
        let addresses = current_first(patient, "address").into_iter().map(|address| OwnedAddress {
            street: joined(address, "line"),
            city: text(address, "city"),
            postal_code: text(address, "postalCode"),
        });
        let telecom = current_first(patient, "telecom").into_iter();
        let phones = telecom.filter(|contact| matches!(contact.str("system").as_deref(), Some("phone" | "sms")));
        let identifiers = current_first(patient, "identifier").into_iter();
        let identifiers = identifiers.map(|identifier| (text(identifier, "system"), text(identifier, "value")));
        Demographics {
            names: names.filter(|name| !(name.given.is_empty() && name.family.is_empty())).collect(),
            birth_date: text(patient, "birthDate"),
            sex: text(patient, "gender"),
            addresses: addresses.collect(),
            phones: phones.map(|contact| text(contact, "value")).collect(),
            identifiers: identifiers.filter(|(system, value)| !system.is_empty() && !value.is_empty()).collect(),
            deceased: crate::read::has_died(patient),
        }
    }

    /// Of a record's Patient as it is now; `None` when there is none.
    pub(crate) async fn current(feed: &Feed, id: &str) -> Result<Option<Demographics>, Error> {
        let current = feed.current(patient_type(), id).await?.filter(|current| current.resource.op != Op::Delete);
        let Some(current) = current else { return Ok(None) };
        let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
        let document =
            Document::parse(&current.resource.json, &limits).map_err(|error| crate::broken("a resource", &error))?;
        Ok(Some(Demographics::of(document.root())))
    }

    /// Tokens under the tenant's keys.
    pub(crate) fn encode(&self, keys: &Keys) -> Encoded {
        self.read(|person| identity::encode(keys, person))
    }

    /// The value of the first identifier of a system.
    pub(crate) fn identifier(&self, system: &str) -> Option<&str> {
        let found = self.identifiers.iter().find(|(of, _)| of == system);
        found.map(|(_, value)| value.as_str())
    }

    /// Gives the person to `make`, which turns it into tokens.
    pub(crate) fn read<T>(&self, make: impl FnOnce(&Person<'_>) -> T) -> T {
        let names: Vec<Name<'_>> =
            self.names.iter().map(|name| Name { given: &name.given, family: &name.family }).collect();
        let addresses: Vec<Address<'_>> = self
            .addresses
            .iter()
            .map(|address| Address { street: &address.street, city: &address.city, postal_code: &address.postal_code })
            .collect();
        let phones: Vec<&str> = self.phones.iter().map(String::as_str).collect();
        let identifiers: Vec<Identifier<'_>> =
            self.identifiers.iter().map(|(assigner, value)| Identifier { assigner, value }).collect();
        let (name, other_names) = names.split_first().map_or((Name::default(), &[][..]), |(one, rest)| (*one, rest));
        let (address, other_addresses) =
            addresses.split_first().map_or((Address::default(), &[][..]), |(one, rest)| (*one, rest));
        make(&Person {
            given: name.given,
            family: name.family,
            birth_date: &self.birth_date,
            sex: &self.sex,
            street: address.street,
            city: address.city,
            postal_code: address.postal_code,
            other_names,
            other_addresses,
            phones: &phones,
            identifiers: &identifiers,
            deceased: self.deceased,
        })
    }

    /// What there is to match by, as the weights of HL7's identity matching guide (IDI-Patient-L0): a query below
    /// [`WEIGHT_MIN`] finds too many people to be asked.
    pub(crate) fn weight(&self) -> u32 {
        let name = self.names.iter().any(|name| !name.given.is_empty() && !name.family.is_empty());
        let contact = !self.phones.is_empty() || self.addresses.iter().any(|address| !address.street.is_empty());
        let zip = self.addresses.iter().any(|address| !address.postal_code.is_empty());
        let place = contact || zip;
        u32::from(!self.identifiers.is_empty()) * 5
            + u32::from(place) * 4
            + u32::from(name) * 4
            + u32::from(self.birth_date.len() == 10) * 2
            + u32::from(matches!(self.sex.as_str(), "male" | "female"))
    }
}

/// See [`Demographics::weight`].
pub(crate) const WEIGHT_MIN: u32 = 9;

/// Says nothing of the person.
impl std::fmt::Debug for Demographics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Demographics")
    }
}
