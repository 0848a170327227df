//! The headers of a job: short texts by name, which travel with the job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::job::Error;

/// The most headers of a job.
const MAX_HEADERS: usize = 32;
/// The most bytes of a name.
const MAX_NAME: usize = 64;
/// The most bytes of a value.
const MAX_VALUE: usize = 1024;
/// The most bytes of all headers of a job, as they are stored.
const MAX_BYTES: usize = 2048;
/// The first characters of the names that Poolder keeps for itself.
const RESERVED: &str = "poolder-";

/// The headers of a job: short texts by name, such as a tenant, a request id or a locale. They are
/// stored beside the payload and travel with the job wherever it goes, so that middleware and other
/// programs read them without knowing the payload.
///
/// A job has at most 32 headers, of 2,048 bytes in total as they are stored. A name has 1 to 64
/// lower-case ASCII letters, digits, `-`, `_` or `.`, and begins with a letter; names that begin
/// with `poolder-` are reserved. A value has at most 1,024 bytes of text without control
/// characters. The headers are checked when the job is sent: an error then names the header. Their
/// order is that of their names.
///
/// ```
/// use poolder_core::Headers;
///
/// let headers = Headers::new().with("tenant", "acme").with("locale", "de");
/// assert_eq!(headers.get("tenant"), Some("acme"));
/// assert!(headers.check().is_ok());
/// assert!(Headers::new().with("X Y", "1").check().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Creates headers without an entry.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a header, or replaces the one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.insert(name, value);
        self
    }

    /// Adds a header, or replaces the one of this name. Returns the value before.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// Removes a header. Returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Returns the value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true when there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the headers, as an enqueue does.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name or value, which the text names, and for too many
    /// headers or bytes.
    pub fn check(&self) -> Result<(), Error> {
        for (name, value) in self.iter() {
            check_one(name, value)?;
        }
        if self.len() > MAX_HEADERS {
            let count = self.len();
            return Err(Error::invalid(format!(
                "the job has {count} headers, the most is {MAX_HEADERS}: put data into the payload"
            )));
        }
        // Writing text into a Vec cannot fail.
        let bytes = rmp_serde::to_vec(self).unwrap_or_default().len();
        if bytes > MAX_BYTES {
            let longest = self.iter().max_by_key(|(_, value)| value.len());
            let (name, value) = longest.unwrap_or_default();
            return Err(Error::invalid(format!(
                "the headers of the job take {bytes} bytes, the most is {MAX_BYTES}, and the value \
                 of {name:?} alone has {}: make it shorter, or put the data into the payload",
                value.len()
            )));
        }
        Ok(())
    }
}

fn check_one(name: &str, value: &str) -> Result<(), Error> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || name.len() > MAX_NAME || !name.chars().all(legal) {
        let shown: String = name.chars().take(MAX_NAME).collect();
        return Err(Error::invalid(format!(
            "header {shown:?} is not allowed: a name has 1 to {MAX_NAME} lower-case ASCII letters, \
             digits or any of \"-_.\", and begins with a letter"
        )));
    }
    if name.starts_with(RESERVED) {
        return Err(Error::invalid(format!(
            "header {name:?} is not allowed: names that begin with {RESERVED:?} are Poolder's own"
        )));
    }
    if value.len() > MAX_VALUE {
        return Err(Error::invalid(format!(
            "the value of header {name:?} has {} bytes, the most is {MAX_VALUE}: put the data into \
             the payload",
            value.len()
        )));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "the value of header {name:?} has a control character, such as a line break"
        )));
    }
    Ok(())
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, headers: I) {
        self.0.extend(headers.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_within_the_limits_are_allowed() {
        let name = "a".repeat(MAX_NAME);
        for (name, value) in [("a", ""), ("x-request.id_7", "ü ✓ {}"), (name.as_str(), "v")] {
            Headers::new().with(name, value).check().unwrap();
        }
        Headers::new().with("a", "v".repeat(MAX_VALUE)).check().unwrap();
        let many = (0..MAX_HEADERS).map(|number| (format!("h{number}"), "v"));
        many.collect::<Headers>().check().unwrap();
    }

    #[test]
    fn a_header_that_is_not_allowed_is_named() {
        let long = "a".repeat(MAX_NAME + 1);
        let value = "v".repeat(MAX_VALUE + 1);
        let bad = [
            ("", "v", "header \"\""),
            ("Tenant", "v", "header \"Tenant\""),
            ("7a", "v", "header \"7a\""),
            ("a b", "v", "header \"a b\""),
            ("ä", "v", "header \"ä\""),
            (long.as_str(), "v", "1 to 64"),
            ("poolder-x", "v", "Poolder's own"),
            ("a", value.as_str(), "value of header \"a\" has 1025 bytes"),
            ("a", "one\ntwo", "value of header \"a\" has a control"),
        ];
        for (name, value, why) in bad {
            let error = Headers::new().with(name, value).check().unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn too_many_headers_and_bytes_are_refused() {
        let many = (0..=MAX_HEADERS).map(|number| (format!("h{number}"), "v"));
        let error = many.collect::<Headers>().check().unwrap_err();
        assert!(error.to_string().contains("33 headers"), "{error}");
        // Each takes 4 bytes for the lengths and the name: 2 × 1,024 and the header of the map.
        let headers = Headers::new().with("a", "v".repeat(1024));
        headers.clone().with("b", "v".repeat(1013)).check().unwrap();
        let error = headers.with("b", "v".repeat(1014)).check().unwrap_err();
        assert!(error.to_string().contains("take 2049 bytes"), "{error}");
        assert!(error.to_string().contains("\"a\" alone has 1024"), "{error}");
    }
}
