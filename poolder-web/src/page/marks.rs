//! The marks of charts: the first node of a deploy, and the death of a node.

use std::fmt;
use std::time::Duration;

use poolder_core::Timestamp;

use super::nodes;
use crate::look::{Death, Events};
use crate::show::{Chart, Mark};

/// The most moments that a chart names.
const MARKS: usize = 6;

/// Adds the events since the beginning of a chart: each to its table, and as marks the last of
/// them, of which those that lie too close together to be read share one.
pub(super) fn with_events(mut chart: Chart, events: &Events) -> Chart {
    let deploys = events.deploys.iter().map(|it| (it.first_seen, Event::Deploy(&it.deploy)));
    let deaths = events.deaths.iter().map(death);
    let mut all: Vec<(Timestamp, Event<'_>)> =
        deploys.chain(deaths).filter(|(at, _)| *at > chart.from).collect();
    all.sort_by_key(|(at, _)| *at);
    let close = chart.step * 4;
    let groups: Vec<&[(Timestamp, Event<'_>)]> = grouped(&all, close);
    let from = groups.len().saturating_sub(MARKS);
    chart.marks = groups[from..].iter().map(|group| mark(group)).collect();
    chart.events = all.iter().map(|(at, event)| (*at, event.to_string())).collect();
    chart
}

/// Returns the events in groups, none of which is longer than `close`.
fn grouped<'a, 'b>(
    mut all: &'a [(Timestamp, Event<'b>)],
    close: Duration,
) -> Vec<&'a [(Timestamp, Event<'b>)]> {
    let mut groups = vec![];
    while let Some((first, _)) = all.first() {
        let (group, rest) = all.split_at(all.partition_point(|(at, _)| at.since(*first) < close));
        groups.push(group);
        all = rest;
    }
    groups
}

/// A moment of a chart.
#[derive(Debug, Clone, Copy)]
enum Event<'a> {
    Deploy(&'a str),
    Death(&'a str),
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deploy(deploy) => write!(f, "deploy {deploy}"),
            Self::Death(node) => write!(f, "node {node} died"),
        }
    }
}

fn death(death: &Death) -> (Timestamp, Event<'_>) {
    (death.at, Event::Death(nodes::short(&death.node)))
}

/// Returns the mark of a group of events, of which there is one at least.
fn mark(group: &[(Timestamp, Event<'_>)]) -> Mark {
    let deploys = group.iter().filter_map(|(_, event)| match event {
        Event::Deploy(deploy) => Some(*deploy),
        Event::Death(_) => None,
    });
    let deploys: Vec<&str> = deploys.collect();
    let deaths: Vec<&Event<'_>> =
        group.iter().map(|(_, it)| it).filter(|it| matches!(it, Event::Death(_))).collect();
    let mut texts = vec![];
    if !deploys.is_empty() {
        texts.push(format!("deploy {}", deploys.join(", ")));
    }
    match deaths.as_slice() {
        [] => {}
        [one] => texts.push(one.to_string()),
        several => texts.push(format!("{} nodes died", several.len())),
    }
    Mark { at: group[0].0, text: texts.join(", "), is_death: !deaths.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::{Line, Scale};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_040_000 + minute * 60_000)
    }

    fn with(deaths: &[(i64, &str)]) -> Chart {
        let death = |(minute, node): &(i64, &str)| Death { at: at(*minute), node: (*node).into() };
        let deaths = deaths.iter().map(death).collect();
        let chart = Chart {
            id: "c",
            title: "c".into(),
            from: at(0),
            step: Duration::from_secs(60),
            scale: Scale::Rate,
            lines: vec![Line { name: "done", colour: '1', values: vec![1.0; 60] }],
            marks: vec![],
            events: vec![],
        };
        with_events(chart, &Events { deploys: vec![], deaths })
    }

    #[test]
    fn close_events_share_a_mark_and_the_table_has_each() {
        let chart = with(&[(-1, "old:1:a"), (7, "a:1:x"), (10, "b:2:x"), (11, "c:3:x")]);
        let marks: Vec<(&str, bool)> =
            chart.marks.iter().map(|mark| (mark.text.as_str(), mark.is_death)).collect();
        assert_eq!(marks, [("2 nodes died", true), ("node c:3 died", true)]);
        let table = chart.table();
        let events: Vec<&str> =
            table.rows.iter().map(|row| row[2].text.as_str()).filter(|it| !it.is_empty()).collect();
        assert_eq!(events, ["node c:3 died", "node b:2 died", "node a:1 died"]);
        let many: Vec<(i64, &str)> = (1..60).step_by(4).map(|minute| (minute, "a")).collect();
        let chart = with(&many);
        assert_eq!((chart.marks.len(), chart.events.len()), (MARKS, 15));
        assert!(with(&[]).marks.is_empty() && with(&[]).table().columns.len() == 2);
    }

    #[test]
    fn a_deploy_and_a_death_are_told_apart() {
        let deploy = Event::Deploy("v2");
        let together = mark(&[(at(1), deploy), (at(2), Event::Death("a:1"))]);
        assert_eq!((together.text.as_str(), together.is_death), ("deploy v2, node a:1 died", true));
        let alone = mark(&[(at(1), deploy), (at(1), Event::Deploy("v3"))]);
        assert_eq!((alone.text.as_str(), alone.is_death), ("deploy v2, v3", false));
    }
}
