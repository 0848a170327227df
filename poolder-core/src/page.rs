//! Tests that `docs/wire.md`, the tables in `stored/table.rs` and the code name the same things.

use std::collections::BTreeSet;
use std::path::Path;

use crate::broker::keys::Keyspace;
use crate::golden;
use crate::job::packed::{Form, Items};
use crate::job::{JobId, Lane, Partition, QueueName, Timestamp};
use crate::policy::Counters;
use crate::stored::table::{ATTEMPT, COUNTERS, HANDLES, IDS, KEYS, MAP, RESERVED, Row, TABLES};

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the names of the rows that some version writes.
fn written(table: &[Row]) -> BTreeSet<String> {
    table.iter().filter(|row| row.3 != RESERVED).map(|row| row.0.to_owned()).collect()
}

#[test]
fn the_page_shows_every_row_and_no_other() {
    let page = file("../docs/wire.md");
    for (heading, table) in TABLES {
        let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect(heading);
        let section = section.split("\n## ").next().unwrap_or_default();
        let shown: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |Row(name, holds, owner, since): &Row| {
            format!("| `{name}` | {holds} | {owner} | {since} |")
        };
        let rows: Vec<String> = table.iter().map(row).collect();
        assert_eq!(shown, rows, "{heading}: the page must show\n{}", rows.join("\n"));
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "{heading}");
    }
    let rows: usize = TABLES.iter().map(|(_, table)| table.len()).sum();
    assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), rows, "no more tables");
}

#[test]
fn counters_have_the_elements_of_the_tables() {
    let numbers = |count: usize| (0..count).map(|at| at.to_string()).collect::<BTreeSet<_>>();
    let forms = golden::forms();
    let (_, stored) = forms.iter().find(|(name, _)| *name == "counters.begun").unwrap();
    let mut elements = Items::new(Form::Array, stored).unwrap();
    assert_eq!(written(COUNTERS), numbers(elements.left()));
    (0..elements.left() - 1).for_each(|_| drop(elements.skip()));
    let mut map = Items::new(Form::Map, elements.skip().unwrap()).unwrap();
    let attempts = map.entry().unwrap();
    let (begun, generation) = (map.entry().unwrap(), map.entry().unwrap());
    // A job that has met a limit has an entry more.
    let (_, stored) = forms.iter().find(|(name, _)| *name == "counters.limited").unwrap();
    let mut elements = Items::new(Form::Array, stored).unwrap();
    (0..elements.left() - 1).for_each(|_| drop(elements.skip()));
    let limited = Items::new(Form::Map, elements.skip().unwrap()).unwrap().entry().unwrap();
    let all = [attempts.key, begun.key, generation.key, limited.key];
    let keys = all.map(ToOwned::to_owned);
    assert_eq!(written(MAP), BTreeSet::from(keys));
    assert!(map.end().is_ok());
    let first = Items::new(Form::Array, attempts.value).unwrap().skip().unwrap();
    assert_eq!(written(ATTEMPT), numbers(Items::new(Form::Array, first).unwrap().left()));
    assert!(Counters::default().encode()[0] < 0x97, "the map is left out when it is empty");
}

#[test]
fn every_key_is_in_the_table() {
    let space = Keyspace::new("space").unwrap();
    let queue = QueueName::new("mail").unwrap();
    let keys = space.partition(&Partition { queue: queue.clone(), index: 7 });
    let job = JobId::from_bytes([7; 16]);
    // The debug form has every key that is built once, also one that is added later.
    let fields = format!("{keys:?}{:?}", space.roster());
    let mut built: Vec<String> = fields.split('"').skip(1).step_by(2).map(Into::into).collect();
    built.retain(|key| key != "space:{mail.7}" && !key.ends_with(":history"));
    built.extend([
        keys.wake("NODE"),
        keys.progress(job),
        keys.result(job),
        keys.sent(job),
        keys.imported(job, None),
        keys.batcher("BATCHER"),
        keys.batch_open("BATCHER"),
        keys.batch_fill("BATCHER", "GROUP"),
        keys.batch_sealed(job),
        keys.batch_rest(job, "PART"),
        keys.batch_token("BATCHER", "TOKEN"),
        space.pool_set("SET"),
        space.roster().history.frame('L', 4_711),
        space.roster().history.rolled('L', 4_711),
        space.roster().history.gauges('L', 4_711),
        space.roster().history.sampled(4_712),
    ]);
    built.extend(space.broadcast(&queue));
    let mut names = BTreeSet::new();
    for key in built {
        let mut name = key.strip_prefix("space:").expect("in the namespace").to_owned();
        let id = job.to_string();
        for (value, place) in [
            ("{mail.7}", "{<partition>}"),
            ("{mail}", "{<queue>}"),
            (id.as_str(), "<job>"),
            ("NODE", "<node>"),
            ("BATCHER", "<batcher>"),
            ("GROUP", "<group>"),
            ("PART", "<part>"),
            ("TOKEN", "<token>"),
            ("SET", "<pool set>"),
            ("L:4711", "<step>:<number>"),
            ("4712", "<minute>"),
        ] {
            name = name.replace(value, place);
        }
        for lane in Lane::ALL {
            if let Some(stream) = name.strip_suffix(lane.as_str()) {
                name = format!("{stream}<lane>");
            }
        }
        names.insert(name);
    }
    assert_eq!(names, written(KEYS));
    // A key that is built by a function this test does not call is one more format.
    let source = file("src/broker/keys.rs");
    let formats = source.split("#[cfg(test)]").next().unwrap_or_default().matches("format!(");
    let bases = 3;
    assert_eq!(formats.count(), KEYS.len() + bases, "call every function that builds a key");
}

#[test]
fn ids_are_derived_as_the_table_says() {
    let queue = QueueName::new("mail").unwrap();
    let tick = JobId::of_tick(&queue, "nightly", Timestamp::from_millis(1_700_000_000_000));
    let plain = JobId::of_plain_entry("a stream", "1700000000000-0");
    let derived = [
        ("named", JobId::named(&queue, "order-7"), "cb86e4a3-1aac-5256-89bb-11b4f6c63330"),
        ("tick", tick, "e5470fc6-fcb9-5203-a48c-b9fba30eaa5d"),
        ("plain", plain, "1aff50e3-5dc2-5ed7-a99c-09bee1a7e613"),
    ];
    for (name, id, frozen) in derived {
        assert_eq!(id.to_string(), frozen, "{name}");
        assert_eq!(id.as_bytes()[6] >> 4, 5, "{name} is a UUIDv5");
    }
    assert_eq!(JobId::generate().as_bytes()[6] >> 4, 7);
    let scripts = ["jobs/enqueue", "jobs/settle", "admin/reschedule", "schedule/tick"];
    for text in scripts.map(|name| file(&format!("src/broker/scripts/{name}.lua"))) {
        assert!(text.contains(") + n) % 256)") || text.contains("(last + n) % 256)"));
    }
    let named = JobId::named(&queue, "order-7");
    let others: BTreeSet<JobId> = named.stored_as().collect();
    assert_eq!((others.len(), others.contains(&named)), (16, true));
    assert!(others.iter().all(|id| id.as_bytes()[..15] == named.as_bytes()[..15]));
    assert_eq!(JobId::generate().stored_as().count(), 1);
    assert!(file("src/broker/scripts/jobs/settle.lua").contains("sha1hex(job .. entry), 1, 16)"));
    assert!(file("src/broker/scripts/batch/push.lua").contains("'timer:batch:seal:' .. name"));
    let named = derived.map(|(name, ..)| name);
    let others = ["new", "second", "third", "timer:batch:seal:<batcher>:<generation>:<group>"];
    let all: BTreeSet<String> = named.into_iter().chain(others).map(Into::into).collect();
    assert_eq!(all, written(IDS));
}

#[test]
fn handles_have_the_forms_of_the_table() {
    let forms = golden::forms();
    let (_, stored) = forms.iter().find(|(name, _)| *name == "handles").unwrap();
    let mut names = BTreeSet::new();
    for line in std::str::from_utf8(stored).unwrap().lines() {
        let mut parts: Vec<&str> = line.split('/').collect();
        assert_eq!(parts[..2], ["a.b.0", &JobId::from_bytes([0xfe; 16]).to_string()]);
        parts.splice(..2, ["<queue>.<partition>", "<job>"]);
        match parts.as_mut_slice() {
            [_, _, "due", at] => *at = "<ms>",
            [_, _, "group", place] => *place = "<number>-<group>",
            [_, _, lane, entry] => (*lane, *entry) = ("<lane>", "<entry>"),
            _ => {}
        }
        names.insert(parts.join("/"));
    }
    assert_eq!(names, written(HANDLES));
}
