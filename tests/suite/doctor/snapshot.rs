//! A whole diagnosis, as a person reads it.

use redis::cmd;

use crate::harness::{Number, Space};

const EXPECTED: &str = "\
Valkey 9 at redis:6379, namespace shop: 1 queue, 1 partition looked at, 1 node
memory of the largest queues: q SOME

PROBLEM queue q [no_leader]: 1 node serves the queue, and none leads it
  why: due jobs, retries and ticks are not moved, and jobs of dead nodes not rescued
  do:  look at the logs of the nodes: the election fails. It takes a few seconds after a start
";

#[tokio::test]
async fn a_diagnosis_is_written_as_it_was() {
    let space = Space::new("d-snapshot");
    space.client.enqueue(Number(1)).await.unwrap();
    let kinds = r#","kinds":[{"queue":"q","name":"number","version":1}]"#;
    space.enter("n1", 0, 4, kinds).await;
    let mut group = cmd("XGROUP");
    group.arg("CREATE").arg(space.key("q", "ready:normal")).arg("workers").arg(0);
    space.redis::<()>(&mut group).await;
    let mut diagnosis = space.client.doctor().await.unwrap();
    // What depends on the server of this test.
    diagnosis.findings.retain(|found| found.subject != "server");
    (diagnosis.address, diagnosis.namespace) = ("redis:6379".into(), "shop".into());
    diagnosis.server = "Valkey 9".into();
    assert!(diagnosis.memory[0].bytes > 100, "{diagnosis}");
    let used = diagnosis.to_string();
    let used = used.lines().find_map(|line| line.split_once(": q ")).unwrap().1.to_owned();
    assert_eq!(diagnosis.to_string().replace(&format!("q {used}"), "q SOME"), EXPECTED);
    let mut lead = cmd("SET");
    lead.arg(space.key("q", "leader")).arg("1 n1").arg("PX").arg(60_000);
    space.redis::<()>(&mut lead).await;
    let sound = space.client.doctor().await.unwrap();
    let about = |found: &poolder::Finding| found.subject != "server";
    assert!(!sound.findings.iter().any(about), "{sound}");
}
