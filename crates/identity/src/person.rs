//! What is known of a person, in clear text. It goes into [`crate::encode`] and nowhere else.

/// The most names of one record that count, the first with them. Each brings some 12 blocking keys and is compared with
/// each of the other record's: nine comparisons at most, and no record that everybody is like.
pub const MAX_NAMES: usize = 3;
/// The most addresses of one record that count, for the same reason; those before the last one are older ones.
pub const MAX_ADDRESSES: usize = 3;
/// The most telephone numbers of one record that count.
pub const MAX_PHONES: usize = 3;
/// The most identifiers of one record that count.
pub const MAX_IDENTIFIERS: usize = 16;

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
    /// Names she has or had beside that: maiden name, alias, the name she goes by. A part left empty is that of the first
    /// name. Together with it at most [`MAX_NAMES`].
    pub other_names: &'a [Name<'a>],
    /// Addresses beside that, the latest first; together with it at most [`MAX_ADDRESSES`].
    pub other_addresses: &'a [Address<'a>],
    /// At most [`MAX_PHONES`].
    pub phones: &'a [&'a str],
    /// At most [`MAX_IDENTIFIERS`].
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

/// A further name.
#[derive(Clone, Copy, Default)]
pub struct Name<'a> {
    pub given: &'a str,
    pub family: &'a str,
}

/// A further address.
#[derive(Clone, Copy, Default)]
pub struct Address<'a> {
    /// House number and street, all lines of the address.
    pub street: &'a str,
    pub city: &'a str,
    pub postal_code: &'a str,
}

/// Says nothing of the person: clear text stays out of logs and of failing tests.
impl std::fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person")
    }
}

impl std::fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name")
    }
}

impl std::fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

impl std::fmt::Debug for Identifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identifier")
    }
}
