//! Checks that jobs which an earlier version of an application has stored can still be read.

use std::fmt::Debug;
use std::path::Path;
use std::{env, fs, io};

use poolder_core::{Envelope, Error, Format, Job, JobId};

/// The environment variable that allows files to be written.
const BLESS: &str = "POOLDER_BLESS";

/// Asserts that a committed file, which holds a job as Redis does, is read as this value.
///
/// The first run writes the file, with the environment variable `POOLDER_BLESS=1`. From then on the
/// file is never changed: it is a job that an earlier version of the application has stored, and
/// that a later one must still run. After a change of the job's type give its value as the file must
/// be read now; for the new shape commit another file. The path is relative to the package.
///
/// The value needs `PartialEq` and `Debug`.
///
/// # Panics
/// Panics when the file is missing, when its kind or version is one that a worker of this type would
/// leave alone, or when it cannot be read or is read as another value.
///
/// ```no_run
/// # use poolder_worker::assert_payload_compatible;
/// # use poolder_core::Job;
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Welcome { user: u64, #[serde(default)] locale: Option<String> }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
///
/// // Written before `locale` was added.
/// assert_payload_compatible!(Welcome { user: 7, locale: None }, "tests/payloads/welcome_v1.job");
/// ```
#[macro_export]
macro_rules! assert_payload_compatible {
    ($job:expr, $file:expr $(,)?) => {
        if let Err(text) = $crate::testing::check_payload(
            &$job,
            ::std::path::Path::new(::std::env!("CARGO_MANIFEST_DIR")),
            $file,
        ) {
            ::std::panic!("{text}");
        }
    };
}

/// Compares a stored job with the value as which it must be read; the error says what to do.
#[doc(hidden)]
pub fn check_payload<J: Job + PartialEq + Debug>(
    expected: &J,
    package: &Path,
    file: &str,
) -> Result<(), String> {
    let path = package.join(file);
    let stored = match fs::read(&path) {
        Ok(stored) => stored,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if env::var_os(BLESS).is_none_or(|value| value != "1") {
                return Err(format!(
                    "{file} does not exist: run the test once with {BLESS}=1, which writes it, and \
                     commit it"
                ));
            }
            return write(expected, &path).map_err(|error| format!("{file}: {error}"));
        }
        Err(error) => return Err(format!("{file}: {error}")),
    };
    let envelope = Envelope::parse(stored).map_err(|error| format!("{file}: {error}"))?;
    let raw = envelope.raw_job();
    if !J::KINDS.contains(&raw.kind) {
        return Err(format!(
            "{file} has a job of kind {}, and the type knows {} only: jobs that wait would find no \
             worker; keep the old kind until none is left",
            raw.kind,
            J::KINDS.join(", ")
        ));
    }
    if raw.version > J::VERSION {
        return Err(format!(
            "{file} has version {} of {}, and the type is of version {}: such a job would be left \
             to newer nodes",
            raw.version,
            raw.kind,
            J::VERSION
        ));
    }
    match J::decode(raw) {
        Ok(found) if found == *expected => Ok(()),
        Ok(found) => Err(format!(
            "{file} is read as another value\n    stored: {found:?}\n  expected: {expected:?}"
        )),
        Err(error) => Err(format!(
            "{file} can no longer be read: {error}\n  give a new field a default \
             (`#[serde(default)]`), keep the name of a renamed one (`#[serde(alias)]`), or raise \
             the version and read the old one in `Job::decode`"
        )),
    }
}

/// Writes a value as an enqueue stores it.
fn write<J: Job>(job: &J, path: &Path) -> Result<(), Error> {
    let encode = |out: &mut Vec<u8>| job.encode(out);
    let (id, policy) = (JobId::generate(), job.policy());
    let envelope =
        Envelope::build(id, job.kind(), J::VERSION, policy.as_ref(), Format::MessagePack, encode)?;
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = written.and_then(|()| fs::write(path, envelope.as_bytes()));
    written.map_err(|error| Error::invalid(format!("cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    macro_rules! job {
        ($name:ident, $kind:literal, $version:literal, { $($fields:tt)* }) => {
            #[derive(Serialize, Deserialize, PartialEq, Debug)]
            struct $name { $($fields)* }
            impl Job for $name {
                const KINDS: &'static [&'static str] = &[$kind];
                const VERSION: u16 = $version;
            }
        };
    }

    job!(Old, "welcome", 2, { user: u64 });
    job!(Wider, "welcome", 2, { user: u64, #[serde(default)] locale: Option<String> });
    job!(Stricter, "welcome", 2, { user: u64, locale: String });
    job!(Earlier, "welcome", 1, { user: u64 });
    job!(Renamed, "greeting", 2, { user: u64 });

    /// A folder with one file that [`Old`] has written. It is removed when the value is dropped.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = env::temp_dir().join(format!("poolder-payload-{}", JobId::generate()));
            write(&Old { user: 7 }, &folder.join("below/old.job")).unwrap();
            Self(folder)
        }

        fn check<J: Job + PartialEq + Debug>(&self, expected: &J) -> Result<(), String> {
            check_payload(expected, &self.0, "below/old.job")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_stored_job_is_read_as_the_value_or_the_text_says_why_not() {
        let folder = Folder::new();
        assert_eq!(folder.check(&Old { user: 7 }), Ok(()));
        assert_eq!(folder.check(&Wider { user: 7, locale: None }), Ok(()));
        let said = |result: Result<(), String>, words: &str| {
            let text = result.unwrap_err();
            assert!(text.contains(words), "{text}");
        };
        said(
            folder.check(&Old { user: 8 }),
            "stored: Old { user: 7 }\n  expected: Old { user: 8 }",
        );
        let stricter = Stricter { user: 7, locale: String::new() };
        said(folder.check(&stricter), "missing field `locale`");
        said(folder.check(&stricter), "#[serde(default)]");
        said(
            folder.check(&Earlier { user: 7 }),
            "version 2 of welcome, and the type is of version 1",
        );
        said(folder.check(&Renamed { user: 7 }), "kind welcome, and the type knows greeting only");
        said(check_payload(&Old { user: 7 }, &folder.0, "none.job"), "run the test once with");
    }
}
