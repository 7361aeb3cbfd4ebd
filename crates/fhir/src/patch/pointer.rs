//! JSON pointers (RFC 6901) and edits at the place they name.

use crate::json::Value;

/// The tokens of a pointer, unescaped; `None` if it is none.
pub(super) fn parse(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(unescape).collect()
}

/// `~1` is `/`, `~0` is `~`, any other `~` is an error.
fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut parts = token.split('~');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.as_bytes().first() {
            Some(b'0') => out.push('~'),
            Some(b'1') => out.push('/'),
            _ => return None,
        }
        out.push_str(&part[1..]);
    }
    Some(out)
}

/// An array index as JSON pointers write it: no sign, no leading zero.
fn array_index(token: &str) -> Option<usize> {
    let is_canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if is_canonical { token.parse().ok() } else { None }
}

/// Why an edit is not possible.
pub(super) type Problem = &'static str;

pub(super) const MISSING: Problem = "there is nothing";

pub(super) fn get<'v>(root: &'v Value, tokens: &[String]) -> Option<&'v Value> {
    tokens.iter().try_fold(root, |value, token| match value {
        Value::Array(items) => items.get(array_index(token)?),
        value => value.get(token),
    })
}

pub(super) fn get_mut<'v>(root: &'v mut Value, tokens: &[String]) -> Option<&'v mut Value> {
    tokens.iter().try_fold(root, |value, token| match value {
        Value::Array(items) => items.get_mut(array_index(token)?),
        value => value.get_mut(token),
    })
}

/// Sets a member, or inserts before an array index; `-` is the end of an array.
pub(super) fn add(root: &mut Value, tokens: &[String], value: Value) -> Result<(), Problem> {
    let Some((last, parents)) = tokens.split_last() else {
        *root = value;
        return Ok(());
    };
    match get_mut(root, parents).ok_or("there is no parent")? {
        Value::Array(items) => {
            let index = if last == "-" { Some(items.len()) } else { array_index(last) };
            let index = index.filter(|index| *index <= items.len()).ok_or("there is no such array index")?;
            items.insert(index, value);
        }
        parent @ Value::Object(_) => parent.set(last, value),
        _ => return Err("the parent is neither object nor array"),
    }
    Ok(())
}

pub(super) fn remove(root: &mut Value, tokens: &[String]) -> Result<Value, Problem> {
    let Some((last, parents)) = tokens.split_last() else {
        return Err("the whole resource cannot be removed");
    };
    match get_mut(root, parents).ok_or(MISSING)? {
        Value::Array(items) => {
            let index = array_index(last).filter(|index| *index < items.len()).ok_or(MISSING)?;
            Ok(items.remove(index))
        }
        Value::Object(members) => {
            let index = members.iter().position(|(name, _)| name == last).ok_or(MISSING)?;
            Ok(members.remove(index).1)
        }
        _ => Err(MISSING),
    }
}

pub(super) fn replace(root: &mut Value, tokens: &[String], value: Value) -> Result<(), Problem> {
    *get_mut(root, tokens).ok_or(MISSING)? = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_as_the_rfc_says() {
        assert_eq!(parse("").unwrap(), Vec::<String>::new());
        assert_eq!(parse("/").unwrap(), [""]);
        assert_eq!(parse("/a~1b/~01/m~0n").unwrap(), ["a/b", "~1", "m~n"]);
        assert_eq!(parse("a"), None);
        assert_eq!(parse("/~"), None);
        assert_eq!(parse("/~2"), None);
    }

    #[test]
    fn indexes_are_canonical() {
        assert_eq!(array_index("0"), Some(0));
        assert_eq!(array_index("10"), Some(10));
        for token in ["", "00", "01", "-1", "+1", "1.0", "a", "99999999999999999999999"] {
            assert_eq!(array_index(token), None, "{token}");
        }
    }
}
