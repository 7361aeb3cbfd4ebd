//! OpenEMR's vital signs have American units and no others.

use rust_decimal::Decimal;

/// Decimals that OpenEMR's columns keep.
const DECIMALS: u32 = 2;

/// What a column of vital signs measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pressure,
    Mass,
    Length,
    Temperature,
    PerMinute,
    Percent,
    MassPerArea,
}

/// A UCUM quantity in the unit of the column. `None`: the unit does not fit.
pub(super) fn convert(value: &str, unit: &str, kind: Kind) -> Option<Decimal> {
    let value = fhir::decimal::parse(value)?;
    let (factor, offset) = match (kind, unit) {
        (Kind::Pressure, "mm[Hg]") => (Decimal::ONE, Decimal::ZERO),
        (Kind::Pressure, "kPa") => (Decimal::new(7_500_616_827, 9), Decimal::ZERO),
        (Kind::Mass, "[lb_av]") => (Decimal::ONE, Decimal::ZERO),
        (Kind::Mass, "kg") => (Decimal::new(22_046_226_218, 10), Decimal::ZERO),
        (Kind::Mass, "g") => (Decimal::new(22_046_226_218, 13), Decimal::ZERO),
        (Kind::Length, "[in_i]") => (Decimal::ONE, Decimal::ZERO),
        (Kind::Length, "cm") => (Decimal::new(3_937_007_874, 10), Decimal::ZERO),
        (Kind::Length, "m") => (Decimal::new(3_937_007_874, 8), Decimal::ZERO),
        (Kind::Temperature, "[degF]") => (Decimal::ONE, Decimal::ZERO),
        (Kind::Temperature, "Cel") => (Decimal::new(18, 1), Decimal::new(32, 0)),
        (Kind::PerMinute, "/min" | "{beats}/min" | "{breaths}/min") => (Decimal::ONE, Decimal::ZERO),
        (Kind::Percent, "%") => (Decimal::ONE, Decimal::ZERO),
        (Kind::MassPerArea, "kg/m2") => (Decimal::ONE, Decimal::ZERO),
        _ => return None,
    };
    Some((value.checked_mul(factor)? + offset).round_dp(DECIMALS).normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_becomes_american() {
        for (value, unit, kind, expected) in [
            ("70", "kg", Kind::Mass, "154.32"),
            ("3500", "g", Kind::Mass, "7.72"),
            ("180", "cm", Kind::Length, "70.87"),
            ("1.8", "m", Kind::Length, "70.87"),
            ("37", "Cel", Kind::Temperature, "98.6"),
            ("16", "kPa", Kind::Pressure, "120.01"),
            ("120", "mm[Hg]", Kind::Pressure, "120"),
            ("98.60", "[degF]", Kind::Temperature, "98.6"),
        ] {
            assert_eq!(
                convert(value, unit, kind).map(|value| value.to_string()).as_deref(),
                Some(expected),
                "{value} {unit}"
            );
        }
        assert_eq!(convert("70", "kg", Kind::Length), None);
        assert_eq!(convert("x", "kg", Kind::Mass), None);
    }
}
