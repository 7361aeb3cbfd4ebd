//! One value of a search parameter: from text to a [`Test`].

use super::split::{split, unescape};
use super::{Comparator, Context, DateTest, SystemTest, Test, UnitTest};
use crate::defs::{ParamId, ParamType, TypeId};
use crate::index::{Target, UCUM, canonical, normalize, parse_reference};
use crate::temporal::PartialDateTime;

/// `ap`: within this part of the value (or of the distance to now).
const APPROXIMATELY: f64 = 0.1;

/// Why a value was refused, without repeating it.
pub(super) type Refusal = String;

/// Reads one value (no `,` left in it) of a parameter without modifier.
pub(super) fn test(context: &Context<'_>, param: ParamId, text: &str) -> Result<Test, Refusal> {
    let def = context.defs.param(param);
    match def.ty {
        ParamType::String => Ok(Test::StringStarts(normalize(&unescape(text)))),
        ParamType::Token => token(text),
        ParamType::Reference => reference(context, &def.targets, text),
        ParamType::Date => date(text, context.now).map(Test::Date),
        ParamType::Number => {
            let (comparator, low, high) = number(text)?;
            Ok(Test::Number { comparator, low, high })
        }
        ParamType::Quantity => quantity(text),
        ParamType::Uri => Ok(Test::Uri(unescape(text))),
        ParamType::Composite => composite(context, param, text),
        ParamType::Special => near(text),
    }
}

pub(super) fn system_and_code(text: &str) -> Result<(SystemTest, Option<String>), Refusal> {
    let parts = split(text, '|');
    let code = |text: &str| Some(unescape(text)).filter(|text| !text.is_empty());
    match parts.as_slice() {
        [plain] => Ok((SystemTest::Any, code(plain))),
        ["", plain] => Ok((SystemTest::Absent, code(plain))),
        [system, plain] => Ok((SystemTest::Is(unescape(system)), code(plain))),
        _ => Err("has more than one unescaped `|`: write it as [system]|[code]".into()),
    }
}

fn token(text: &str) -> Result<Test, Refusal> {
    match system_and_code(text)? {
        (SystemTest::Any | SystemTest::Absent, None) => Err("is empty".into()),
        (system, code) => Ok(Test::Token { system, code }),
    }
}

pub(super) fn of_type(text: &str) -> Result<Test, Refusal> {
    match split(text, '|').as_slice() {
        [system, code, value] if !system.is_empty() && !code.is_empty() && !value.is_empty() => {
            Ok(Test::TokenOfType { system: unescape(system), code: unescape(code), value: unescape(value) })
        }
        _ => Err("must be [system]|[code]|[value] with :of-type".into()),
    }
}

/// `id`, `Type/id`, or a URL. URLs under the server's own base are local.
pub(super) fn reference(context: &Context<'_>, targets: &[TypeId], text: &str) -> Result<Test, Refusal> {
    let text = unescape(text);
    let own = context.own_bases.iter().find_map(|base| text.strip_prefix(base.as_str())?.strip_prefix('/'));
    let text = own.unwrap_or(&text);
    if text.is_empty() {
        return Err("is empty".into());
    }
    match parse_reference(context.defs, text) {
        Target::Local { ty, id } => Ok(Test::Reference { ty: Some(ty), id: id.to_owned() }),
        Target::Contained => Err("refers to a contained resource, which no other can refer to".into()),
        Target::Url(url) if crate::index::is_id(url) => {
            let ty = if let [only] = targets { Some(*only) } else { None };
            Ok(Test::Reference { ty, id: url.to_owned() })
        }
        Target::Url(url) => Ok(Test::ReferenceUrl(url.to_owned())),
    }
}

/// The comparator a value begins with; only two letters before a digit or sign count.
fn comparator(text: &str) -> Result<(Comparator, &str), Refusal> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (prefix, rest) = text.split_at(letters);
    let comparator = match prefix {
        "" | "eq" => Comparator::Eq,
        "ne" => Comparator::Ne,
        "lt" => Comparator::Lt,
        "gt" => Comparator::Gt,
        "le" => Comparator::Le,
        "ge" => Comparator::Ge,
        "sa" => Comparator::Sa,
        "eb" => Comparator::Eb,
        "ap" => Comparator::Ap,
        _ => return Err("begins with an unknown prefix: use eq, ne, lt, gt, le, ge, sa, eb or ap".into()),
    };
    Ok((comparator, rest))
}

pub(super) fn date(text: &str, now: i64) -> Result<DateTest, Refusal> {
    let (comparator, rest) = comparator(text)?;
    // A `+` of a zone that was not percent-encoded arrives as a space.
    let rest = rest.replace(' ', "+");
    let date = PartialDateTime::parse(&rest)
        .ok_or("is not a date: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][zone]")?;
    let (mut start, mut end) = date.range_us();
    if comparator == Comparator::Ap {
        let slack = ((now.saturating_sub(start)).unsigned_abs() as f64 * APPROXIMATELY) as i64;
        start = start.saturating_sub(slack);
        end = end.saturating_add(slack);
    }
    Ok(DateTest { comparator, start, end })
}

/// Comparator and range. `eq`, `ne` take the precision written as a range; the others the exact value.
fn number(text: &str) -> Result<(Comparator, f64, f64), Refusal> {
    let (comparator, rest) = comparator(text)?;
    let is_number = rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    let value: f64 = rest.parse().ok().filter(|value: &f64| is_number && value.is_finite()).ok_or("is not a number")?;
    let slack = match comparator {
        Comparator::Eq | Comparator::Ne => half_step(rest),
        Comparator::Ap => value.abs() * APPROXIMATELY,
        _ => 0.0,
    };
    let high = value + slack;
    // The range of a written number excludes its upper end: 100.5 is not 100. At 1e18 half a digit is nothing.
    let high = if matches!(comparator, Comparator::Eq | Comparator::Ne) { high.next_down().max(value) } else { high };
    Ok((comparator, value - slack, high))
}

/// Half of the last digit written: 100 → 0.5, 1.50 → 0.005, 5.40e-3 → 0.000005. A mantissa of one digit counts as if a zero
/// followed, because the specification reads 1e2 as 95 to 105.
fn half_step(text: &str) -> f64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
    let digits = mantissa.trim_start_matches(['+', '-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    let implied = i32::from(mantissa.len() < text.len() && digits < 2);
    0.5 * 10_f64.powi(exponent.parse::<i32>().unwrap_or(0).saturating_sub(decimals + implied))
}

fn quantity(text: &str) -> Result<Test, Refusal> {
    let parts = split(text, '|');
    let (comparator, low, high) = number(parts[0])?;
    let unit = match parts.as_slice() {
        [_] | [_, "", ""] => UnitTest::Any,
        [_, "", code] => UnitTest::CodeOrUnit(unescape(code)),
        [_, system, code] if !code.is_empty() => {
            let (system, code) = (unescape(system), unescape(code));
            let canonical = if system == UCUM { canonical(&code, low, high) } else { None };
            UnitTest::System { system, code, canonical }
        }
        _ => return Err("must be [number], [number]|[system]|[code] or [number]||[code]".into()),
    };
    Ok(Test::Quantity { comparator, low, high, unit })
}

fn composite(context: &Context<'_>, param: ParamId, text: &str) -> Result<Test, Refusal> {
    let components = &context.defs.param(param).components;
    let parts = split(text, '$');
    if parts.len() != components.len() {
        return Err(format!("must have {} parts separated by `$`", components.len()));
    }
    let tests = parts.iter().zip(components).map(|(part, component)| test(context, component.param, part));
    Ok(Test::Composite(tests.collect::<Result<_, _>>()?))
}

fn near(text: &str) -> Result<Test, Refusal> {
    const SHAPE: &str = "must be [latitude]|[longitude]|[distance]|[units], units km, m or [mi_us]";
    let parts = split(text, '|');
    let degree = |at: usize, limit: f64| {
        let value: Option<f64> = parts.get(at).and_then(|part| part.parse().ok());
        value.filter(|value| value.abs() <= limit).ok_or(SHAPE)
    };
    let distance: f64 = match parts.get(2).copied().unwrap_or("") {
        "" => 10.0,
        text => text.parse().ok().filter(|distance: &f64| distance.is_finite() && *distance >= 0.0).ok_or(SHAPE)?,
    };
    let unit_m = match parts.get(3).copied().unwrap_or("") {
        "" | "km" => 1_000.0,
        "m" => 1.0,
        "[mi_us]" | "mi_us" => 1_609.347,
        "[mi_i]" => 1_609.344,
        _ => return Err(SHAPE.into()),
    };
    Ok(Test::Near { latitude: degree(0, 90.0)?, longitude: degree(1, 180.0)?, radius_m: distance * unit_m })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_the_precision_they_are_written_with() {
        assert_eq!(number("100").unwrap(), (Comparator::Eq, 99.5, 100.5_f64.next_down()));
        for text in ["1e2", "1E+2", "1.0e2", "0.10e3"] {
            assert_eq!(number(text).unwrap(), (Comparator::Eq, 95.0, 105.0_f64.next_down()), "{text}");
        }
        assert_eq!(number("1.00e2").unwrap(), (Comparator::Eq, 99.5, 100.5_f64.next_down()));
        assert_eq!(number("-2e1").unwrap(), (Comparator::Eq, -20.5, (-19.5_f64).next_down()));
        let (_, low, high) = number("5.40e-3").unwrap();
        assert!((low - 0.005_395).abs() < 1e-12 && (high - 0.005_405).abs() < 1e-12, "{low} {high}");
        assert_eq!(number("1000000000000000000").unwrap().2, 1e18);
        assert_eq!(number("lt5.40").unwrap(), (Comparator::Lt, 5.4, 5.4));
        assert_eq!(number("ap10").unwrap(), (Comparator::Ap, 9.0, 11.0));
        for bad in ["", "x", "lt", "1,5", "inf", "nan", "NaN", "eq1e999", "xx5"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_cover_what_they_name() {
        let test = date("ge2020-01", 0).unwrap();
        assert_eq!(test.comparator, Comparator::Ge);
        assert_eq!(test.end - test.start + 1, 31 * 86_400_000_000);
        assert!(date("2020-01-01T10:00:00 02:00", 0).is_ok());
        for bad in ["2020-13", "01/02/2020", "ge", "yesterday"] {
            assert!(date(bad, 0).is_err(), "{bad}");
        }
    }
}
