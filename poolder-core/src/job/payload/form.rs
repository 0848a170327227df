//! The parts that the writer and the reader of payloads share: the bytes of the second encoding, the
//! depth, and the refusal of a value.

use std::fmt::{self, Display};

use serde::ser;

use crate::job::Error;

/// The deepest nesting of a MessagePack payload, in lists, maps and structs. Deeper values are
/// refused where they are written, because no worker reads them: unbounded recursion would overflow
/// the stack and abort the process. JSON payloads are limited by `serde_json`, to 128 levels.
pub const MAX_DEPTH: usize = 64;

/// `nil` in MessagePack.
pub(super) const NIL: u8 = 0xc0;

/// The first bytes of a payload of the second encoding: a byte that no MessagePack begins with, and
/// the number of the encoding.
pub(super) const SECOND: [u8; 2] = [0xc1, 2];

/// The first bytes of a nil inside of options; the number of the options follows. It is an extension
/// of type 80 with one byte.
pub(super) const SOMES: [u8; 2] = [0xd4, 80];

/// Returns the error for a value that cannot be written.
pub(super) fn refused(why: &dyn Display) -> Error {
    Error::codec(format!("the value cannot be serialized: {why}"))
}

/// The reason why a value cannot be written, and the path of the field from the root.
#[derive(Debug)]
pub(crate) struct Refusal(Box<(String, String)>);

impl Refusal {
    /// Puts a step before the path.
    #[cold]
    pub(super) fn within(mut self, step: &dyn Display) -> Self {
        self.0.0 = format!("{step}{}", self.0.0);
        self
    }

    /// Puts the name of a variant before the path, if there is one.
    #[cold]
    pub(super) fn within_any(self, variant: Option<&str>) -> Self {
        match variant {
            Some(variant) => self.within(&PathStep::Key(variant)),
            None => self,
        }
    }

    /// Returns the path of the field; empty for the value itself.
    pub(super) fn path(&self) -> String {
        let path = self.0.0.trim_start_matches('.');
        let letters = path.chars().count();
        if letters <= 120 {
            return path.to_owned();
        }
        let end: String = path.chars().skip(letters - 59).collect();
        format!("{}…{end}", path.chars().take(60).collect::<String>())
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path().as_str() {
            "" => f.write_str(&self.0.1),
            path => write!(f, "field `{path}`: {}", self.0.1),
        }
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    #[cold]
    fn custom<T: Display>(why: T) -> Self {
        Self(Box::new((String::new(), why.to_string())))
    }
}

/// A step of a path.
pub(super) enum PathStep<'a> {
    /// The index of an element.
    Index(usize),
    /// The name of a field or of a variant.
    Key(&'a str),
}

impl Display for PathStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(key) => write!(f, ".{key:.40}"),
        }
    }
}
