//! Runs the server in a container, where a Docker engine answers.

use std::process::Command;
use std::time::Duration;

use super::{Install, consent, say};
use crate::launch::Launch;
use crate::process::run;

pub(super) const ENTRY: &str = "docker";

const IMAGE: &str =
    "valkey/valkey:8@sha256:81db6d39e1bba3b3ff32bd3a1b19a6d69690f94a3954ec131277b9a26b95b3aa";

pub(super) fn pull(install: Install) -> Result<Launch, String> {
    let engine = ["info", "--format", "{{.ServerVersion}}"];
    run(Command::new("docker").args(engine), Duration::from_secs(20))?;
    let have =
        run(Command::new("docker").args(["image", "inspect", IMAGE]), Duration::from_secs(20));
    if have.is_err() {
        consent::given(install, &format!("docker pull {IMAGE}"))?;
        say(&format!("docker pull {IMAGE}"));
        let minutes = Duration::from_secs(600);
        run(Command::new("docker").args(["pull", "--quiet", IMAGE]), minutes)?;
    }
    Ok(Launch::Docker(IMAGE.to_owned()))
}
