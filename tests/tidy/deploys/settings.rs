//! The settings of a YAML file, a Dockerfile or a unit of systemd, each with its path.

use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlEmitter, YamlLoader};

use crate::{read, root};

/// Settings that only name a thing: an object of Kubernetes, its labels, the version of its
/// interface, an image. The guide need not explain them.
const NAMES: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec.selector",
    "spec.template.metadata",
    "spec.template.spec.containers.worker.image",
    "services.redis.image",
    "volumes.redis",
    "Unit.Description",
    "Unit.Documentation",
];

/// A setting, or a group of settings.
pub(super) struct Setting {
    /// The keys that lead to it, joined by dots. The items of a list have their names or types.
    pub(super) path: String,
    /// The value in one line, in the normal form of its file.
    pub(super) text: String,
    /// Whether it has no settings inside.
    pub(super) is_single: bool,
    is_yaml: bool,
}

impl Setting {
    /// Returns whether a name means this setting: it is the path, or the last keys of it.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Returns whether the setting has this value, as it is written in its file.
    pub(super) fn has(&self, value: &str) -> bool {
        if !self.is_yaml {
            return self.text == value;
        }
        YamlLoader::load_from_str(value).is_ok_and(|parsed| line(&parsed[0]) == self.text)
    }

    pub(super) fn is_name(&self) -> bool {
        NAMES.iter().any(|name| {
            let of_kind = self.path.split_once('.').map_or("", |(_, rest)| rest);
            [self.path.as_str(), of_kind].iter().any(|path| {
                path.strip_prefix(name).is_some_and(|it| it.is_empty() || it.starts_with('.'))
            })
        })
    }
}

pub(super) fn of_file(file: &str) -> Vec<Setting> {
    let text = read(&root().join(file));
    match file.rsplit(['.', '/']).next() {
        Some("yaml" | "yml") => of_yaml(&text),
        Some("service") => of_unit(&text),
        Some("Dockerfile") => of_dockerfile(&text),
        _ => panic!("the settings of {file} are not understood"),
    }
}

/// Returns the settings of all documents. Those of an object of Kubernetes begin with its kind.
pub(super) fn of_yaml(text: &str) -> Vec<Setting> {
    let documents = YamlLoader::load_from_str(text).expect("YAML");
    let mut settings = vec![];
    for document in documents {
        let kind = document["kind"].as_str().unwrap_or_default().to_owned();
        walk(&kind, &merged(document), &mut settings);
    }
    settings
}

/// Replaces the key `<<` by the keys that it stands for, and leaves out what only others refer to.
fn merged(value: Yaml) -> Yaml {
    match value {
        Yaml::Hash(hash) => {
            let mut whole = Hash::new();
            for (key, value) in hash {
                match (key.as_str(), merged(value)) {
                    (Some("<<"), Yaml::Hash(other)) => whole.extend(other),
                    (Some(name), _) if name.starts_with("x-") => {}
                    (_, value) => drop(whole.insert(key, value)),
                }
            }
            Yaml::Hash(whole)
        }
        Yaml::Array(items) => Yaml::Array(items.into_iter().map(merged).collect()),
        value => value,
    }
}

fn walk(path: &str, value: &Yaml, settings: &mut Vec<Setting>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut is_single = false;
    match value {
        Yaml::Hash(hash) => {
            for (key, value) in hash {
                walk(&below(key.as_str().expect("keys are text")), value, settings);
            }
        }
        Yaml::Array(items) if items.iter().any(|item| item.as_hash().is_some()) => {
            for item in items {
                let name = item["name"].as_str().or(item["type"].as_str());
                let mut rest = item.as_hash().expect("an item like the others").clone();
                rest.remove(&Yaml::String("name".into()));
                rest.remove(&Yaml::String("type".into()));
                walk(&below(name.expect("a name or a type")), &Yaml::Hash(rest), settings);
            }
        }
        _ => is_single = true,
    }
    if !path.is_empty() {
        let text = line(value);
        settings.push(Setting { path: path.to_owned(), text, is_single, is_yaml: true });
    }
}

fn line(value: &Yaml) -> String {
    let mut text = String::new();
    YamlEmitter::new(&mut text).dump(value).expect("a String takes all");
    text
}

/// Returns the settings of a unit, each after its section.
fn of_unit(text: &str) -> Vec<Setting> {
    let (mut section, mut settings) = ("", vec![]);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once('=') {
            settings.push(plain(format!("{section}.{key}"), value.to_owned()));
        } else {
            section = line.trim_matches(['[', ']']);
        }
    }
    settings
}

/// Returns the instructions of a Dockerfile, each after its stage.
fn of_dockerfile(text: &str) -> Vec<Setting> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut stage, mut settings) = ("", vec![]);
    for instruction in lines.join("\n").replace("\\\n", " ").lines() {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        let Some((name, rest)) = words.split_first() else { continue };
        if *name == "FROM" {
            let last = rest.last().expect("a stage has a name");
            stage = if *last == "build" { "build" } else { "run" };
            assert_eq!(*last, stage, "the stages are named build and run");
        }
        settings.push(plain(format!("{stage}.{name}"), rest.join(" ")));
    }
    settings
}

fn plain(path: String, text: String) -> Setting {
    Setting { path, text, is_single: true, is_yaml: false }
}
