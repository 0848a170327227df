//! The name of this machine.

/// Returns the name of the machine as far as it is fit for a key, of at most so many characters;
/// empty where the system does not tell.
#[must_use]
pub fn host(most: usize) -> String {
    let host =
        std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let legal = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
    host.unwrap_or_default().trim().chars().filter(legal).take(most).collect()
}
