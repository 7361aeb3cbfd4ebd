//! Rules by which the tokens for another weir are made, for who wants other proof than [`crate::match_partner_tokens`] does.

use super::PartnerTokens;

/// What a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// Both names in whichever order, and birth date.
    NamesBirth = 1,
    /// Given name by its nicknames, surname, birth date.
    NicknameBirth,
    /// Initial, surname, sex, birth date.
    InitialLastSexBirth,
    /// How both names sound, sex, birth date.
    SoundSexBirth,
    /// Telephone number, given name, birth date.
    PhoneFirstBirth,
    /// Street, postal code, given name, birth date.
    AddressFirstBirth,
    /// An identifier with its assigner, and birth date.
    NumberBirth,
    /// Both names and telephone number.
    NamesPhone,
    /// Both names, street, postal code.
    NamesAddress,
}

const ALL: [Rule; 9] = [
    Rule::NamesBirth,
    Rule::NicknameBirth,
    Rule::InitialLastSexBirth,
    Rule::SoundSexBirth,
    Rule::PhoneFirstBirth,
    Rule::AddressFirstBirth,
    Rule::NumberBirth,
    Rule::NamesPhone,
    Rule::NamesAddress,
];

impl PartnerTokens {
    /// Every token with its rule, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u64)> + '_ {
        let rule = |number: u8| ALL.into_iter().find(|rule| *rule as u8 == number);
        self.each().filter_map(move |(number, token)| Some((rule(number)?, token)))
    }
}
