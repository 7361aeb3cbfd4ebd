//! What is known of a person, in clear text. It goes into [`crate::encode`] and nowhere else.

/// One record of a person as a clinic keeps it. What is not known is empty.
#[derive(Clone, Copy, Default)]
pub struct Person<'a> {
    pub given: &'a str,
    pub family: &'a str,
    /// `YYYY-MM-DD`, `YYYYMMDD` or `MM/DD/YYYY`.
    pub birth_date: &'a str,
    /// `m`, `f`, `male` or `female`; everything else counts as not known.
    pub sex: &'a str,
    /// House number and street, all lines of the address.
    pub street: &'a str,
    pub city: &'a str,
    pub postal_code: &'a str,
    pub phones: &'a [&'a str],
    pub identifiers: &'a [Identifier<'a>],
    pub deceased: bool,
}

/// A number that somebody gave to the person.
#[derive(Clone, Copy)]
pub struct Identifier<'a> {
    /// Who gave it: a FHIR identifier's system.
    pub assigner: &'a str,
    pub value: &'a str,
}

/// Says nothing of the person: clear text stays out of logs and of failing tests.
impl std::fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person")
    }
}

impl std::fmt::Debug for Identifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identifier")
    }
}
