//! Filters of jobs, and their text form.

mod parse;
mod term;

use std::fmt;
use std::str::FromStr;

use self::term::{Compare, Expected, Pattern, Term};
use crate::job::{Error, Timestamp, deserialize_from_text, serialize_as_text};
use crate::policy::ErrorId;
use crate::view::JobView;

/// Conditions that a job satisfies, or not. The empty filter is satisfied by every job.
///
/// A filter is written as text, for a command line or a URL, and serialized so. The conditions are
/// separated by blanks, and all of them must hold:
///
/// | condition | a job satisfies it when |
/// |---|---|
/// | `kind=mail.welcome,mail.bye` | its kind is one of these; `mail.*` stands for all that begin with `mail.` |
/// | `error~timeout` | the message of its last failure contains this text, in upper or lower case |
/// | `error=9f1c04ab77de` | its last failure belongs to this group of equal errors, of whose id 8 leading digits will do |
/// | `attempt=3` `attempt>=3` `attempt<3` | the number of the attempt that it waits for, runs, or died of |
/// | `age>2h` `age<5m` | so long ago it became ready, was claimed or died (`ms`, `s`, `m`, `h`, `d`); a job that waits for its time has the age 0 |
/// | `node=web-1` | the node that runs it or buried it has this name, or this host |
/// | `schedule=nightly` `tick=1700000000000` | a schedule of this name made it, for this time in ms |
/// | `header.tenant=acme` | it has a header of this name and value |
/// | `payload.user.id=7` | its payload, as [`JobView::payload_json`] shows it, has this value at this path; items of a list have numbers from 0 |
/// | `id=019e12` | its id begins so |
///
/// A value with blanks or quotes stands in double quotes, as in JSON: `error~"no such column"`. In
/// a payload, a value that is JSON means that value, and any other text a string: `payload.n=7` is
/// satisfied by 7 and by `"7"`, `payload.n="7"` by the string alone. A name with dots stands in
/// quotes as well: `payload."a.b".c=true`.
///
/// ```
/// use poolder_core::view::Filter;
///
/// let filter: Filter = r#"kind=mail.* error~"no such column" attempt>=3"#.parse()?;
/// assert_eq!(filter.to_string().parse::<Filter>()?, filter);
/// let wrong = "attempt~3".parse::<Filter>().unwrap_err();
/// assert!(wrong.is_invalid() && wrong.to_string().contains("attempt>=3"));
/// # Ok::<(), poolder_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

serialize_as_text! { Filter }
deserialize_from_text! { Filter }

impl Filter {
    /// Returns the filter that every job satisfies.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Adds the condition that the kind of the job is this one.
    #[must_use]
    pub fn kind(self, kind: impl Into<String>) -> Self {
        self.with(Term::Kind(vec![Pattern { text: kind.into(), is_prefix: false }]))
    }

    /// Adds the condition that the message of the last failure contains this text, in upper or lower
    /// case.
    #[must_use]
    pub fn error_contains(self, text: impl AsRef<str>) -> Self {
        self.with(Term::Message(text.as_ref().to_lowercase()))
    }

    /// Adds the condition that the last failure belongs to this group of equal errors.
    #[must_use]
    pub fn error(self, group: ErrorId) -> Self {
        self.with(Term::Error(group.to_string()))
    }

    /// Adds the condition that the payload has this value at this path, of which each part is the
    /// name of an entry or the number of an item.
    #[must_use]
    pub fn payload<P: Into<String>>(
        self,
        path: impl IntoIterator<Item = P>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        self.with(Term::Payload(path, Expected { value: value.into(), text: None }))
    }

    /// Adds the conditions of another filter.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self
    }

    /// Returns true when the filter has no condition.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns true when the job satisfies all conditions; `now` is the time by the server's clock.
    #[must_use]
    pub fn matches(&self, job: &JobView, now: Timestamp) -> bool {
        // The payload is read once, and only for a job that satisfies everything else.
        let (payload, others): (Vec<_>, Vec<_>) =
            self.terms.iter().partition(|term| matches!(term, Term::Payload(..)));
        if !others.into_iter().all(|term| term.matches(job, now)) {
            return false;
        }
        if payload.is_empty() {
            return true;
        }
        let Ok(shown) = job.payload_json() else { return false };
        payload.into_iter().all(|term| match term {
            Term::Payload(path, expected) => {
                term::at(&shown, path).is_some_and(|it| expected.is(it))
            }
            _ => true,
        })
    }

    fn with(mut self, term: Term) -> Self {
        self.terms.push(term);
        self
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            write!(f, "{blank}{term}")?;
        }
        Ok(())
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(Self { terms: parse::terms(text)? })
    }
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::Below => "<",
        })
    }
}
