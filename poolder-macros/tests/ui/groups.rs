//! Fields that cannot be the group or the cost of a job.

use poolder_macros::Job;

#[derive(Job)]
#[job(group = "tenant", cost = 7 + 1)]
struct NoFields {
    tenant: String,
}

#[derive(Job)]
#[job(group = tenan, cost = 1)]
struct WrongFields {
    tenant: String,
}

#[derive(Job)]
#[job(group(tenant), cost)]
struct WrongForms {
    tenant: String,
}

#[derive(Job)]
#[job(group = user)]
enum OnTheEnum {
    #[job(cost = pages, cost = user)]
    First { user: u64 },
}

fn main() {}
