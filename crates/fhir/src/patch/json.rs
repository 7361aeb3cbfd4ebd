//! JSON Patch: <https://www.rfc-editor.org/rfc/rfc6902>.

use super::pointer::{self, Problem};
use super::{OPERATIONS_MAX, PatchError};
use crate::json::{Node, Value};

/// Bytes that `copy` may add to a resource, all operations together.
const COPIED_MAX: usize = 16 << 20;

/// Applies the operations in order and returns the new value.
pub fn json_patch(value: &Value, patch: Node<'_>) -> Result<Value, PatchError> {
    if !patch.is_array() {
        return Err(PatchError::Shape("a JSON patch is an array of operations"));
    }
    if patch.len() > OPERATIONS_MAX {
        return Err(PatchError::Shape("the patch has too many operations"));
    }
    let mut result = value.clone();
    let mut copied = 0;
    for (index, operation) in patch.items().enumerate() {
        apply(&mut result, Operation { index, node: operation }, &mut copied)?;
    }
    Ok(result)
}

#[derive(Clone, Copy)]
struct Operation<'p> {
    index: usize,
    node: Node<'p>,
}

impl Operation<'_> {
    fn fail<T>(self, problem: &'static str) -> Result<T, PatchError> {
        Err(PatchError::Operation { index: self.index, problem })
    }

    /// The pointer in `member`, as written and in tokens.
    fn pointer(self, member: &str) -> Result<(String, Vec<String>), PatchError> {
        let Some(text) = self.node.str(member) else {
            return self.fail(if member == "from" { "from is missing" } else { "path is missing" });
        };
        match pointer::parse(&text) {
            Some(tokens) => Ok((text.into_owned(), tokens)),
            None => {
                Err(PatchError::Place { index: self.index, place: text.into_owned(), problem: "not a JSON pointer" })
            }
        }
    }

    fn value(self) -> Result<Value, PatchError> {
        self.node.get("value").map_or_else(|| self.fail("value is missing"), |node| Ok(node.into()))
    }

    fn place(self, pointer: &str) -> impl FnOnce(Problem) -> PatchError {
        let place = pointer.to_owned();
        move |problem| PatchError::Place { index: self.index, place, problem }
    }
}

fn apply(root: &mut Value, operation: Operation<'_>, copied: &mut usize) -> Result<(), PatchError> {
    let (path, tokens) = operation.pointer("path")?;
    match operation.node.str("op").as_deref() {
        Some("add") => pointer::add(root, &tokens, operation.value()?).map_err(operation.place(&path)),
        Some("remove") => pointer::remove(root, &tokens).map(drop).map_err(operation.place(&path)),
        Some("replace") => pointer::replace(root, &tokens, operation.value()?).map_err(operation.place(&path)),
        Some("move") => {
            let (from, from_tokens) = operation.pointer("from")?;
            if tokens.len() > from_tokens.len() && tokens.starts_with(&from_tokens) {
                return Err(operation.place(&path)("a value cannot be moved into itself"));
            }
            if tokens == from_tokens && pointer::get(root, &tokens).is_some() {
                return Ok(());
            }
            let moved = pointer::remove(root, &from_tokens).map_err(operation.place(&from))?;
            pointer::add(root, &tokens, moved).map_err(operation.place(&path))
        }
        Some("copy") => {
            let (from, from_tokens) = operation.pointer("from")?;
            let source = pointer::get(root, &from_tokens).cloned();
            let source = source.ok_or_else(|| operation.place(&from)(pointer::MISSING))?;
            *copied += source.to_string().len();
            if *copied > COPIED_MAX {
                return Err(PatchError::TooLarge);
            }
            pointer::add(root, &tokens, source).map_err(operation.place(&path))
        }
        Some("test") => {
            let expected = operation.value()?;
            let actual = pointer::get(root, &tokens).ok_or_else(|| operation.place(&path)(pointer::MISSING))?;
            if is_equal(actual, &expected) {
                Ok(())
            } else {
                Err(PatchError::TestFailed { index: operation.index, pointer: path })
            }
        }
        Some(_) => operation.fail("op is none of add, remove, replace, move, copy, test"),
        None => operation.fail("op is missing"),
    }
}

/// Equality of RFC 6902: numbers by value, objects without regard to order.
fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || crate::decimal::parse(left).is_some_and(|left| crate::decimal::parse(right) == Some(left))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_equal(left, right))
        }
        (Value::Object(left), Value::Object(members)) => {
            left.len() == members.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| is_equal(value, other)))
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn patched(value: &Value, patch: &str) -> Result<Value, PatchError> {
        let document = Document::parse(patch.as_bytes(), &Limits::default()).unwrap();
        json_patch(value, document.root())
    }

    #[test]
    fn errors_name_the_operation_and_the_pointer() {
        let value = Value::parse(r#"{"a":1,"list":[1,2]}"#).unwrap();
        let message = |patch: &str| patched(&value, patch).unwrap_err().to_string();
        assert_eq!(
            message(r#"[{"op":"test","path":"/a","value":1.0},{"op":"remove","path":"/b/c"}]"#),
            "operation 1: there is nothing at /b/c"
        );
        assert_eq!(
            message(r#"[{"op":"add","path":"/list/3","value":3}]"#),
            "operation 0: there is no such array index at /list/3"
        );
        assert_eq!(
            message(r#"[{"op":"replace","path":"/list/-","value":3}]"#),
            "operation 0: there is nothing at /list/-"
        );
        assert_eq!(
            message(r#"[{"op":"move","from":"/list","path":"/list/0"}]"#),
            "operation 0: a value cannot be moved into itself at /list/0"
        );
        assert_eq!(message(r#"[{"op":"test","path":"/a","value":2}]"#), "operation 0: the value at /a is another");
        assert_eq!(message(r#"[{"op":"add","path":"/c"}]"#), "operation 0: value is missing");
        assert_eq!(
            message(r#"[{"op":"touch","path":"/c"}]"#),
            "operation 0: op is none of add, remove, replace, move, copy, test"
        );
        assert_eq!(message(r#"[{"op":"add","path":"c","value":1}]"#), "operation 0: not a JSON pointer at c");
        assert_eq!(message("{}"), "a JSON patch is an array of operations");
    }

    #[test]
    fn copies_cannot_grow_without_bound() {
        let value = Value::parse(r#"{"a":"0123456789012345678901234567890123456789","l":[]}"#).unwrap();
        let copies = vec![r#"{"op":"copy","from":"","path":"/l/-"}"#; 40].join(",");
        assert_eq!(patched(&value, &format!("[{copies}]")), Err(PatchError::TooLarge));
    }
}
