// BullMQ on Node, told what to do as the other contenders are: see bench/protocol/src/lib.rs.
import { Queue, Worker } from "bullmq";
import { createInterface } from "node:readline";

const order = JSON.parse(process.argv.at(-1));
const address = new URL(order.url);
const connection = {
  host: address.hostname,
  port: Number(address.port),
  maxRetriesPerRequest: null,
};
const options = { removeOnComplete: true, removeOnFail: true };
const queue = new Queue("bench", { connection });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const data = "Poolder carries a job ".repeat(4000).slice(0, Math.max(order.payload - 24, 1));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let count = 0;
let first;
let reached;
const all = new Promise((resolve) => (reached = resolve));
const start = () => (first ??= performance.now());
function hit(jobs = 1) {
  start();
  count += jobs;
  if (count >= order.jobs) reached(performance.now());
}

async function ready() {
  console.log("ready");
  if ((await lines.next()).value !== "go") process.exit(1);
}

async function done(report) {
  console.log(`done ${JSON.stringify(report)}`);
  await lines.next();
  process.exit(0);
}

async function counted(latency) {
  const last = await all;
  await done({ jobs: order.jobs, seconds: (last - first) / 1000, latency });
}

function percentiles(times) {
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: times.at(-1) };
}

async function work(handler) {
  const worker = new Worker("bench", async (job) => handler(job.data), {
    connection,
    concurrency: order.concurrency,
  });
  worker.on("error", (error) => console.error(error));
  await worker.waitUntilReady();
}

async function oneByOne(done) {
  start();
  const caller = async (_, at) => {
    for (let n = at; n < order.jobs; n += order.concurrency) {
      await queue.add("job", { n, data }, options);
      done();
    }
  };
  await Promise.all(Array.from({ length: order.concurrency }, caller));
}

async function bulk(done) {
  start();
  for (let sent = 0; sent < order.jobs; sent += 1000) {
    const size = Math.min(1000, order.jobs - sent);
    const job = (_, at) => ({ name: "job", data: { n: sent + at, data }, opts: options });
    await queue.addBulk(Array.from({ length: size }, job));
    done(size);
  }
}

await queue.waitUntilReady();
switch (order.work) {
  case "enqueue":
    await ready();
    await oneByOne(hit);
    await counted();
    break;
  case "bulk":
  case "store-ready":
    await ready();
    await bulk(hit);
    await counted();
    break;
  case "drain":
    await bulk(() => {});
    first = undefined;
    await ready();
    await work(() => hit());
    await counted();
    break;
  case "both":
    await work(() => hit());
    await sleep(500);
    await ready();
    await oneByOne(() => {});
    await counted();
    break;
  case "pickup": {
    const sent = [];
    const times = [];
    await work(({ n }) => {
      times.push(performance.now() - sent[n]);
      hit();
    });
    await sleep(500);
    await ready();
    for (let n = 0; n < order.jobs; n += 1) {
      sent[n] = performance.now();
      await queue.add("job", { n, data }, options);
      await sleep(20);
    }
    await all;
    await counted(percentiles(times));
    break;
  }
  case "delayed": {
    const times = [];
    await work(({ n }) => {
      times.push(Math.max(0, Date.now() - n));
      hit();
    });
    await sleep(500);
    await ready();
    for (let n = 0; n < order.jobs; n += 1) {
      const delay = order.delay_ms;
      await queue.add("job", { n: Date.now() + delay, data }, { ...options, delay });
    }
    await all;
    await counted(percentiles(times));
    break;
  }
  case "idle":
    await work(() => hit());
    await sleep(2000);
    await ready();
    await sleep(order.seconds * 1000);
    await done({ jobs: 0, seconds: order.seconds });
    break;
  default:
    console.log("not-run not compared");
    process.exit(0);
}
