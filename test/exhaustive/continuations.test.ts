/** Every wrong second leg, at every event, in every dialect, however it is proved: never a wrong text is told. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ChaosServer, createChaosServer } from "../../src/chaos/chaos-server.ts";
import { CONTINUATION_KINDS, CONTINUED_DIALECTS, flawsOf, hear, MIN_CHARS, PLACES } from "../support/continuations.ts";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";

let chaos: ChaosServer;
const settings = { recovery: "continue", timeouts: { firstToken: "60s", idle: "60s" } };
/** How a leg is asked for and proved. */
const WAYS: Readonly<Record<string, { readonly fields: object; readonly set: Record<string, unknown> }>> = {
  "by its last words": { fields: {}, set: { upstream: { continuation: "assistant" } } },
  "by few of its last words": { fields: {}, set: { resume: { tail: 8 }, upstream: { continuation: "assistant" } } },
  "by its last words, though it was sampled": {
    fields: { temperature: 0.8 },
    set: { resume: { proof: "answer" }, upstream: { continuation: "assistant" } },
  },
  "by a server that repeats what it is given": { fields: {}, set: { upstream: { continuation: "prefix" } } },
  "by the server": { fields: { temperature: 0.8 }, set: { upstream: { continuation: "assistant" } } },
  "by the server alone": { fields: {}, set: { resume: { proof: "server" }, upstream: { continuation: "assistant" } } },
  "by all of it": { fields: {}, set: { upstream: { continuation: "rerun" } } },
  "again and again": { fields: {}, set: { resume: { maxAttempts: 20 }, upstream: { continuation: "assistant" } } },
  "by its last words, and shown late": { fields: {}, set: { gate: { lag: "5ms" }, upstream: { continuation: "assistant" } } },
};
const running = new Map<string, TestPerennial>();

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 0, keepRequests: 10 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  for (const [way, { set }] of Object.entries(WAYS)) running.set(way, await startPerennial(url, { ...settings, ...set }));
});

afterAll(async () => {
  for (const perennial of running.values()) await perennial.close();
  await chaos.close();
});

describe.each(Object.entries(WAYS))("%s", (way, { fields }) => {
  describe.each(CONTINUED_DIALECTS)("$name", (fixture) => {
    test.each(CONTINUATION_KINDS)(
      "%s",
      async (kind) => {
        const perennial = running.get(way) as TestPerennial;
        const heard = await Promise.all(PLACES.map((place) => hear(perennial, fixture, `truncate:${place},ok,${kind}`, fields)));
        for (const [place, one] of heard.entries()) {
          expect(flawsOf(one), `${kind}, broken at ${place}`).toEqual([]);
          // What breaks before its first word is asked again, as ever.
          const goesOn =
            kind === "continue-right" &&
            one.text.length >= MIN_CHARS &&
            !["by a server that repeats what it is given"].includes(way);
          if (goesOn) expect(one.whole, `broken at ${place}: ${one.message}`).toBe(true);
        }
      },
      120_000,
    );
  });
});
