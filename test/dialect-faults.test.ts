/** Every fault of the library, asked for in every dialect the sandbox speaks: a whole answer or a typed error, never anything between. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER } from "../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../src/chaos/chaos-server.ts";
import { FAULTS } from "../src/chaos/registry.ts";
import { send } from "./support/client.ts";
import { FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";

let chaos: ChaosServer;
let perennial: TestPerennial;

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 0, commentMs: 20 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  perennial = await startPerennial(url, {
    timeouts: { firstToken: "1500ms", idle: "1500ms", alive: "5s", total: "20s" },
    retry: { maxAttempts: 2, maxRetryAfter: "0" },
    limits: { maxEventBytes: "1MiB" },
  });
});

afterAll(async () => {
  await perennial.close();
  await chaos.close();
});

/** Where the fault's usual argument would only make the test slow. */
const QUICK: Record<string, string> = {
  slow: "slow:1",
  long: "long:30",
  flood: "flood:100000",
  "big-event": "big-event:2000000",
};
/** Whole, and not the usual text. */
const OTHER_TEXT = new Set(["long", "flood", "whole-empty", "filtered", "two-choices", "tools", "reasoning"]);
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
  "azure",
  "json",
]);

const dialects = FIXTURES.filter(({ path }) => path.startsWith("/v1/"));

describe.concurrent.each(dialects)("$name", (fixture) => {
  test.each(FAULTS.map(({ name }) => name))("%s", async (fault) => {
    const seen = await send(perennial.url + fixture.path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-chaos": QUICK[fault] ?? fault },
      body: JSON.stringify({ model: "m", stream: true, ...fixture.request }),
    });
    // The last event of a response holds all of it, and cannot be supplied.
    const mustArrive = WHOLE.has(fault) && !(fault === "no-done" && fixture.name === "openai-responses");
    expect(seen.end).toBe("clean");
    if (seen.status >= 400) {
      expect(mustArrive).toBe(false);
      // What the upstream refuses in its own words is passed on; the rest is ours, and typed.
      if (!/^(4|5)\d\d|no-retry|retry-400/.test(fault)) expect(JSON.parse(seen.body).error.code).toEqual(expect.any(String));
      return;
    }
    const stream = readDialectStream(fixture, seen.body);
    if (stream.errorCode !== undefined) {
      expect(mustArrive).toBe(false);
      expect(stream.whole).toBe(false);
      if (!OTHER_TEXT.has(fault)) expect(ANSWER.startsWith(stream.text)).toBe(true);
      return;
    }
    expect(stream.whole).toBe(true);
    if (!OTHER_TEXT.has(fault)) expect(stream.text).toBe(ANSWER);
  });
});
