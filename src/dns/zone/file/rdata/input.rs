//! The words of one record that its fields are read from.

use super::{
    RdataError, encoding,
    mnemonic::{self, Mnemonics},
    name, shown,
};
use crate::dns::{name::Name, zone::file::entry::ZoneFileWord};
use std::slice;

/// The fields of one record that have not been read yet.
pub(super) struct Input<'r, 't, 'o> {
    tokens: slice::Iter<'r, ZoneFileWord<'t>>,
    pub(super) origin: &'o Name,
}

impl<'r, 't, 'o> Input<'r, 't, 'o> {
    pub(super) fn new(tokens: &'r [ZoneFileWord<'t>], origin: &'o Name) -> Input<'r, 't, 'o> {
        Input { tokens: tokens.iter(), origin }
    }

    /// The next field, of which it is said what it should be if there is none.
    pub(super) fn next(&mut self, what: &str) -> Result<&'r ZoneFileWord<'t>, RdataError<'r, 't>> {
        self.tokens.next().ok_or_else(|| (None, format!("{what} is missing")))
    }

    /// The next field, which must be without quotes; `what` names it in the error.
    pub(super) fn word(&mut self, what: &str) -> Result<&'r ZoneFileWord<'t>, RdataError<'r, 't>> {
        let token = self.next(what)?;
        if token.quoted { Err((Some(token), format!("{what} stands without quotes"))) } else { Ok(token) }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.len() == 0
    }

    /// All that is left, which is taken.
    pub(super) fn rest(&mut self) -> &'r [ZoneFileWord<'t>] {
        std::mem::replace(&mut self.tokens, [].iter()).as_slice()
    }

    /// A word that `read` makes something of.
    pub(super) fn parsed<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, RdataError<'r, 't>> {
        let token = self.word(what)?;
        read(token.text).ok_or_else(|| (Some(token), format!("`{}` is not {what}", shown(token.text))))
    }

    /// A number up to `most`.
    pub(super) fn number(&mut self, most: u32) -> Result<u32, RdataError<'r, 't>> {
        encoding::number(self.next("a number")?, most)
    }

    /// A number up to `most` or one of the words for it.
    pub(super) fn named(&mut self, what: &str, words: Mnemonics, most: u16) -> Result<u16, RdataError<'r, 't>> {
        self.parsed(what, |text| mnemonic::value(words, text, most))
    }

    pub(super) fn name(&mut self, token: &'r ZoneFileWord<'t>) -> Result<Name, RdataError<'r, 't>> {
        let wrong = |error| (Some(token), format!("`{}` is not a domain name: {error}", shown(token.text)));
        name(token.text, self.origin).map_err(wrong)
    }
}
