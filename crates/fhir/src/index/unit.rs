//! UCUM units in base units.

use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

/// The system of UCUM codes.
pub(crate) const UCUM: &str = "http://unitsofmeasure.org";

/// Distinct unit texts remembered; past it unknown ones are worked out each time.
const CACHE_MAX: usize = 4_096;

/// Base unit, factor and offset of a UCUM code.
type Conversion = Option<(String, f64, f64)>;

static CACHE: LazyLock<RwLock<HashMap<String, Conversion>>> = LazyLock::new(RwLock::default);

/// The range `low..=high` of a UCUM unit, in base units: `(base unit expression, low, high)`. `None` when the code is
/// not UCUM or its scale is not linear.
pub fn canonical(code: &str, low: f64, high: f64) -> Option<(String, f64, f64)> {
    let (unit, factor, offset) = conversion(code)?;
    let based = |value: f64| rounded(value * factor + offset);
    let least = based(low);
    // One number far more often than a range, and rounding is slow.
    Some((unit, least, if low == high { least } else { based(high) }))
}

/// To 13 digits, so that one amount in two units is one number.
fn rounded(value: f64) -> f64 {
    if value.fract() == 0.0 && value.abs() < 1e13 {
        return value;
    }
    format!("{value:.12e}").parse().unwrap_or(value)
}

fn conversion(code: &str) -> Conversion {
    if let Some(known) = CACHE.read().ok()?.get(code) {
        return known.clone();
    }
    let conversion = octofhir_ucum::get_canonical_units(code)
        .ok()
        .map(|unit| (unit.unit, unit.factor.to_f64(), unit.offset.to_f64()));
    let mut cache = CACHE.write().ok()?;
    if cache.len() < CACHE_MAX {
        cache.insert(code.to_owned(), conversion.clone());
    }
    conversion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_meet_in_their_base_unit() {
        let (gram, low, _) = canonical("mg", 5.0, 5.0).unwrap();
        assert_eq!((gram.as_str(), low), ("g", 0.005));
        let (kelvin, low, _) = canonical("Cel", 37.0, 37.0).unwrap();
        assert_eq!(kelvin, "K");
        assert!((low - 310.15).abs() < 1e-9);
        assert_eq!(canonical("nonsense unit", 1.0, 1.0), None);
        assert_eq!(canonical("mg", 5.4, f64::INFINITY), canonical("g", 0.0054, f64::INFINITY));
    }
}
