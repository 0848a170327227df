//! The names of groups of jobs, and the costs of jobs.

use crate::job::Error;

/// The most bytes of the name of a group.
const MAX_NAME: usize = 128;

/// The greatest cost of a job.
pub(crate) const MAX_COST: u32 = 1_000_000_000;

/// Returns the cost that a field of a job says: 1 for less, and the greatest one for more.
pub fn cost<T: TryInto<i128>>(units: T) -> u32 {
    let units = units.try_into().unwrap_or(i128::MAX).clamp(1, i128::from(MAX_COST));
    u32::try_from(units).unwrap_or(MAX_COST)
}

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

/// Checks the name of a group that is to be read or operated. Other programs may have stored jobs of a
/// group whose name has control characters: it is operated as all others are.
pub(crate) fn check_stored_group(name: &str) -> Result<(), Error> {
    // The field of one zero byte is no group.
    if name.len() > MAX_NAME || name == "\0" {
        return Err(Error::invalid(format!(
            "the name of a group has {} bytes: it is text of at most {MAX_NAME} bytes",
            name.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_any_number_is_a_cost() {
        assert_eq!([cost(0_u8), cost(-3_i64), cost(7_usize)], [1, 1, 7]);
        assert_eq!([cost(u64::MAX), cost(u128::MAX), cost(u32::MAX)], [MAX_COST; 3]);
    }

    #[test]
    fn a_name_is_short_text_without_control_characters() {
        for good in ["", "acme", "ä ö", &"x".repeat(128)] {
            assert!(check_group_name(good).is_ok(), "{good:?}");
            assert!(check_stored_group(good).is_ok(), "{good:?}");
        }
        for bad in ["a\0b", "line\nbreak", "\u{85}", &"x".repeat(129)] {
            assert!(check_group_name(bad).is_err_and(|error| error.is_invalid()), "{bad:?}");
        }
        assert!(check_stored_group("line\nbreak").is_ok(), "another program has stored it");
        for none in ["\0", &"x".repeat(129)] {
            assert!(check_stored_group(none).is_err_and(|error| error.is_invalid()), "{none:?}");
        }
    }
}
