//! Types that cannot be jobs.

use poolder_macros::Job;
use serde::{Deserialize, Serialize};

#[derive(Job)]
union Union {
    a: u32,
    b: f32,
}

#[derive(Job)]
enum Empty {}

#[derive(Job)]
struct Borrows<'a> {
    name: &'a str,
}

#[derive(Serialize, Deserialize, Job)]
#[serde(tag = "type", content = "value")]
enum Tagged {
    A,
}

#[derive(Serialize, Deserialize, Job)]
#[serde(rename_all = "kebab-case", untagged)]
enum Untagged {
    A,
}

#[derive(Serialize, Deserialize, Job, Clone)]
#[serde(into = "Renamed")]
#[serde(from = "Renamed")]
enum Converted {
    A,
}

#[derive(Serialize, Deserialize, Job)]
#[serde(try_from = "Renamed")]
enum Tried {
    A,
}

#[derive(Serialize, Deserialize)]
struct Renamed;

impl From<Renamed> for Converted {
    fn from(_: Renamed) -> Self {
        Self::A
    }
}

impl From<Converted> for Renamed {
    fn from(_: Converted) -> Self {
        Self
    }
}

impl From<Renamed> for Tried {
    fn from(_: Renamed) -> Self {
        Self::A
    }
}

#[derive(Serialize, Deserialize, Job)]
enum Skipping {
    #[serde(skip)]
    A,
    #[serde(rename = "b", skip_deserializing)]
    B,
    #[serde(skip_serializing)]
    C,
    #[serde(untagged)]
    D,
}

fn main() {}
