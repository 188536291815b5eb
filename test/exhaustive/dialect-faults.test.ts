/** Every fault of the library, asked for in every dialect the sandbox speaks: a whole answer or a typed error, never anything between. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER } from "../../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../../src/chaos/chaos-server.ts";
import { FAULTS } from "../../src/chaos/registry.ts";
import { send } from "../support/client.ts";
import { FIXTURES, readDialectStream } from "../support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";

let chaos: ChaosServer;
/** With time for what is slow only because the machine is busy. */
let patient: TestPerennial;
/** For what stalls, and must be waited for until the time is up. */
let impatient: TestPerennial;

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 0, commentMs: 20 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  const settings = { retry: { maxAttempts: 2, maxRetryAfter: "0" }, limits: { maxEventBytes: "1MiB" } };
  patient = await startPerennial(url, { ...settings, timeouts: { firstToken: "10s", idle: "10s", alive: "12s", total: "20s" } });
  impatient = await startPerennial(url, { ...settings, timeouts: { firstToken: "1s", idle: "1s", alive: "5s", total: "20s" } });
});

afterAll(async () => {
  await Promise.all([patient.close(), impatient.close()]);
  await chaos.close();
});

/** Where the fault's usual argument would only make the test slow. */
const QUICK: Record<string, string> = {
  slow: "slow:1",
  long: "long:30",
  flood: "flood:100000",
  "big-event": "big-event:2000000",
  metas: "metas:100000",
  "many-choices": "many-choices:1500",
};
/** Whole, and not the usual text. */
const OTHER_TEXT = new Set(["long", "flood", "whole-empty", "filtered", "two-choices", "tools", "reasoning", "many-choices"]);
/** Whole answers in unusual clothes: these must arrive. */
const WHOLE = new Set([
  "ok",
  "slow",
  "drip",
  "continue-first",
  "hold-open",
  "no-done",
  "crlf",
  "cr",
  "bom",
  "comments",
  "null-events",
  "azure",
  "json",
]);

const partOfAnswer = expect.toSatisfy((text) => ANSWER.startsWith(text), "a part of the usual text");

/** What a client may be told of each fault: never anything beside one of these. */
const rows = FAULTS.map(({ name }) => ({
  fault: name,
  mustArrive: WHOLE.has(name),
  whole: { whole: true, errorCode: undefined, text: OTHER_TEXT.has(name) ? expect.any(String) : ANSWER },
  interrupted: {
    whole: false,
    errorCode: expect.any(String),
    text: OTHER_TEXT.has(name) ? expect.any(String) : partOfAnswer,
  },
  // What the upstream refuses in its own words is passed on; the rest is ours, and typed.
  refusal: /^(4|5)\d\d|no-retry|retry-400/.test(name)
    ? expect.any(String)
    : expect.toSatisfy((body) => typeof JSON.parse(body).error.code === "string", "a typed error"),
}));

const dialects = FIXTURES.filter(({ path }) => path.startsWith("/v1/"));

describe.concurrent.each(dialects)("$name", (fixture) => {
  test.each(rows)("$fault", async ({ fault, whole, interrupted, refusal, mustArrive }) => {
    const seen = await send((fault.startsWith("stall") ? impatient : patient).url + fixture.path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-chaos": QUICK[fault] ?? fault },
      body: JSON.stringify({ model: "m", stream: true, ...fixture.request }),
    });
    expect(seen.end).toBe("clean");
    const stream = seen.status < 400 ? readDialectStream(fixture, seen.body) : undefined;
    const told = stream === undefined ? "refused" : stream.errorCode === undefined ? "whole" : "interrupted";
    // The last event of a response holds all of it, and cannot be supplied.
    const isHopeless = fault === "no-done" && fixture.name === "openai-responses";
    expect(mustArrive && !isHopeless ? ["whole"] : ["whole", "interrupted", "refused"]).toContain(told);
    expect(stream ?? seen.body).toEqual({ whole, interrupted, refused: refusal }[told]);
  });
});
