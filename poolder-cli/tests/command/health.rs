//! The commands `poolder status` and `poolder doctor`.

use serde_json::Value;

use crate::program::{Number, Program};

#[tokio::test]
async fn a_queue_that_no_node_serves_needs_a_person() {
    let program = Program::new("cli-health");
    program.client().enqueue(Number(1)).await.unwrap();
    let status = program.run(&["status"]);
    assert_eq!(status.code, Some(6), "{}", status.out);
    assert!(
        status.out.contains("\nQUEUE  READY") && status.out.contains("PROBLEM"),
        "{}",
        status.out
    );
    let codes = program.run(&["status", "-o", "ids"]).out;
    let doctor = program.run(&["doctor", "--json"]);
    assert_eq!(doctor.code, Some(6), "{}", doctor.out);
    let found: Value = serde_json::from_str(&doctor.out).unwrap();
    let found: Vec<&str> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect();
    let first = codes.lines().next().unwrap();
    assert!(found.contains(&first), "{first}: {found:?}");
    assert!(program.run(&["doctor"]).out.contains("  do:  "));
}

#[test]
fn the_doctor_reports_a_server_that_is_away_and_status_fails() {
    let nowhere = Program::on("redis://:s3cret@127.0.0.1:1", "n");
    let doctor = nowhere.run(&["doctor"]);
    assert_eq!(doctor.code, Some(6), "{}{}", doctor.out, doctor.err);
    assert!(doctor.out.contains("PROBLEM") && !doctor.out.contains("s3cret"), "{}", doctor.out);
    nowhere.fails(4, &["status"]);
}
