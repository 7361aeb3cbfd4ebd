//! The vaccine tracker: who is who among the records of persons, who is vaccinated, and how many are.

pub mod immds;
