//! The table of totals, and the check against a plain count.

use std::collections::BTreeMap;
use std::path::Path;

use indicatif::HumanCount;
use poolder::Result;

use crate::files::extension;
use crate::measure::{Figures, file_key, measure};
use crate::tally::Counted;

/// The number of extensions with a line of their own in the table.
const LINES: usize = 12;
/// The number of differences that are printed.
const SHOWN: usize = 5;

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    files: u64,
    bytes: u64,
    words: u64,
}

/// Counts the same files in one process, one after the other, without a queue.
pub(crate) fn plain_count(files: &[impl AsRef<Path>]) -> Result<Counted> {
    let mut counted = Counted::new();
    for path in files.iter().map(AsRef::as_ref) {
        let figures = measure(path).map_err(|error| format!("{}: {error}", path.display()))?;
        counted.insert(file_key(path), (extension(path), figures));
    }
    Ok(counted)
}

/// Returns the differences between the two counts, file by file.
pub(crate) fn differences(
    files: &[impl AsRef<Path>],
    queue: &Counted,
    plain: &Counted,
) -> Vec<String> {
    let mut found = vec![];
    for path in files.iter().map(AsRef::as_ref) {
        let key = file_key(path);
        let (one, other) = (queue.get(&key), plain.get(&key));
        if one != other {
            let (path, one, other) = (path.display(), tell(one), tell(other));
            found.push(format!("{path}: by the workers {one}, by the plain count {other}"));
        }
    }
    let more = queue.len().saturating_sub(plain.len());
    if more > 0 {
        found.push(format!("{more} files that are not there were counted"));
    }
    let rest = found.len().saturating_sub(SHOWN);
    if rest > 0 {
        found.truncate(SHOWN);
        found.push(format!("… and {rest} more"));
    }
    found
}

fn tell(counted: Option<&(String, Figures)>) -> String {
    counted.map_or_else(
        || "nothing".into(),
        |(_, Figures { bytes, words, hash })| {
            format!("{words} words in {bytes} bytes, {}…", hash.get(..8).unwrap_or(hash))
        },
    )
}

/// Returns the table of totals per extension, those with the most files first.
pub(crate) fn table(counted: &Counted) -> String {
    let mut sums = BTreeMap::<&str, Sum>::new();
    for (extension, figures) in counted.values() {
        sums.entry(extension).or_default().add(Sum {
            files: 1,
            bytes: figures.bytes,
            words: figures.words,
        });
    }
    let mut sums: Vec<(String, Sum)> =
        sums.into_iter().map(|(name, sum)| (shorten(name), sum)).collect();
    sums.sort_by(|(_, a), (_, b)| b.files.cmp(&a.files).then(b.bytes.cmp(&a.bytes)));
    let mut all = Sum::default();
    sums.iter().for_each(|(_, sum)| all.add(*sum));
    // A line "other" for a single extension would take as much space as that extension's own line.
    if sums.len() > LINES + 1 {
        let rest = sums.split_off(LINES);
        let mut other = Sum::default();
        rest.iter().for_each(|(_, sum)| other.add(*sum));
        sums.push((format!("{} other", rest.len()), other));
    }
    sums.push(("all".into(), all));
    let mut text = row("extension", "files", "bytes", "words");
    for (name, Sum { files, bytes, words }) in sums {
        let [files, bytes, words] = [files, bytes, words].map(|n| HumanCount(n).to_string());
        text.push_str(&row(&name, &files, &bytes, &words));
    }
    text
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.words += other.words;
    }
}

fn row(name: &str, files: &str, bytes: &str, words: &str) -> String {
    format!("{name:16} {files:>10} {bytes:>16} {words:>14}\n")
}

/// Shortens an extension, which is any text after the last dot, to 16 printable characters.
fn shorten(name: &str) -> String {
    let mut short: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if let Some((at, _)) = short.char_indices().nth(16) {
        let cut = short[..at].char_indices().nth(15).map_or(at, |(at, _)| at);
        short.truncate(cut);
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{differences, plain_count, table};
    use crate::measure::Figures;
    use crate::tally::Counted;

    #[test]
    fn a_missing_an_altered_and_an_extra_file_are_seen() {
        let folder =
            std::env::temp_dir().join(format!("poolder-demo-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a directory");
        let files = [folder.join("a.txt"), folder.join("b.txt")];
        files.iter().for_each(|file| std::fs::write(file, "one two").expect("a file"));
        let plain = plain_count(&files).expect("both can be read");
        std::fs::remove_dir_all(&folder).expect("it can go");
        assert!(differences(&files, &plain, &plain).is_empty());

        let (first, (_, figures)) = plain.first_key_value().expect("two files");
        let mut missing = plain.clone();
        missing.remove(first);
        let mut altered = plain.clone();
        altered.insert(first.clone(), ("txt".into(), Figures { words: 3, ..figures.clone() }));
        let mut extra = plain.clone();
        extra.insert("x".into(), ("txt".into(), figures.clone()));
        for wrong in [missing, altered, extra] {
            assert_eq!(differences(&files, &wrong, &plain).len(), 1);
        }
    }

    #[test]
    fn the_table_is_short_and_complete() {
        let mut counted = Counted::new();
        for number in 0..40 {
            let figures = Figures { bytes: 1_000, words: 100, hash: String::new() };
            let extension = format!("extension-{}-of-some-length", number % 20);
            counted.insert(number.to_string(), (extension, figures));
        }
        let table = table(&counted);
        assert_eq!(table.lines().count(), 1 + 12 + 2, "{table}");
        assert!(table.contains("8 other") && table.contains("40,000"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
    }
}
