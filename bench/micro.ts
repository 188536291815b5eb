/**
 * What an event and a request cost without sockets: bytes of a read in, the client's bytes out, in CPU time of the process.
 *   node bench/micro.ts [--rounds 21] [--events 50000] [--json FILE]
 */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { chatReads, chatRequest } from "./micro/chat-stream.ts";
import { type OpenStream, openStream, routeRequest } from "./micro/path.ts";
import { cpuNanoseconds, type Spread, spreadOf } from "./micro/spread.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "21" },
    events: { type: "string", default: "50000" },
    json: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const events = Number(values.events);
/** The compilers take several rounds until their code stands. */
const WARM_UP_ROUNDS = 6;
/** As long as an answer is. */
const EVENTS_PER_STREAM = 500;
const REQUESTS = 2_000;

const PATH = "/v1/chat/completions";
const HEADERS = { "content-type": "application/json", accept: "text/event-stream", "user-agent": "OpenAI/JS 7.55.0" };
const BODY = chatRequest();

/** One round. @returns nanoseconds for each thing done */
type Round = () => Promise<number>;

function eventRound(eventsPerRead: number): Round {
  const { first, reads, last } = chatReads(EVENTS_PER_STREAM, eventsPerRead);
  const sent = reads.reduce((sum, read) => sum + read.length, 0);
  return async () => {
    const streams: OpenStream[] = [];
    for (let i = 0; i < events / EVENTS_PER_STREAM; i++) {
      const stream = await openStream(PATH, HEADERS, BODY);
      stream.read(first);
      streams.push(stream);
    }
    // A read of every stream in turn, as a proxy sees them.
    const before = cpuNanoseconds();
    for (const read of reads) {
      for (const stream of streams) stream.read(read);
      // What one read brought is written behind it.
      await null;
    }
    const used = cpuNanoseconds() - before;
    for (const stream of streams) {
      stream.read(last);
      const { outcome, bytes } = await stream.end();
      // A path that dropped what it was given would be fast.
      if (outcome !== "complete" || bytes < sent) throw new Error(`the stream ended ${outcome} with ${bytes} bytes`);
    }
    return used / (streams.length * EVENTS_PER_STREAM);
  };
}

async function routeRound(): Promise<number> {
  const before = cpuNanoseconds();
  for (let i = 0; i < REQUESTS; i++) routeRequest(PATH, HEADERS, BODY);
  return (cpuNanoseconds() - before) / REQUESTS;
}

async function parseRound(): Promise<number> {
  const before = cpuNanoseconds();
  for (let i = 0; i < REQUESTS; i++) JSON.parse(BODY.toString("utf8"));
  return (cpuNanoseconds() - before) / REQUESTS;
}

async function parseEventRound(): Promise<number> {
  const data = chatReads(EVENTS_PER_STREAM, 1).reads.map((read) => read.toString("utf8").slice("data: ".length));
  const before = cpuNanoseconds();
  for (let done = 0; done < events; done += data.length) for (const json of data) JSON.parse(json);
  return (cpuNanoseconds() - before) / events;
}

async function exchangeRound(): Promise<number> {
  const { first, reads, last } = chatReads(1, 1);
  const whole = Buffer.concat([first, ...reads, last]);
  const before = cpuNanoseconds();
  for (let i = 0; i < REQUESTS; i++) {
    const stream = await openStream(PATH, HEADERS, BODY);
    stream.read(whole);
    await stream.end();
  }
  return (cpuNanoseconds() - before) / REQUESTS;
}

const MEASURED: readonly (readonly [string, Round])[] = [
  ["event: one JSON.parse of it", parseEventRound],
  ["event, 1 a read", eventRound(1)],
  ["event, 8 a read", eventRound(8)],
  [`request: parse and route (${(BODY.length / 1024).toFixed(1)} KiB)`, routeRound],
  ["request: one JSON.parse of the same bytes", parseRound],
  ["request: a whole exchange of one word, in memory", exchangeRound],
];

const results = new Map<string, number[]>(MEASURED.map(([name]) => [name, []]));
for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
  // In turn, so that a noisy minute does not fall on one row alone.
  for (const [name, measure] of MEASURED) {
    const nanoseconds = await measure();
    if (round >= 0) results.get(name)?.push(nanoseconds);
  }
}

const rows = [...results].map(([name, each]) => ({ name, ...spreadOf(each) }));
console.log(`Node ${process.versions.node}, ${rounds} rounds, load ${loadavg()[0]?.toFixed(1)}`);
console.log("\n| | median | spread | best |\n|---|---|---|---|");
for (const row of rows) console.log(`| ${row.name} | ${show(row)} |`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);

function show({ median, spread, best }: Spread): string {
  return `${median.toFixed(0)} ns | ± ${(spread * 100).toFixed(1)} % | ${best.toFixed(0)} ns`;
}
