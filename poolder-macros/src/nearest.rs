//! Finds the known name that a mistyped one is nearest to.

/// The most letters by which a name differs from one that is suggested.
const MAX_DISTANCE: usize = 3;

/// Returns the known name that differs least from this one, when it differs by less than half.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.map(|other| (distance(name, other), other));
    let (distance, nearest) = distances.min()?;
    (distance <= MAX_DISTANCE && distance * 2 < name.chars().count().max(2)).then_some(nearest)
}

/// Returns the number of letters to insert, remove, replace or swap with the next between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_near_and_another_word_is_not() {
        let known = ["name", "queue", "size", "hibernate_after", "max_bytes"];
        for (typed, expected) in [
            ("qeue", Some("queue")),
            ("sise", Some("size")),
            ("nmae", Some("name")),
            ("hibernate_afer", Some("hibernate_after")),
            ("maxbytes", Some("max_bytes")),
            ("Name", Some("name")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), expected, "{typed}");
        }
        assert_eq!(nearest("size", std::iter::empty()), None);
    }
}
