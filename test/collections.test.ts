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
const TRIES = 5;
/** In bytes: what this test keeps of each itself is more than half of it; all of a request would be as much again, and more. */
const MOST = 30_000;

test("of requests that are over nothing outlives a collection of the young", async ({ serve }) => {
  const { perennial } = await serve(Array(AT_ONCE * (2 + ROUNDS * TRIES)).fill(frame("chunked", chatEvents(["Hello"]))));
  const crowd = async (): Promise<void> =>
    void (await Promise.all(Array.from({ length: AT_ONCE }, () => chat(perennial.baseUrl))));
  const keptOfEach = async (): Promise<number> => {
    // What is still there is old from now on: whatever leads from one request to the next has begun to do so.
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < ROUNDS; round++) await crowd();
    collect({ type: "minor" });
    collect({ type: "minor" });
    return (process.memoryUsage().heapUsed - before) / (AT_ONCE * ROUNDS);
  };
  await crowd();
  await crowd();
  let least = Number.POSITIVE_INFINITY;
  // What other files of this process have left to be done, and compilers, may add to one of them, but not to all.
  for (let tries = 0; tries < TRIES && least >= MOST; tries++) least = Math.min(least, await keptOfEach());
  expect(least).toBeLessThan(MOST);
});
