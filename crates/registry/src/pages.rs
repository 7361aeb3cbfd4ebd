//! The rows of a space, a page at a time; others go on between two pages.

use crate::row::{PERSONS, PersonId, Row};
use engine::{Error, Feed};

/// Rows read at a time where all are.
const STEP: usize = 1_000;

pub(crate) struct Pages<'a> {
    feed: &'a Feed,
    space: &'a str,
    /// The last key that was read.
    after: String,
    step: usize,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(feed: &'a Feed, space: &'a str) -> Pages<'a> {
        Pages::after(feed, space, "", STEP)
    }

    /// Those behind a key, `step` at a time.
    pub(crate) fn after(feed: &'a Feed, space: &'a str, after: &str, step: usize) -> Pages<'a> {
        Pages { feed, space, after: after.to_owned(), step }
    }

    /// Keys and values in the order of the keys; `None` after the last ones.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<(String, Vec<u8>)>>, Error> {
        tokio::task::yield_now().await;
        let page = self.feed.states(self.space, &self.after, self.step).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        last.clone_into(&mut self.after);
        Ok(Some(page))
    }
}

/// The rows of all persons.
pub(crate) struct PersonPages<'a>(Pages<'a>);

impl<'a> PersonPages<'a> {
    pub(crate) fn new(feed: &'a Feed) -> PersonPages<'a> {
        PersonPages(Pages::new(feed, PERSONS))
    }

    /// As [`Pages::next`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<(PersonId, Row)>>, Error> {
        let parse = |(id, bytes): &(String, Vec<u8>)| {
            let person = PersonId::parse(id).ok_or_else(|| crate::broken("a person's row", &"its id is none"))?;
            Ok((person, Row::parse(bytes)?))
        };
        let page = self.0.next().await?;
        page.map(|page| page.iter().map(parse).collect()).transpose()
    }
}

/// Gives every row of a space to `take`.
pub(crate) async fn each(
    feed: &Feed,
    space: &str,
    mut take: impl FnMut(&str, &[u8]) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    let mut pages = Pages::new(feed, space);
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(|(key, bytes)| take(key, bytes))?;
    }
    Ok(())
}
