//! From collections to collections: filtering, projection, subsetting, combining, the tree.

use super::super::Error;
use super::super::ast::{Call, Expr};
use super::super::equality::Seen;
use super::super::eval::{Evaluator, Frame, Items};
use super::super::item::Item;
use super::super::navigate;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Collection {
    Where,
    Select,
    Repeat,
    Aggregate,
    Sort,
    Distinct,
    Single,
    First,
    Last,
    Tail,
    Skip,
    Take,
    Intersect,
    Exclude,
    Union,
    Combine,
    Coalesce,
    Children,
    Descendants,
    As,
    OfType,
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn collection(
        &self,
        function: Collection,
        call: &Call,
        mut input: Items<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Items<'a>, Error> {
        match function {
            Collection::Where => self.filter(call, input, frame),
            Collection::Select => {
                let mut out = Vec::new();
                for (index, item) in input.iter().enumerate() {
                    out.extend(self.argument(call, 0, &frame.item(item, index))?);
                    self.spend(out.len() as u64 / 16)?;
                }
                Ok(out)
            }
            Collection::Repeat => self.repeat(call, input, frame),
            Collection::Aggregate => self.aggregate(call, &input, frame),
            Collection::Sort => self.sort(call, input, frame),
            Collection::Distinct => self.distinct(input),
            Collection::Single => {
                self.single(&input)?;
                Ok(input)
            }
            Collection::First => {
                input.truncate(1);
                Ok(input)
            }
            Collection::Last => Ok(input.pop().into_iter().collect()),
            Collection::Tail => Ok(input.into_iter().skip(1).collect()),
            Collection::Skip => {
                let count = self.integer_argument(call, 0, frame)?.unwrap_or(0).max(0);
                Ok(input.into_iter().skip(usize::try_from(count).unwrap_or(usize::MAX)).collect())
            }
            Collection::Take => {
                let count = self.integer_argument(call, 0, frame)?.unwrap_or(0).max(0);
                input.truncate(usize::try_from(count).unwrap_or(usize::MAX));
                Ok(input)
            }
            Collection::Intersect => {
                let other = self.argument(call, 0, frame)?;
                self.distinct(self.partition(input, &other, true)?)
            }
            Collection::Exclude => {
                let other = self.argument(call, 0, frame)?;
                self.partition(input, &other, false)
            }
            Collection::Union => {
                let other = self.argument(call, 0, frame)?;
                self.distinct(input.into_iter().chain(other))
            }
            Collection::Combine => {
                input.extend(self.argument(call, 0, frame)?);
                self.spend(input.len() as u64)?;
                Ok(input)
            }
            Collection::Coalesce => {
                for position in 0..call.arguments.len() {
                    let items = self.argument(call, position, frame)?;
                    if !items.is_empty() {
                        return Ok(items);
                    }
                }
                Ok(Vec::new())
            }
            Collection::Children => self.children(&input),
            Collection::Descendants => self.descendants(&input),
            Collection::As => call.ty.as_ref().map_or(Ok(Vec::new()), |ty| self.r#as(input, ty)),
            Collection::OfType => call.ty.as_ref().map_or(Ok(Vec::new()), |ty| self.of_type(input, ty)),
        }
    }

    fn filter(&self, call: &Call, input: Items<'a>, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let mut out = Vec::new();
        for (index, item) in input.into_iter().enumerate() {
            let criterion = self.argument(call, 0, &frame.item(&item, index))?;
            if self.boolean(&criterion)? == Some(true) {
                out.push(item);
            }
        }
        Ok(out)
    }

    /// Applies the projection again to what it finds, until nothing new comes.
    fn repeat(&self, call: &Call, input: Items<'a>, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let mut seen = Seen::default();
        let mut out = Vec::new();
        let mut next = input;
        while !next.is_empty() {
            let mut found = Vec::new();
            for (index, item) in next.iter().enumerate() {
                for item in self.argument(call, 0, &frame.item(item, index))? {
                    if self.add_distinct(&mut seen, &mut out, item.clone())? {
                        found.push(item);
                    }
                }
            }
            next = found;
        }
        Ok(out)
    }

    fn aggregate(&self, call: &Call, input: &[Item<'a>], frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let mut total = self.argument(call, 1, frame)?;
        for (index, item) in input.iter().enumerate() {
            let frame = Frame { total: Some(&total), ..frame.item(item, index) };
            total = self.argument(call, 0, &frame)?;
            self.spend(total.len() as u64)?;
        }
        Ok(total)
    }

    /// Keys with a leading `-` sort downwards. Items without a key come first either way.
    fn sort(&self, call: &Call, input: Items<'a>, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        let keys: Vec<(bool, &Expr)> = call
            .arguments
            .iter()
            .map(|argument| match argument {
                Expr::Sign { negative: true, operand } => (true, &**operand),
                other => (false, other),
            })
            .collect();
        let mut keyed = Vec::with_capacity(input.len());
        for (index, item) in input.into_iter().enumerate() {
            let mut values = Vec::with_capacity(keys.len());
            for (_, key) in &keys {
                let items = self.eval(key, &frame.item(&item, index))?;
                values.push(self.single(&items)?.cloned());
            }
            if keys.is_empty() {
                values.push(Some(item.clone()));
            }
            keyed.push((values, item));
        }
        let compare = |left: usize, right: usize| {
            for (position, (left, right)) in keyed[left].0.iter().zip(&keyed[right].0).enumerate() {
                let descending = keys.get(position).is_some_and(|(descending, _)| *descending);
                let order = match (left, right) {
                    (Some(left), Some(right)) => {
                        let order = self.order(left, right)?.unwrap_or(Ordering::Equal);
                        if descending { order.reverse() } else { order }
                    }
                    (left, right) => left.is_some().cmp(&right.is_some()),
                };
                if order != Ordering::Equal {
                    return Ok(order);
                }
            }
            Ok(Ordering::Equal)
        };
        let order = merge_sorted((0..keyed.len()).collect(), &compare)?;
        Ok(order.into_iter().map(|index| keyed[index].1.clone()).collect())
    }

    /// Those of `items` that are in `other`, or those that are not.
    fn partition(&self, items: Items<'a>, other: &[Item<'a>], is_member: bool) -> Result<Items<'a>, Error> {
        let mut out = Vec::new();
        for item in items {
            if self.contains(other, &item)? == is_member {
                out.push(item);
            }
        }
        Ok(out)
    }

    fn children(&self, items: &[Item<'a>]) -> Result<Items<'a>, Error> {
        let mut out = Vec::new();
        for item in items {
            if let Item::Element(element) = item {
                navigate::children(self.env.defs, element, &mut out);
            }
        }
        self.spend(out.len() as u64)?;
        Ok(out)
    }

    fn descendants(&self, items: &[Item<'a>]) -> Result<Items<'a>, Error> {
        let mut out = self.children(items)?;
        let mut at = 0;
        // `out` grows behind `at`: level by level.
        while at < out.len() {
            let end = out.len();
            let level = self.children(&out[at..end])?;
            out.extend(level);
            at = end;
        }
        Ok(out)
    }
}

/// A stable sort for an order that may fail and need not be total (partial dates): the standard sort may panic on such.
fn merge_sorted(
    mut left: Vec<usize>,
    compare: &impl Fn(usize, usize) -> Result<Ordering, Error>,
) -> Result<Vec<usize>, Error> {
    if left.len() < 2 {
        return Ok(left);
    }
    let right = left.split_off(left.len() / 2);
    let mut left = merge_sorted(left, compare)?.into_iter().peekable();
    let mut right = merge_sorted(right, compare)?.into_iter().peekable();
    let mut out = Vec::with_capacity(left.len() + right.len());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = if compare(*first, *second)?.is_le() { left.next() } else { right.next() };
        out.extend(next);
    }
    out.extend(left.chain(right));
    Ok(out)
}
