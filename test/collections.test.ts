/** What a request held is gone with it: a collection of the young takes it, and clients never wait for it to be moved. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { PROGRAM_ENV, PROGRAM_LIMIT_MS } from "./support/program-env.ts";

// In a process of its own: this one is shared with other files, whose heap and compilers have their own ways.
const program = fileURLToPath(new URL("support/kept-of-requests.ts", import.meta.url));

test("of requests that are over nothing outlives a collection of the young", async () => {
  const options = { env: PROGRAM_ENV, timeout: PROGRAM_LIMIT_MS };
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program], options);
  // What the test keeps of each itself is more than half of it; all of a request would be as much again, and more.
  expect(Number(stdout)).toBeGreaterThan(0);
  expect(Number(stdout), "bytes").toBeLessThan(30_000);
});
