//! The fields of a form or a query, which may repeat a name.

use serde::Deserialize;

/// The fields of a form or a query, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Returns the last value of a name, without blanks around it; empty when it is not given.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(of, _)| of == name).map_or("", |(_, value)| value.trim())
    }

    /// Returns all values of a name that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of = self.0.iter().filter(move |(of, _)| of == name);
        of.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the fields of these names, to ask for the others.
    pub(crate) fn only(&self, names: &[&str]) -> Vec<(String, String)> {
        self.0.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect()
    }

    /// Returns true for a choice that was ticked.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_repeat_a_name() {
        let fields: Fields =
            [("job", "a"), ("back", " / "), ("job", "b"), ("job", "")].into_iter().collect();
        assert_eq!(fields.all("job").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((fields.get("back"), fields.get("job"), fields.get("none")), ("/", "", ""));
        assert!(fields.is_set("back") && !fields.is_set("none"));
        assert_eq!(fields.only(&["back"]), [("back".to_owned(), " / ".to_owned())]);
    }
}
