// GroupMQ on Node, told what to do as the other contenders are: see bench/protocol/src/lib.rs.
import { Queue, Worker } from "groupmq";
import { Redis } from "ioredis";
import { createInterface } from "node:readline";

const order = JSON.parse(process.argv.at(-1));
const redis = new Redis(order.url, { maxRetriesPerRequest: null });
const queue = new Queue({ redis, namespace: "bench" });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const data = "Poolder carries a job ".repeat(4000).slice(0, Math.max(order.payload - 24, 1));

let count = 0;
let first;
let reached;
const all = new Promise((resolve) => (reached = resolve));
function hit() {
  first ??= performance.now();
  count += 1;
  if (count >= order.jobs) reached(performance.now());
}

async function ready() {
  console.log("ready");
  if ((await lines.next()).value !== "go") process.exit(1);
}

async function counted() {
  const last = await all;
  const report = { jobs: order.jobs, seconds: (last - first) / 1000 };
  console.log(`done ${JSON.stringify(report)}`);
  await lines.next();
  process.exit(0);
}

async function add(jobs, callers, done) {
  const caller = async (_, at) => {
    for (let n = at; n < jobs; n += callers) {
      await queue.add({ groupId: `group-${n % order.groups}`, data: { n, data } });
      done();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

switch (order.work) {
  case "enqueue-groups":
    await ready();
    first = performance.now();
    await add(order.jobs, order.concurrency, hit);
    await counted();
    break;
  case "drain-groups": {
    await add(order.backlog, 64, () => {});
    await ready();
    const handler = async () => hit();
    const worker = new Worker({ queue, handler, concurrency: order.concurrency });
    worker.on("error", (error) => console.error(error));
    worker.run();
    await counted();
    break;
  }
  default:
    console.log("not-run not compared");
    process.exit(0);
}
