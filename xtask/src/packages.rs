//! The published packages of the workspace, as `cargo metadata` describes them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cargo;

/// A package that is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Feature → the features that it switches on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The packages of the workspace without which it does not compile.
    pub(crate) needs: Vec<String>,
    /// True when the package says how docs.rs documents it.
    pub(crate) has_docs_metadata: bool,
}

/// Returns the published packages, each behind those that it needs.
pub(crate) fn published() -> Result<Vec<Package>, String> {
    let mut command = cargo::cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"]);
    let metadata: Value = serde_json::from_str(&cargo::output(&mut command)?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let all = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    // `publish = false` is an empty list of registries.
    let is_private = |package: &Value| package["publish"].as_array().is_some_and(Vec::is_empty);
    let mut packages: Vec<Package> =
        all.iter().filter(|package| !is_private(package)).map(read).collect();
    let names: Vec<String> = packages.iter().map(|package| package.name.clone()).collect();
    packages.iter_mut().for_each(|package| package.needs.retain(|name| names.contains(name)));
    in_order(packages)
}

fn read(package: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let features = package["features"].as_object().into_iter().flatten();
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    // Dependencies of tests are not needed by those who use the package.
    let needed = dependencies.filter(|dependency| dependency["kind"] != "dev");
    Package {
        name: text(&package["name"]),
        version: text(&package["version"]),
        features: features.map(|(name, on)| (name.clone(), list(on))).collect(),
        needs: needed.map(|dependency| text(&dependency["name"])).collect(),
        has_docs_metadata: package["metadata"]["docs"]["rs"].is_object(),
    }
}

/// Sorts packages so that each stands behind those that it needs.
fn in_order(mut packages: Vec<Package>) -> Result<Vec<Package>, String> {
    let mut sorted: Vec<Package> = vec![];
    while !packages.is_empty() {
        let is_ready = |package: &Package| {
            package.needs.iter().all(|name| sorted.iter().any(|done| done.name == *name))
        };
        let Some(next) = packages.iter().position(is_ready) else {
            let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
            return Err(format!("these packages need each other: {}", names.join(", ")));
        };
        sorted.push(packages.remove(next));
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&str]) -> Package {
        let needs = needs.iter().map(|name| (*name).to_owned()).collect();
        Package { name: name.to_owned(), needs, ..Package::default() }
    }

    #[test]
    fn a_package_stands_behind_those_that_it_needs() {
        let all = vec![package("facade", &["worker", "core"]), package("worker", &["core"])];
        let with_core = [all.clone(), vec![package("core", &[])]].concat();
        let sorted = in_order(with_core).unwrap();
        let names: Vec<&str> = sorted.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["core", "worker", "facade"]);
        assert!(in_order(all).is_err_and(|error| error.contains("facade, worker")));
    }

    #[test]
    fn features_needs_and_the_metadata_of_docs_are_read() {
        let found = read(&serde_json::json!({
            "name": "a", "version": "1.2.3", "features": {"default": ["x"], "x": []},
            "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}],
            "metadata": {"docs": {"rs": {"all-features": true}}},
        }));
        assert_eq!((found.version.as_str(), &found.needs[..]), ("1.2.3", &["b".to_owned()][..]));
        assert_eq!(found.features["default"], ["x"]);
        assert!(found.has_docs_metadata && !read(&serde_json::json!({})).has_docs_metadata);
    }
}
