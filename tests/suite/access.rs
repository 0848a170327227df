//! The access rules of `docs/access.md` allow each user all its work, and no more.

mod fleet;
mod operator;
mod page;
mod sentences;

use poolder_devserver::Server;

use crate::harness::Space;

const GUIDE: &str = include_str!("../../docs/access.md");

/// Returns the rules of a user as `docs/access.md` lists them.
fn rules(user: &str) -> &'static str {
    let line = GUIDE.lines().find_map(|line| line.strip_prefix(&format!("{user}: ")));
    line.unwrap_or_else(|| panic!("the guide has no rules for {user}"))
}

/// A server with users who have the rules of the guide. All share one namespace.
struct Guarded {
    server: Server,
    namespace: String,
}

impl Guarded {
    fn start(test: &str) -> Self {
        let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
        Self { server, namespace: poolder_devserver::namespace(test) }
    }

    /// Starts a server; `None` when it has no selectors, which come with Redis 7.
    fn with_selectors(test: &str) -> Option<Self> {
        let guarded = Self::start(test);
        if let Err(error) = guarded.server.command(&["ACL", "SETUSER", "probe", "(+ping)"]) {
            eprintln!("skipped, since this server knows no selectors in access rules: {error}");
            return None;
        }
        Some(guarded)
    }

    /// Replaces the namespace of the guide by that of the test.
    fn own(&self, text: &str) -> String {
        text.replace("poolder:", &format!("{}:", self.namespace))
    }

    /// Creates the user, and returns a space that connects as this user.
    fn user(&self, name: &str) -> Space {
        // The rules of these users add to those of another.
        let more = match name {
            "dashboard" => rules("reader"),
            "sender-6.2" => rules("producer-6.2"),
            _ => "",
        };
        let rules = self.own(format!("{more} {}", rules(name)).trim());
        let words = ["ACL", "SETUSER", name, "reset", "on", ">secret"];
        let words: Vec<&str> = words.into_iter().chain(rules.split(' ')).collect();
        self.server.command(&words).unwrap();
        let url = format!("{}?user={name}&pass=secret", self.server.url());
        Space::named(url, self.namespace.clone())
    }

    /// Returns the commands, keys and channels that the server denied to a user.
    fn denials(&self, user: &str) -> Vec<String> {
        let log = self.server.command(&["ACL", "LOG", "1000"]).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        let of_user =
            lines.windows(4).filter(|four| four[0] == "object" && four[2..] == ["username", user]);
        // CLIENT SETINFO and CLIENT SETNAME are optional: clients go on when they are denied.
        of_user.map(|four| four[1].into()).filter(|it: &String| !it.starts_with("client")).collect()
    }
}
