//! The subjects of changes: all queues, one, jobs, nodes, schedules, pools and slots, lists of
//! batchers, keys of unique jobs, errors, and groups; how forms write them, and how the command does.

use poolder_core::history::ErrorId;
use poolder_core::{Handle, QueueName, UniqueKey};

use crate::access::Access;
use crate::page::shell::quoted;
use crate::request::{Context, Fault, Fields};

/// A sort of subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::page) enum Sort {
    Fleet,
    Queue,
    Job,
    Node,
    Schedule,
    Pool,
    List,
    Key,
    Error,
    Group,
}

/// The subject of a change.
#[derive(Debug, Clone)]
pub(in crate::page) enum Subject {
    /// All queues that the visitor may change: their names where there are others.
    Fleet(Vec<QueueName>),
    Queue(QueueName),
    Job(Handle),
    Node(String),
    Schedule(QueueName, String),
    /// A pool, or one of its slots.
    Pool(QueueName, Option<u16>),
    /// The list of a batcher that gathers entries of a group; the empty group is that without one.
    List {
        queue: QueueName,
        batcher: String,
        group: String,
    },
    Key(QueueName, UniqueKey),
    /// A group of equal errors, of a queue.
    Error(ErrorId, Option<QueueName>),
    /// A group of a limited queue; the empty name is that of the jobs without one.
    Group(QueueName, String),
}

/// The longest name of a node.
const NODE: usize = 256;

impl Subject {
    /// Reads the subject of a form.
    pub(in crate::page) fn of(sort: Sort, fields: &Fields) -> Result<Self, Fault> {
        let queue = || QueueName::new(fields.get("queue")).map_err(Fault::from);
        Ok(match sort {
            Sort::Fleet => Self::Fleet(vec![]),
            Sort::Queue => Self::Queue(queue()?),
            Sort::Job => Self::Job(fields.get("job").parse()?),
            Sort::Node => match fields.get("node") {
                "" => return Err(Fault::invalid("The name of the node is missing.")),
                name if name.len() > NODE => {
                    return Err(Fault::invalid("No node has such a name."));
                }
                name => Self::Node(name.to_owned()),
            },
            Sort::Schedule => {
                let name = fields.get("schedule");
                poolder_core::check_schedule_name(name)?;
                Self::Schedule(queue()?, name.to_owned())
            }
            Sort::Pool => match fields.get("slot") {
                "" => Self::Pool(queue()?, None),
                slot => Self::Pool(queue()?, Some(whole(slot, "slot")?)),
            },
            Sort::List => Self::List {
                queue: queue()?,
                batcher: fields.get("batcher").to_owned(),
                group: fields.get("group").to_owned(),
            },
            Sort::Key => Self::Key(queue()?, fields.get("key").parse()?),
            Sort::Error => Self::Error(fields.get("error").parse()?, None),
            Sort::Group => Self::Group(queue()?, fields.get("group").to_owned()),
        })
    }

    /// Returns the fields that write the subject in a form.
    pub(in crate::page) fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Fleet(_) => vec![],
            Self::Queue(queue) => vec![("queue", queue.to_string())],
            Self::Job(handle) => vec![("job", handle.to_string())],
            Self::Node(name) => vec![("node", name.clone())],
            Self::Schedule(queue, name) => {
                vec![("queue", queue.to_string()), ("schedule", name.clone())]
            }
            Self::Pool(queue, None) => vec![("queue", queue.to_string())],
            Self::Pool(queue, Some(slot)) => {
                vec![("queue", queue.to_string()), ("slot", slot.to_string())]
            }
            Self::List { queue, batcher, group } => vec![
                ("queue", queue.to_string()),
                ("batcher", batcher.clone()),
                ("group", group.clone()),
            ],
            Self::Key(queue, key) => vec![("queue", queue.to_string()), ("key", key.to_string())],
            Self::Error(id, _) => vec![("error", id.to_string())],
            Self::Group(queue, group) => {
                vec![("queue", queue.to_string()), ("group", group.clone())]
            }
        }
    }

    /// Returns the queue that the change concerns; none for all queues and for a node.
    pub(in crate::page) fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::Fleet(_) | Self::Node(_) => None,
            Self::Error(_, queue) => queue.as_ref(),
            Self::Job(handle) => Some(&handle.partition.queue),
            Self::Queue(queue)
            | Self::Schedule(queue, _)
            | Self::Pool(queue, _)
            | Self::List { queue, .. }
            | Self::Key(queue, _)
            | Self::Group(queue, _) => Some(queue),
        }
    }

    /// Returns the arguments of the command.
    pub(super) fn argument(&self) -> String {
        match self {
            Self::Fleet(queues) if queues.is_empty() => "--all".into(),
            Self::Fleet(queues) => {
                queues.iter().map(QueueName::as_str).collect::<Vec<_>>().join(" ")
            }
            Self::Queue(queue) => queue.to_string(),
            Self::Job(handle) => handle.to_string(),
            Self::Node(name) => quoted(name),
            Self::Schedule(queue, name) => format!("{} --queue {queue}", quoted(name)),
            Self::Pool(queue, None) => queue.to_string(),
            Self::Pool(queue, Some(slot)) => format!("{queue} --slot {slot}"),
            Self::List { queue, batcher, group } => {
                let of = match queue.as_str() == batcher {
                    true => batcher.clone(),
                    false => format!("{queue}/{batcher}"),
                };
                let group =
                    if group.is_empty() { String::new() } else { format!(" {}", quoted(group)) };
                of + &group
            }
            Self::Key(queue, key) => format!("{queue} {key}"),
            Self::Error(id, _) => id.to_string(),
            Self::Group(queue, group) => format!("{queue} {}", quoted(group)),
        }
    }

    /// Fails unless the visitor may make a change that needs these rights.
    pub(in crate::page) fn allowed(&self, context: &Context, needs: Access) -> Result<(), Fault> {
        match self.queue() {
            Some(queue) => allowed_on(context, queue, needs),
            None => enough(context.visitor.access(), needs),
        }
    }
}

/// Fails unless the visitor sees a queue and has these rights for it.
pub(in crate::page) fn allowed_on(
    context: &Context,
    queue: &QueueName,
    needs: Access,
) -> Result<(), Fault> {
    context.must_see(queue.as_str())?;
    enough(context.visitor.access_to(queue.as_str()), needs)
}

/// Returns the queue that a form names; fails unless the visitor has these rights for it.
pub(in crate::page) fn queue_of(
    context: &Context,
    fields: &Fields,
    needs: Access,
) -> Result<QueueName, Fault> {
    let queue = QueueName::new(fields.get("queue"))?;
    allowed_on(context, &queue, needs)?;
    Ok(queue)
}

/// Fails for rights that are not enough.
pub(in crate::page) fn enough(access: Access, needs: Access) -> Result<(), Fault> {
    match access >= needs {
        true => Ok(()),
        false => Err(Fault::new(
            axum::http::StatusCode::FORBIDDEN,
            "Not allowed",
            format!("This needs the right {needs}, and yours is {access}."),
        )),
    }
}

/// Reads a whole number of a form.
pub(in crate::page) fn whole<T: std::str::FromStr>(text: &str, of: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::invalid(format!("{text:?} is no number for the {of}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sort, the fields of a form, and the argument of the command.
    type Written<'a> = (Sort, &'a [(&'a str, &'a str)], &'a str);

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let lists: [Written<'_>; 9] = [
            (Sort::Queue, &[("queue", "mail")], "mail"),
            (Sort::Node, &[("node", "it's")], r"'it'\''s'"),
            (Sort::Schedule, &[("queue", "mail"), ("schedule", "a")], "a --queue mail"),
            (Sort::Pool, &[("queue", "mail")], "mail"),
            (Sort::Pool, &[("queue", "mail"), ("slot", "3")], "mail --slot 3"),
            (Sort::List, &[("queue", "mail"), ("batcher", "b"), ("group", "a b")], "mail/b 'a b'"),
            (Sort::List, &[("queue", "b"), ("batcher", "b"), ("group", "")], "b"),
            (Sort::Group, &[("queue", "mail"), ("group", "a b")], "mail 'a b'"),
            (Sort::Group, &[("queue", "mail"), ("group", "")], "mail ''"),
        ];
        for (sort, fields, argument) in lists {
            let subject = Subject::of(sort, &fields.iter().copied().collect()).unwrap();
            assert_eq!(subject.argument(), argument);
            let written: Vec<_> = subject.fields();
            let written: Vec<_> = written.iter().map(|(name, value)| (*name, &**value)).collect();
            assert_eq!(written, fields);
        }
        for (sort, name, value) in [
            (Sort::Queue, "queue", "not a name"),
            (Sort::Job, "job", "nonsense"),
            (Sort::Node, "node", ""),
            (Sort::Schedule, "schedule", ""),
            (Sort::Key, "key", "xyz"),
        ] {
            let fields = [("queue", "mail"), (name, value)].into_iter().collect();
            assert!(Subject::of(sort, &fields).is_err(), "{name}");
        }
        let slot = [("queue", "mail"), ("slot", "-1")].into_iter().collect();
        assert!(Subject::of(Sort::Pool, &slot).is_err());
    }
}
