//! The views of lists of jobs that visitors of dashboards have saved.

use std::collections::BTreeMap;

use futures_util::future::try_join;
use redis::Value;
use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::Error;

/// The most views of a namespace.
const MOST: usize = 100;
/// The most characters of a name, and the most bytes of a path.
const LONGEST_NAME: usize = 40;
const LONGEST_PATH: usize = 500;

/// A view of a list of jobs that was saved under a name, for all dashboards of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SavedView {
    /// The name, of at most 40 characters.
    pub name: String,
    /// The path of the list within a dashboard, with its query: at most 500 bytes of ASCII.
    pub path: String,
}

impl SavedView {
    /// Creates a view.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name that is empty, that has more than 40 characters or a
    /// control character, and for a path that is not one of a list of jobs, `/jobs` or `/queues/…`,
    /// or is longer than 500 bytes.
    pub fn new(name: impl Into<String>, path: impl Into<String>) -> Result<Self, Error> {
        let (name, path) = (name.into(), path.into());
        let is_name = !name.trim().is_empty()
            && name.chars().count() <= LONGEST_NAME
            && !name.contains(char::is_control);
        if !is_name {
            return Err(Error::invalid(format!(
                "the name of a view has 1 to {LONGEST_NAME} characters"
            )));
        }
        let is_list = path == "/jobs" || path.starts_with("/jobs?") || path.starts_with("/queues/");
        let is_path = path.len() <= LONGEST_PATH
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !is_list || !is_path {
            return Err(Error::invalid(format!(
                "a view is the path of a list of jobs of at most {LONGEST_PATH} bytes, such as \
                 /jobs?state=dead"
            )));
        }
        Ok(Self { name, path })
    }
}

impl Broker {
    /// Returns the saved views, by name: at most 100.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn saved_views(&self) -> Result<Vec<SavedView>, Error> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(&self.roster_keys().views);
        let mut fields = reply::array(self.command(&cmd).await?)?.into_iter();
        let mut views = BTreeMap::new();
        while let (Some(name), Some(path)) = (fields.next(), fields.next()) {
            views.extend(read_view(name, path).map(|view| (view.name.clone(), view)));
        }
        Ok(views.into_values().take(MOST).collect())
    }

    /// Saves a view. Returns false when it has replaced the one of its name.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when there are 100 views of other names; also returns an error when
    /// the server does not answer or refuses the command.
    pub async fn save_view(&self, view: &SavedView) -> Result<bool, Error> {
        let key = &self.roster_keys().views;
        let (mut exists, mut count) = (redis::cmd("HEXISTS"), redis::cmd("HLEN"));
        exists.arg(key).arg(&view.name);
        count.arg(key);
        let (exists, count) = try_join(self.command(&exists), self.command(&count)).await?;
        // Two that are saved at the same moment may both be the last one.
        if reply::int(exists)? == 0 && reply::int(count)? >= MOST as i64 {
            return Err(Error::invalid(format!(
                "{MOST} views are saved already: remove one of them first"
            )));
        }
        let mut cmd = scripts::write("HSET", key);
        cmd.arg(&view.name).arg(&view.path);
        Ok(reply::int(self.command(&cmd).await?)? > 0)
    }

    /// Removes a saved view. Returns false when there is none of this name.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove_view(&self, name: &str) -> Result<bool, Error> {
        let mut cmd = redis::cmd("HDEL");
        cmd.arg(&self.roster_keys().views).arg(name);
        Ok(reply::int(self.command(&cmd).await?)? > 0)
    }
}

/// Reads a view; `None` for one that Poolder has not written.
fn read_view(name: Value, path: Value) -> Option<SavedView> {
    SavedView::new(reply::text(name).ok()?, reply::text(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_a_list_of_jobs_under_a_name() {
        let long = format!("/jobs?{}", "a".repeat(LONGEST_PATH - 6));
        for path in ["/jobs", "/jobs?state=dead", "/queues/mail?where=kind%3Da", &long] {
            assert!(SavedView::new("<b>ü", path).is_ok(), "{path}");
        }
        for (name, path) in [
            ("", "/jobs"),
            ("  ", "/jobs"),
            ("a\nb", "/jobs"),
            ("a", ""),
            ("a", "//evil"),
            ("a", "https://evil"),
            ("a", "/act"),
            ("a", "/jobsearch"),
            ("a", "/queues/\\evil"),
            ("a", "/jobs?\r\nSet-Cookie: x"),
            ("a", &format!("{long}b")),
            (&"ü".repeat(LONGEST_NAME + 1), "/jobs"),
        ] {
            assert!(SavedView::new(name, path).unwrap_err().is_invalid(), "{name:?} {path:?}");
        }
        let bulk = |text: &[u8]| Value::BulkString(text.to_vec());
        assert_eq!(read_view(bulk(b"a"), bulk(b"/jobs")), SavedView::new("a", "/jobs").ok());
        assert_eq!(read_view(bulk(b"\xff"), bulk(b"/jobs")), None);
        assert_eq!(read_view(Value::Nil, Value::Int(7)), None);
    }
}
