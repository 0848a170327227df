//! Unique jobs: how long one keeps others of its key out, and which jobs have the same key.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::job::named_ids::digest;
use crate::job::{Error, serialize_as_text};

/// The time for which a job holds its key beyond its due time, unless it is set: 24 hours.
const HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// The rule by which a job is unique in its queue: while it holds its key, another job of this key
/// is not stored, and its enqueue answers with the handle of the job that stands.
///
/// The key is made of the kind and the whole payload, unless [`Unique::by`] chooses parts of it.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::Unique;
///
/// // One report a tenant and month at a time.
/// let rule = Unique::until_done().by(&("acme", "2026-11"));
/// // The first one within a minute.
/// let rule = Unique::window(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a rule has an effect when it is given to a job"]
pub struct Unique {
    mode: UniqueMode,
    /// The chosen parts in stored form, or why they cannot be stored; `None` for all of the payload.
    by: Option<Result<Vec<u8>, String>>,
    across_kinds: bool,
    hold: Duration,
    replace: bool,
    /// The delay, and the longest one, of a debounced job.
    debounce: Option<(Duration, Duration)>,
}

/// The time at which the key of a unique job is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UniqueMode {
    /// Any end of the job: completed, cancelled, dead, removed.
    UntilDone,
    /// The start of its first attempt, or its end before.
    UntilStart,
    /// A fixed time after the enqueue.
    Window,
    /// As [`UniqueMode::UntilStart`]; until it is due, each further enqueue puts the job off and
    /// replaces its data.
    Debounce,
    /// Any end of the job; then the job that waits behind it, with the newest data, takes the key.
    KeepLast,
}

impl UniqueMode {
    /// Every mode, in the order of the stored numbers, which begin with 1.
    const ALL: [Self; 5] =
        [Self::UntilDone, Self::UntilStart, Self::Window, Self::Debounce, Self::KeepLast];

    /// Returns the number under which the mode is stored.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::UntilDone => 1,
            Self::UntilStart => 2,
            Self::Window => 3,
            Self::Debounce => 4,
            Self::KeepLast => 5,
        }
    }

    /// Returns the mode of a stored number; `None` for that of a later version.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.number() == number)
    }

    /// Returns whether the key is free when the job starts.
    #[must_use]
    pub fn ends_at_start(self) -> bool {
        matches!(self, Self::UntilStart | Self::Debounce)
    }
}

impl fmt::Display for UniqueMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UntilDone => "until done",
            Self::UntilStart => "until start",
            Self::Window => "window",
            Self::Debounce => "debounce",
            Self::KeepLast => "keep last",
        })
    }
}

impl Unique {
    fn new(mode: UniqueMode) -> Self {
        let (by, across_kinds, hold, replace, debounce) = (None, false, HOLD, false, None);
        Self { mode, by, across_kinds, hold, replace, debounce }
    }

    /// Returns the usual rule: the key is free when the job has ended, however it ends.
    pub fn until_done() -> Self {
        Self::new(UniqueMode::UntilDone)
    }

    /// Returns the rule of a job whose key is free when it starts to run: what is enqueued from then
    /// on is a job of its own. An attempt that fails does not take the key again.
    pub fn until_start() -> Self {
        Self::new(UniqueMode::UntilStart)
    }

    /// Returns the rule that of all jobs of the key within this time, the first one is stored. The
    /// key is free after the time, whatever becomes of the job; and at once when an operator cancels
    /// or removes it.
    pub fn window(window: Duration) -> Self {
        Self { hold: window, ..Self::new(UniqueMode::Window) }
    }

    /// Returns the rule of a job that is due this time after the last enqueue of its key, with the
    /// data of that one. [`Unique::at_most`] bounds how long it is put off; by default ten times
    /// the delay.
    pub fn debounce(delay: Duration) -> Self {
        let most = delay.saturating_mul(10);
        Self { debounce: Some((delay, most)), ..Self::new(UniqueMode::Debounce) }
    }

    /// Returns the rule that one job of the key is under way, and one waits behind it with the newest
    /// data: it is due when the first one has ended, however it ends. Each further enqueue replaces
    /// the data of the one that waits behind. A first one that is due later and was not tried gets
    /// the newest data itself, and keeps its time.
    ///
    /// ```
    /// use poolder_core::Unique;
    ///
    /// // One synchronization of an account at a time, and one more for all changes meanwhile.
    /// let rule = Unique::keep_last().by(&7);
    /// ```
    pub fn keep_last() -> Self {
        Self::new(UniqueMode::KeepLast)
    }

    /// Bounds the time from the first enqueue of a debounced job until it is due. Another rule stays
    /// as it is.
    pub fn at_most(mut self, most: Duration) -> Self {
        self.debounce = self.debounce.map(|(delay, _)| (delay, most));
        self
    }

    /// Makes the key of these values, in place of the payload: jobs with equal values have the same
    /// key, whatever else differs in their payloads. Values are compared as MessagePack, structs with
    /// the names of their fields.
    pub fn by(mut self, values: &impl Serialize) -> Self {
        self.by = Some(rmp_serde::to_vec_named(values).map_err(|error| error.to_string()));
        self
    }

    /// Lets jobs of all kinds in the queue share the key: without this, jobs of different kinds never
    /// have the same one.
    pub fn across_kinds(mut self) -> Self {
        self.across_kinds = true;
        self
    }

    /// Sets for how long a job that was lost holds its key: counted from its due time, and again from
    /// every retry, rescue and hand-back. Default 24 hours. A job that waits or runs for longer
    /// holds its key all the same. Another time of a window is the window.
    pub fn hold_for(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Lets an enqueue that finds a waiting job of its key replace the data of that job, which keeps
    /// its id; one that is due later keeps its time, and one that is ready goes to the end of its
    /// lane. A job that runs stays as it is. Has no effect on a debounced job, or with
    /// [`Unique::keep_last`]: these replace in any case.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Returns the time at which the key is free again.
    #[must_use]
    pub fn mode(&self) -> UniqueMode {
        self.mode
    }

    /// Returns the delay and the longest delay of a debounced job.
    #[must_use]
    pub fn delays(&self) -> Option<(Duration, Duration)> {
        self.debounce
    }

    /// Returns whether the data of a job that waits is replaced.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.replace
    }

    /// Returns the time for which a job holds its key.
    pub(crate) fn hold(&self) -> Duration {
        self.hold
    }

    /// Returns the key of a job of this kind with this payload.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the chosen values cannot be stored, and for a rule that holds a
    /// key for less than 1 ms.
    pub fn key(&self, kind: &str, payload: &[u8]) -> Result<UniqueKey, Error> {
        let invalid = |text: &str| Err(Error::invalid(text.to_owned()));
        if self.hold < Duration::from_millis(1) {
            return invalid("a unique job holds its key for at least 1 ms");
        }
        if let Some((delay, most)) = self.debounce
            && (delay < Duration::from_millis(1) || most < delay)
        {
            return invalid("a debounced job waits at least 1 ms, and at most as long as set");
        }
        let chosen = match &self.by {
            None => payload,
            Some(Ok(values)) => values,
            Some(Err(error)) => {
                return invalid(&format!("the values of the unique key cannot be stored: {error}"));
            }
        };
        let kind = if self.across_kinds { "" } else { kind };
        let whole = u8::from(self.by.is_none());
        let text = [b"unique\n", kind.as_bytes(), &[b'\n', whole], chosen].concat();
        Ok(UniqueKey(digest(&text)))
    }
}

/// The fate of the unique job that holds the key of another one that is enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDuplicate {
    /// It stays as it is.
    #[default]
    Keep,
    /// If it waits, it gets the data of the other one.
    Replace,
    /// If it is in `due`, it gets the data and the due time of the other one, but is due at most this
    /// long after the first enqueue. Otherwise the other one is stored, and takes the key.
    Renew(Duration),
    /// If it is in `due` for its first attempt, it gets the data of the other one. Otherwise the other
    /// one waits behind it, until it has ended; one that waits behind already gets the data.
    Behind,
}

/// The key of a unique job: 12 bytes, made of its kind and its payload or the values that
/// [`Unique::by`] names. As text it is 24 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueKey([u8; 12]);

impl UniqueKey {
    /// Creates a key from its bytes.
    pub(crate) fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UniqueKey({self})")
    }
}

impl FromStr for UniqueKey {
    type Err = Error;

    /// Reads a key in its only form: 24 hexadecimal digits in lower case.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.as_bytes();
        let mut bytes = [0; 12];
        let pairs = digits.chunks_exact(2);
        let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() == 24 && digits.iter().all(is_hex) {
            let value = |digit: u8| if digit < b'a' { digit - b'0' } else { digit - b'a' + 10 };
            for (byte, pair) in bytes.iter_mut().zip(pairs) {
                *byte = value(pair[0]) << 4 | value(pair[1]);
            }
            return Ok(Self(bytes));
        }
        let shown: String = text.chars().take(60).collect();
        Err(Error::invalid(format!(
            "{shown:?} is no key of a unique job: write its 24 hexadecimal digits, in lower case"
        )))
    }
}

serialize_as_text! { UniqueKey }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_the_kind_and_on_what_was_chosen() {
        let rule = Unique::until_done;
        let key = |rule: Unique, kind: &str, payload: &[u8]| rule.key(kind, payload).unwrap();
        assert_eq!(key(rule(), "a", b"1"), key(rule(), "a", b"1"));
        assert_ne!(key(rule(), "a", b"1"), key(rule(), "a", b"2"));
        assert_ne!(key(rule(), "a", b"1"), key(rule(), "b", b"1"));
        let by = |text: &str| rule().by(&(text, 7));
        assert_eq!(key(by("x"), "a", b"1"), key(by("x"), "a", b"2"));
        assert_ne!(key(by("x"), "a", b"1"), key(by("y"), "a", b"1"));
        assert_ne!(key(by("x"), "a", b"1"), key(by("x"), "b", b"1"));
        let across = |kind| key(by("x").across_kinds(), kind, b"1");
        assert_eq!(across("a"), across("b"));
        // Chosen values are no payload.
        assert_ne!(key(rule().by(&7_u8), "a", b""), key(rule(), "a", b"\x07"));
    }

    #[test]
    fn the_key_is_frozen() {
        let key = Unique::until_done().key("report", b"\x81\xa1m\x05").unwrap();
        assert_eq!(key.to_string(), "a27f8c038ea6c5f72198a9ad");
        assert_eq!(key.to_string().parse::<UniqueKey>().unwrap(), key);
        for wrong in ["", "0", "0123456789abcdef0123456G", "0123456789ABCDEF01234567"] {
            assert!(wrong.parse::<UniqueKey>().is_err_and(|error| error.is_invalid()), "{wrong}");
        }
    }

    #[test]
    fn rules_that_hold_nothing_are_refused() {
        let ms = Duration::from_millis;
        for rule in [
            Unique::window(Duration::ZERO),
            Unique::until_done().hold_for(Duration::ZERO),
            Unique::debounce(Duration::ZERO),
            Unique::debounce(ms(2)).at_most(ms(1)),
        ] {
            assert!(rule.key("k", b"").is_err_and(|error| error.is_invalid()), "{rule:?}");
        }
        assert!(Unique::debounce(Duration::MAX).key("k", b"").is_ok());
    }

    #[test]
    fn the_number_of_a_mode_is_its_place() {
        for (number, mode) in (1..).zip(UniqueMode::ALL) {
            assert_eq!((mode.number(), UniqueMode::of_number(number)), (number, Some(mode)));
        }
        assert_eq!((UniqueMode::of_number(0), UniqueMode::of_number(6)), (None, None));
    }
}
