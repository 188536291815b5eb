/** What a request held is gone with it: a collection of the young takes it, and clients never wait for it to be moved. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect } from "vitest";
import { chat } from "./support/client.ts";
import { chatEvents, frame } from "./support/raw-upstream.ts";
import { test } from "./support/test.ts";

setFlagsFromString("--expose-gc");
const collect: (options?: { type: "minor" }) => void = runInNewContext("gc");

const AT_ONCE = 20;
const ROUNDS = 10;

test("of requests that are over nothing outlives a collection of the young", async ({ serve }) => {
  const { perennial } = await serve(Array(AT_ONCE * (ROUNDS + 2)).fill(frame("chunked", chatEvents(["Hello"]))));
  const crowd = async (): Promise<void> =>
    void (await Promise.all(Array.from({ length: AT_ONCE }, () => chat(perennial.baseUrl))));
  await crowd();
  await crowd();
  // What is still there is old from now on: whatever leads from one request to the next has begun to do so.
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) await crowd();
  collect({ type: "minor" });
  collect({ type: "minor" });
  const kept = (process.memoryUsage().heapUsed - before) / (AT_ONCE * ROUNDS);
  // In bytes: what this test keeps of each itself is more than half of it; all of a request would be as much again, and more.
  expect(kept).toBeLessThan(30_000);
});
