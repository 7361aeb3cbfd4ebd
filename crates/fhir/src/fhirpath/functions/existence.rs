//! Questions about collections: existence, subsets, truth, number, type.

use super::super::Error;
use super::super::ast::Call;
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::Item;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Existence {
    Empty,
    Exists,
    All,
    AllTrue,
    AnyTrue,
    AllFalse,
    AnyFalse,
    SubsetOf,
    SupersetOf,
    Count,
    IsDistinct,
    Not,
    Is,
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn existence(
        &self,
        function: Existence,
        call: &Call,
        input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        let answer = match function {
            Existence::Empty => input.is_empty(),
            Existence::Exists => match call.arguments.first() {
                None => !input.is_empty(),
                Some(criterion) => self.any(&input, |item, index| {
                    let items = self.eval(criterion, &frame.item(item, index))?;
                    Ok(self.boolean(&items)? == Some(true))
                })?,
            },
            Existence::All => match call.arguments.first() {
                None => true,
                Some(criterion) => !self.any(&input, |item, index| {
                    let items = self.eval(criterion, &frame.item(item, index))?;
                    Ok(self.boolean(&items)? != Some(true))
                })?,
            },
            Existence::AllTrue => !self.truths(&input)?.contains(&false),
            Existence::AnyTrue => self.truths(&input)?.contains(&true),
            Existence::AllFalse => !self.truths(&input)?.contains(&true),
            Existence::AnyFalse => self.truths(&input)?.contains(&false),
            Existence::SubsetOf => self.is_subset(&input, &self.argument(call, 0, frame)?)?,
            Existence::SupersetOf => self.is_subset(&self.argument(call, 0, frame)?, &input)?,
            Existence::Count => return Ok(vec![Item::Integer(i64::try_from(input.len()).unwrap_or(i64::MAX))]),
            Existence::IsDistinct => {
                let count = input.len();
                self.distinct(input)?.len() == count
            }
            Existence::Not => match self.boolean(&input)? {
                Some(value) => !value,
                None => return Ok(Vec::new()),
            },
            Existence::Is => match &call.ty {
                Some(ty) => return self.is(&input, ty),
                None => return Ok(Vec::new()),
            },
        };
        Ok(vec![Item::Boolean(answer)])
    }

    fn any(
        &self,
        items: &[Item<'a>],
        mut holds: impl FnMut(&Item<'a>, usize) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for (index, item) in items.iter().enumerate() {
            if holds(item, index)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn truths(&self, items: &[Item<'a>]) -> Result<Vec<bool>, Error> {
        items
            .iter()
            .map(|item| match item.to_value(self.env.defs) {
                Some(Item::Boolean(value)) => Ok(value),
                _ => Err(Error::Evaluation("expected only booleans")),
            })
            .collect()
    }

    fn is_subset(&self, subset: &[Item<'a>], superset: &[Item<'a>]) -> Result<bool, Error> {
        Ok(!self.any(subset, |item, _| Ok(!self.contains(superset, item)?))?)
    }
}
