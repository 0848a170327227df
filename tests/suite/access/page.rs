//! Each sentence of `docs/access.md` holds: its user may do the one and may not do the other.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;

use super::sentences::sentences;
use super::{GUIDE, Guarded, rules};

const USERS: &[&str] = &[
    "A producer ",
    "A guest ",
    "A worker ",
    "An operator ",
    "A reader ",
    "A dashboard ",
    "An exporter ",
    "A sender ",
];

/// Returns whether the access rules refuse a command. Other errors are allowed commands.
async fn is_refused(connection: &mut MultiplexedConnection, command: &str) -> bool {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    words.for_each(|word| _ = cmd.arg(word));
    let reply = cmd.query_async::<redis::Value>(connection).await;
    reply.is_err_and(|error| error.code() == Some("NOPERM"))
}

async fn connection(guarded: &Guarded, user: &str) -> MultiplexedConnection {
    let client = redis::Client::open(guarded.user(user).url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[test]
fn each_sentence_of_the_guide_is_tried_and_no_other() {
    let lines = GUIDE.lines().filter_map(|line| line.strip_prefix("- "));
    let guide: BTreeSet<&str> =
        lines.filter(|line| USERS.iter().any(|user| line.starts_with(user))).collect();
    let tried: BTreeSet<&str> = sentences().map(|(_, text, ..)| *text).collect();
    assert_eq!(guide, tried);
    assert!(
        sentences().all(|(_, _, allowed, refused)| { !allowed.is_empty() && !refused.is_empty() })
    );
}

#[tokio::test]
async fn each_sentence_of_the_guide_allows_and_refuses_what_it_says() {
    let Some(guarded) = Guarded::with_selectors("sentences") else { return };
    let mut wrong = vec![];
    for (user, text, allowed, refused) in sentences() {
        for (commands, is_allowed) in [(allowed, true), (refused, false)] {
            for command in *commands {
                // A subscribed connection takes no other command.
                let mut connection = connection(&guarded, user).await;
                if is_refused(&mut connection, &guarded.own(command)).await == is_allowed {
                    wrong.push(format!("{user}: {text} {command}, allowed: {}", !is_allowed));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn each_way_in_is_open_or_closed_as_the_table_says() {
    let Some(guarded) = Guarded::with_selectors("ways") else { return };
    let mut rows = GUIDE.lines().filter(|line| line.starts_with("| "));
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(str::trim);
    let users: Vec<&str> = cells(rows.next().unwrap()).skip(2).collect();
    let (mut wrong, mut tried) = (vec![], 0);
    for row in rows {
        let cells: Vec<&str> = cells(row).collect();
        let command = guarded.own(cells[1].trim_matches('`'));
        for (user, said) in users.iter().zip(&cells[2..]) {
            let mut connection = connection(&guarded, user).await;
            let is = if is_refused(&mut connection, &command).await { "closed" } else { "open" };
            if is != *said {
                wrong.push(format!("{}, {user}: {is}", cells[0]));
            }
            tried += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(tried, 16 * 5, "the table is tried whole");
}

/// The doctor asks for each command of a node whether the user may run it.
#[test]
fn the_doctor_asks_for_the_commands_of_the_worker() {
    let mut asked = poolder_core::broker::node_commands();
    let listed = rules("worker").split(' ').filter_map(|word| word.strip_prefix('+'));
    let mut listed: Vec<String> = listed.map(str::to_owned).collect();
    asked.sort_unstable();
    listed.sort_unstable();
    assert_eq!(asked, listed);
}
