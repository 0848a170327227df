//! The totals, which this example keeps in the same Redis with its own client, as an application
//! would keep its data in a database.
//!
//! `HINCRBY totals:rs words 120` would be shorter, and wrong: a job that runs twice would be
//! counted twice. So nothing is added while jobs run. Each file *sets* its own field, which has the
//! same effect however often it is done, and the sum is computed when the totals are read:
//!
//! ```text
//! HSET <namespace>:totals:rs <file> "<bytes> <words> <hash>"
//! ```

use std::collections::BTreeMap;

use poolder::Result;
use redis::aio::MultiplexedConnection;

use crate::jobs::AddUp;
use crate::measure::Figures;
use crate::space::Space;

/// File key → extension and figures.
pub(crate) type Counted = BTreeMap<String, (String, Figures)>;

/// A connection to the totals.
#[derive(Clone)]
pub(crate) struct Tally {
    connection: MultiplexedConnection,
    prefix: String,
}

impl Tally {
    /// Returns the totals of the demo that this process belongs to.
    pub(crate) async fn from_env() -> Result<Self> {
        Self::of(&Space::from_env()?).await
    }

    pub(crate) async fn of(space: &Space) -> Result<Self> {
        let connection = space.connect().await?;
        Ok(Self { connection, prefix: format!("{}:totals", space.namespace()) })
    }

    /// Sets the figures of a file. Returns false if they had been set before.
    pub(crate) async fn set(&mut self, file: &AddUp) -> Result<bool> {
        let AddUp { file, extension, figures } = file;
        let Figures { bytes, words, hash } = figures;
        let (is_first,) = redis::pipe()
            .atomic()
            .sadd(&self.prefix, extension)
            .ignore()
            .hset(self.key(extension), file, format!("{bytes} {words} {hash}"))
            .query_async::<(bool,)>(&mut self.connection)
            .await?;
        Ok(is_first)
    }

    /// Returns all files that were set.
    pub(crate) async fn read(&mut self) -> Result<Counted> {
        let mut counted = Counted::new();
        let extensions: Vec<String> =
            redis::Cmd::smembers(&self.prefix).query_async(&mut self.connection).await?;
        for extension in extensions {
            let fields: Vec<(String, String)> =
                redis::Cmd::hgetall(self.key(&extension)).query_async(&mut self.connection).await?;
            for (file, text) in fields {
                let figures = parse(&text).ok_or_else(|| format!("{file} holds {text:?}"))?;
                counted.insert(file, (extension.clone(), figures));
            }
        }
        Ok(counted)
    }

    fn key(&self, extension: &str) -> String {
        format!("{}:{extension}", self.prefix)
    }
}

fn parse(text: &str) -> Option<Figures> {
    let mut parts = text.split(' ');
    let bytes = parts.next()?.parse().ok()?;
    let words = parts.next()?.parse().ok()?;
    let hash = parts.next()?.to_owned();
    Some(Figures { bytes, words, hash })
}
