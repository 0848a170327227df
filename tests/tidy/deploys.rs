//! The files with which processes are deployed have the settings that `docs/deploying.md` explains,
//! and no others.

mod settings;

use std::fs;

use settings::{Setting, of_file};

use crate::{none, read, root};

const GUIDE: &str = "docs/deploying.md";

/// The heading of a table of settings.
const HEADING: &str = "| setting | value | reason |";

/// A row of the guide.
struct Row {
    file: String,
    setting: String,
    value: String,
}

#[test]
fn the_guide_explains_every_setting_of_a_deploy_and_no_other() {
    let rows = rows();
    let mut wrong = vec![];
    for file in files_of(&rows) {
        let of_guide: Vec<&Row> = rows.iter().filter(|row| row.file == file).collect();
        wrong.extend(compare(&file, &of_file(&file), &of_guide));
    }
    none(&wrong);
}

/// Compares the settings of a file with the rows about it.
fn compare(file: &str, settings: &[Setting], rows: &[&Row]) -> Vec<String> {
    let (mut wrong, mut explained) = (vec![], vec![]);
    for Row { setting: name, value, .. } in rows {
        let meant: Vec<&Setting> = settings.iter().filter(|it| it.is_named(name)).collect();
        if meant.is_empty() {
            wrong.push(format!("{GUIDE} explains `{name}`, which {file} does not set"));
        }
        for Setting { path, .. } in meant.iter().filter(|setting| !setting.has(value)) {
            wrong.push(format!("{GUIDE} says that `{name}` is `{value}`; {path} of {file} is not"));
        }
        explained.extend(meant.iter().map(|setting| setting.path.as_str()));
    }
    let is_explained = |path: &str| {
        explained.iter().any(|whole| {
            path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let single = settings.iter().filter(|setting| setting.is_single && !setting.is_name());
    for Setting { path, .. } in single.filter(|setting| !is_explained(&setting.path)) {
        wrong.push(format!("{GUIDE} does not explain `{path}` of {file}"));
    }
    wrong
}

#[test]
fn the_guide_links_every_file_of_a_deploy() {
    let guide = read(&root().join(GUIDE));
    let folder = fs::read_dir(root().join("deploy")).expect("deploy/").flatten();
    let deploy = folder.map(|entry| format!("deploy/{}", entry.file_name().to_string_lossy()));
    let files = deploy.chain(["Dockerfile".into(), "docker-compose.yml".into()]);
    let unlinked = files.filter(|file| !guide.contains(&format!("(../{file})")));
    none(&unlinked.map(|file| format!("{GUIDE} does not link {file}")).collect::<Vec<_>>());
}

#[test]
fn a_supervisor_grants_more_time_than_a_node_takes_to_stop() {
    let builder = read(&root().join("poolder-worker/src/node/builder.rs"));
    let (_, after) = builder.split_once("shutdown_timeout: Duration::from_secs(").expect("default");
    let (takes, _) = after.split_once(')').expect("a number of seconds");
    let takes: u64 = takes.parse().expect("a number of seconds");
    let graces: Vec<Row> = rows()
        .into_iter()
        .filter(|row| {
            let names =
                ["terminationGracePeriodSeconds", "TimeoutStopSec", "worker.stop_grace_period"];
            names.contains(&row.setting.as_str())
        })
        .collect();
    assert_eq!(graces.len(), 3, "Kubernetes, systemd and compose each grant a time");
    for Row { file, value, .. } in graces {
        let grants: u64 = value.trim_end_matches('s').parse().expect("a number of seconds");
        // A timeout may be exceeded by 1.5 s, and a process needs time to exit.
        assert!(grants >= takes + 5, "{file} grants {grants} s, a node takes {takes} s");
    }
}

#[test]
fn the_image_is_built_with_the_oldest_supported_rust() {
    let manifest = read(&root().join("Cargo.toml"));
    let (_, after) = manifest.split_once("rust-version = \"").expect("rust-version");
    let (version, _) = after.split_once('"').expect("a version in quotes");
    let from = of_file("Dockerfile").into_iter().find(|it| it.path == "build.FROM");
    let from = from.expect("a stage named build");
    assert!(from.text.starts_with(&format!("rust:{version}-")), "{} builds", from.text);
}

/// A tag may mean another image tomorrow; a digest does not.
#[test]
fn the_image_of_the_server_is_pinned_by_one_digest() {
    let digest = |file: &str| {
        let text = read(&root().join(file));
        let (_, pinned) = text.split_once("valkey/valkey:8@sha256:").unwrap_or_else(|| {
            panic!("{file} must name the image of the server as valkey/valkey:8@sha256:<digest>")
        });
        pinned.chars().take_while(char::is_ascii_hexdigit).collect::<String>()
    };
    let compose = digest("docker-compose.yml");
    assert_eq!(compose.len(), 64, "the digest of docker-compose.yml");
    assert_eq!(compose, digest("poolder-devserver/src/install/docker.rs"));
}

/// Returns the rows of all tables of settings. A table is about the file that is linked first in its
/// section.
fn rows() -> Vec<Row> {
    let guide = read(&root().join(GUIDE));
    let mut rows = vec![];
    for section in guide.split("\n## ") {
        let Some((text, table)) = section.split_once(HEADING) else { continue };
        let (_, link) = text.split_once("](../").expect("a section links its file");
        let (file, _) = link.split_once(')').expect("a link ends");
        let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        rows.extend(lines.map(|line| {
            let mut code = line.split('`').skip(1).step_by(2).map(str::to_owned);
            let mut next =
                || code.next().unwrap_or_else(|| panic!("not `setting` and `value`: {line}"));
            Row { file: file.to_owned(), setting: next(), value: next() }
        }));
    }
    rows
}

fn files_of(rows: &[Row]) -> Vec<String> {
    let mut files: Vec<String> = rows.iter().map(|row| row.file.clone()).collect();
    files.dedup();
    assert_eq!(files.len(), 5, "image, Kubernetes, KEDA, systemd and compose: {files:?}");
    files
}

#[test]
fn a_setting_that_differs_is_missing_or_is_not_explained_is_found() {
    let settings = settings::of_yaml("spec:\n  a: 1\n  b: {c: 2}\n  d: x\n");
    let row = |setting: &str, value: &str| Row {
        file: String::new(),
        setting: setting.into(),
        value: value.into(),
    };
    let rows = [row("a", "2"), row("b", "{c: 2}"), row("e", "5")];
    let wrong = compare("file", &settings, &rows.iter().collect::<Vec<_>>());
    let expected = [
        "docs/deploying.md says that `a` is `2`; spec.a of file is not",
        "docs/deploying.md explains `e`, which file does not set",
        "docs/deploying.md does not explain `spec.d` of file",
    ];
    assert_eq!(wrong, expected);
}
