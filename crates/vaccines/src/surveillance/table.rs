//! The table of a programme, as configuration has it.

use crate::date::{Date, Period};
use crate::person::Dose;
use crate::schedule::Cvx;
use serde::{Deserialize, Deserializer, de};

/// One definition of who is vaccinated, with a name and a version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programme {
    /// Short and stable: lower-case letters, digits and hyphens.
    pub id: String,
    /// For people.
    pub title: String,
    /// Changes with every change of the definition.
    pub version: String,
    /// What is done about a dose that comes before the minimum interval or age.
    pub early_dose: EarlyDose,
    /// Whether doses of different products count together.
    pub mixing: bool,
    /// Doses before this age do not count.
    #[serde(default, deserialize_with = "age")]
    pub min_age: Option<Period>,
    /// Doses before this day do not count.
    #[serde(default, deserialize_with = "day")]
    pub effective_from: Option<Date>,
    /// Doses after this day do not count.
    #[serde(default, deserialize_with = "day")]
    pub effective_until: Option<Date>,
    /// What counts as a booster; none if nothing does.
    #[serde(default)]
    pub booster: Option<Booster>,
    /// The products that count.
    #[serde(rename = "product")]
    pub products: Vec<Product>,
}

/// A product, or several that are the same to the programme.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// For people.
    pub name: String,
    /// Its vaccine types.
    pub cvx: Vec<Cvx>,
    /// The manufacturer (MVX code), if only its doses are meant. Such a product goes before one without.
    #[serde(default)]
    pub mvx: Option<String>,
    /// How many doses are all.
    pub doses_required: u8,
    /// Days from the last dose that counts to the next one.
    #[serde(default)]
    pub min_interval_days: u16,
}

/// What is done about a dose that comes too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum EarlyDose {
    /// It counts, if it was given on another day; the minimum age is kept.
    #[serde(rename = "count")]
    Count,
    /// It counts up to four days before the minimum interval or age, CDC's grace period.
    #[serde(rename = "grace_4d")]
    Grace,
    /// It does not count.
    #[serde(rename = "strict")]
    Strict,
}

/// A dose of the programme after all that are needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Booster {
    /// Earlier doses are no boosters.
    #[serde(default, deserialize_with = "day")]
    pub from: Option<Date>,
    /// Days from the dose that made the status full.
    #[serde(default)]
    pub min_interval_days: u16,
}

/// A programme that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgrammeError {
    /// Not TOML, or not the table of a programme; the text names the line.
    #[error("no programme of surveillance: {0}")]
    Toml(String),
    /// A value that makes no sense, with what to write instead.
    #[error("programme `{id}`, {field}: {problem}")]
    Value {
        /// The programme.
        id: String,
        /// Where in it.
        field: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
}

static COVID_19_PRIMARY: &str = include_str!("../../data/covid-19-primary.toml");

impl Programme {
    /// The programmes that are shipped: `covid-19-primary`, the definition of CDC's COVID-19 tracker.
    pub fn builtin() -> Result<Vec<Self>, ProgrammeError> {
        Ok(vec![Self::from_toml(COVID_19_PRIMARY)?])
    }

    /// Reads and checks one programme.
    pub fn from_toml(text: &str) -> Result<Self, ProgrammeError> {
        let programme: Self = toml::from_str(text).map_err(|error| ProgrammeError::Toml(error.to_string()))?;
        programme.check()?;
        Ok(programme)
    }

    /// Whether the values make sense together. Whoever reads a programme otherwise than by [`Programme::from_toml`] calls it
    /// before use.
    pub fn check(&self) -> Result<(), ProgrammeError> {
        let wrong = |field: &str, problem: String| {
            Err(ProgrammeError::Value { id: self.id.clone(), field: field.to_owned(), problem })
        };
        let is_of_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.id.is_empty() || !self.id.bytes().all(is_of_id) {
            return wrong("id", "write it with lower-case letters, digits and hyphens, e.g. `measles-2026`".to_owned());
        }
        if self.version.is_empty() {
            return wrong("version", "name the version, so that counts can be compared".to_owned());
        }
        if self.products.is_empty() {
            return wrong("product", "list at least one, each as [[product]]".to_owned());
        }
        if let (Some(from), Some(until)) = (self.effective_from, self.effective_until)
            && until < from
        {
            return wrong("effective_until", format!("{until} is before effective_from, {from}: exchange them"));
        }
        for (at, product) in self.products.iter().enumerate() {
            if let Some(problem) = self.problem(at, product) {
                return wrong(&format!("product `{}`", product.name), problem);
            }
        }
        Ok(())
    }

    fn problem(&self, at: usize, product: &Product) -> Option<String> {
        if product.cvx.is_empty() {
            return Some("cvx is empty: list the codes of its vaccine types".to_owned());
        }
        if product.doses_required == 0 {
            return Some("doses_required is 0: write how many doses are all, at least 1".to_owned());
        }
        let twice =
            |other: &&Product| other.mvx == product.mvx && other.cvx.iter().any(|cvx| product.cvx.contains(cvx));
        self.products[..at].iter().find(twice).map(|other| {
            format!("has a vaccine type in common with `{}`: list each once, or tell them by mvx", other.name)
        })
    }

    /// Position of the product that a dose is of.
    pub(super) fn product_of(&self, dose: &Dose) -> Option<usize> {
        let of_type = |product: &Product| product.cvx.contains(&dose.cvx);
        let made_by = |product: &Product| product.mvx.is_some() && product.mvx == dose.mvx;
        let products = || self.products.iter();
        products()
            .position(|product| of_type(product) && made_by(product))
            .or_else(|| products().position(|product| of_type(product) && product.mvx.is_none()))
    }
}

fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Period>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let age = Period::parse(&text);
    age.map(Some)
        .ok_or_else(|| de::Error::custom(format!("{text:?} is no age: write e.g. \"5 years\" or \"6 months\"")))
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let date = text.parse().map(Some);
    date.map_err(|_| de::Error::custom(format!("{text:?} is no day: write e.g. \"2021-08-13\", in quotes")))
}
