//! The names of groups of jobs.

use crate::job::Error;

/// The most bytes of the name of a group.
const MAX_NAME: usize = 128;

/// Checks the name of a group: at most 128 bytes of text without control characters. The empty name
/// is the group of jobs that were given none.
pub(crate) fn check_group_name(name: &str) -> Result<(), Error> {
    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "the name of a group has {} bytes: it is text of at most {MAX_NAME} bytes without \
             control characters",
            name.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_text_without_control_characters() {
        for good in ["", "acme", "ä ö", &"x".repeat(128)] {
            assert!(check_group_name(good).is_ok(), "{good:?}");
        }
        for bad in ["a\0b", "line\nbreak", "\u{85}", &"x".repeat(129)] {
            assert!(check_group_name(bad).is_err_and(|error| error.is_invalid()), "{bad:?}");
        }
    }
}
