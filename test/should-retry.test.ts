/** `x-should-retry`: what an upstream says by it, and what its client is told. */
import { describe, expect } from "vitest";
import { chat, send } from "./support/client.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { test } from "./support/test.ts";

describe("x-should-retry", () => {
  const fails = (status: string, theirs?: string): string =>
    jsonReply('{"error":{"message":"no"}}', status, theirs === undefined ? "" : `x-should-retry: ${theirs}\r\n`);

  test.for([
    // status, theirs, attempts, what the client is told
    ["500 No", undefined, 3, "false"],
    ["500 No", "true", 3, "false"],
    ["500 No", "false", 1, "false"],
    ["500 No", "maybe", 3, "false"],
    ["400 Bad", undefined, 1, undefined],
    ["400 Bad", "false", 1, "false"],
    ["400 Bad", "true", 3, "false"],
    ["401 Who", undefined, 1, undefined],
    ["401 Who", "true", 3, "false"],
    ["429 Slow", undefined, 3, "false"],
    ["429 Slow", "false", 1, "false"],
    // What cost nothing leaves the client its own round.
    ["503 Busy", undefined, undefined, undefined],
    ["503 Busy", "true", undefined, "true"],
    ["503 Busy", "false", 1, "false"],
    ["529 Busy", "true", undefined, "true"],
  ] as const)(
    "%s with theirs %s: %s attempts, and the client is told %s",
    async ([status, theirs, attempts, told], { serve }) => {
      const retry = { maxAttempts: 3, outage: "60ms", backoff: { initial: "5ms", jitter: false } };
      const { perennial, upstream } = await serve([fails(status, theirs)], { retry });
      for (const stream of [true, false]) {
        const before = upstream.requests.length;
        const seen = await chat(perennial.baseUrl, { stream });
        expect(seen.status).toBe(Number(status.slice(0, 3)));
        if (attempts !== undefined) expect(upstream.requests.length - before).toBe(attempts);
        expect(seen.headers["x-should-retry"]).toBe(told);
      }
    },
  );

  test("of theirs passes on a whole answer, and on what is passed through", async ({ serve }) => {
    const { perennial } = await serve([jsonReply("{}", "500 No", "x-should-retry: true\r\n")]);
    const seen = await send(`${perennial.baseUrl}/files`, { method: "POST", body: "{}" });
    expect([seen.status, seen.headers["x-should-retry"]]).toEqual([500, "true"]);
  });
});
