//! `cargo xtask features`: lints the published packages with sets of their features, so that no
//! feature needs another one that it does not name.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;
use crate::packages::{Package, published};

/// How many features are switched on together, beside all of them.
const TOGETHER: usize = 2;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let (mut together, mut names) = (TOGETHER, vec![]);
    for word in &arguments.before {
        match word.to_str() {
            Some("--all") => together = usize::MAX,
            Some(name) if !name.starts_with('-') => names.push(name.to_owned()),
            _ => return Err(format!("`{}` is not understood: see cargo xtask", word.display())),
        }
    }
    let packages = published()?;
    if let Some(name) = names.iter().find(|name| !packages.iter().any(|it| it.name == **name)) {
        return Err(format!("{name} is not published"));
    }
    let wanted = |package: &&Package| names.is_empty() || names.contains(&package.name);
    let mut failed = vec![];
    for package in packages.iter().filter(wanted) {
        let sets = sets(&package.features, together);
        println!("==> {}: {} sets of features", package.name, sets.len());
        for set in sets {
            let set = set.into_iter().collect::<Vec<_>>().join(",");
            let mut command = cargo::cargo();
            command.args(["clippy", "--quiet", "--locked", "--package"]);
            command.args([&package.name, "--no-default-features", "--features", &set]);
            command.args(["--", "-D", "warnings"]);
            if !cargo::status(&mut command)?.success() {
                failed.push(format!("{} with {set:?}", package.name));
            }
        }
    }
    if failed.is_empty() {
        println!("==> every set passes");
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("these fail: {}", failed.join("; ")))
}

/// Returns the sets of up to `together` features, and the set of all. Of sets that switch on the
/// same features only the smallest is returned.
fn sets(features: &BTreeMap<String, Vec<String>>, together: usize) -> Vec<BTreeSet<&str>> {
    let names: Vec<&str> =
        features.keys().map(String::as_str).filter(|name| *name != "default").collect();
    let mut found = vec![BTreeSet::new()];
    // The sets of each size are made of those that are one smaller, by a later feature.
    let mut last = vec![(BTreeSet::new(), 0)];
    for _ in 0..together.min(names.len()) {
        last = last
            .iter()
            .flat_map(|(set, from)| {
                names.iter().enumerate().skip(*from).map(move |(at, name)| {
                    let mut set: BTreeSet<&str> = set.clone();
                    set.insert(name);
                    (set, at + 1)
                })
            })
            .collect();
        found.extend(last.iter().map(|(set, _)| set.clone()));
    }
    found.push(names.into_iter().collect());
    let mut seen = BTreeSet::new();
    found.retain(|set| seen.insert(switched_on(features, set)));
    found
}

/// Returns all features that a set switches on, those of other packages included.
fn switched_on<'a>(
    features: &'a BTreeMap<String, Vec<String>>,
    set: &BTreeSet<&'a str>,
) -> BTreeSet<&'a str> {
    let (mut on, mut new): (BTreeSet<&str>, Vec<&str>) =
        (BTreeSet::new(), set.iter().copied().collect());
    while let Some(name) = new.pop() {
        if on.insert(name) {
            new.extend(features.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let list = |on: &[&str]| on.iter().map(|name| (*name).to_owned()).collect();
        pairs.iter().map(|(name, on)| ((*name).to_owned(), list(on))).collect()
    }

    #[test]
    fn sets_are_none_each_pairs_and_all() {
        let features = features(&[("default", &["a"]), ("a", &[]), ("b", &[]), ("c", &["dep:x"])]);
        let found: Vec<String> = sets(&features, 2)
            .into_iter()
            .map(|set| set.into_iter().collect::<Vec<_>>().join(""))
            .collect();
        assert_eq!(found, ["", "a", "b", "c", "ab", "ac", "bc", "abc"]);
        assert_eq!(sets(&features, usize::MAX).len(), 8);
        assert_eq!(sets(&BTreeMap::new(), 2).len(), 1);
    }

    #[test]
    fn a_set_that_switches_on_the_same_is_left_out() {
        let features = features(&[("a", &["b"]), ("b", &[])]);
        let found = sets(&features, 2);
        assert_eq!(found, [BTreeSet::new(), BTreeSet::from(["a"]), BTreeSet::from(["b"])]);
    }
}
