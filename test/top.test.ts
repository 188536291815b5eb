/** `perennial top` shows in a terminal what the dashboard shows. */
import { expect } from "vitest";
import { runTop, type TopOptions } from "../src/cli/run-top.ts";
import { chat } from "./support/client.ts";
import { WHOLE } from "./support/events.ts";
import { NOBODY, sendFramed } from "./support/raw-upstream.ts";
import { test } from "./support/test.ts";

async function top(options: Omit<TopOptions, "once">) {
  const [text, told]: string[][] = [[], []];
  const context = {
    write: (each: string) => text?.push(each),
    tell: (each: string) => told?.push(each),
    size: () => ({ rows: 24, columns: 100 }),
    isTerminal: false,
  };
  const code = await runTop({ ...options, once: true }, context);
  return { code, text: text?.join("") ?? "", told: told?.join("") };
}

test("shows what was asked, what was saved, and whose fault it was", async ({ startPerennial }) => {
  const perennial = await startPerennial(undefined);
  await chat(perennial.baseUrl, { model: "chaos/empty,ok" });
  await chat(perennial.baseUrl, { model: "chaos/eof" });
  await perennial.exchangeLog(2);
  const { code, text } = await top({ url: perennial.url });
  expect(code).toBe(0);
  expect(text).toContain("today 2: 1 recovered, 0 resumed, 0 repaired; 1 interrupted, 0 failed");
  expect(text).toMatch(/↻ recovered .*2 att\. .*chaos\/empty,ok/);
  expect(text).toMatch(/▲ interrupted .*stream_truncated/);
  expect(text).toContain("1 × empty_stream at sandbox: the upstream's fault");
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
});

test("shows what of an upstream is out, why, and until when", async ({ startPerennial }) => {
  const perennial = await startPerennial(`${NOBODY}/v1`, {
    retry: { outage: "50ms", backoff: { initial: "1ms", jitter: false } },
  });
  await chat(perennial.baseUrl);
  const { text } = await top({ url: perennial.url });
  expect(text).toMatch(/^out: main: upstream_unreachable, for \d+\.\d s; asked .*; 0 wait$/m);
});

test("shows what is used of rate limits, and who waits", async ({ serve }) => {
  const { perennial } = await serve((socket) => sendFramed(socket, "chunked", WHOLE), {
    upstream: { rate: { requests: "200/m", models: { m: { concurrent: 3 } } } },
    auth: { keys: [{ key: "k", name: "app", rate: { requests: "9/h" } }] },
  });
  await chat(perennial.baseUrl, {}, { headers: { authorization: "Bearer k" } });
  const { text } = await top({ url: perennial.url, key: "k" });
  expect(text).toMatch(/^rate: main: 1 of 200\/m requests; 0 of 3 concurrent for m; 0 wait$/m);
  expect(text).toMatch(/^rate: key app: 1 of 9\/h requests; 0 wait$/m);
});

test("shows a client's odd model name harmlessly", async ({ startPerennial }) => {
  const perennial = await startPerennial(undefined);
  await chat(perennial.baseUrl, { model: "\u001b[2Jx\n" });
  await perennial.exchangeLog();
  const { text } = await top({ url: perennial.url });
  expect(text).not.toContain("\u001b");
});

test("says what is missing: a key, a dashboard, Perennial itself", async ({ startPerennial, startUpstream }) => {
  const locked = await startPerennial(undefined, { auth: { keys: ["k"] } });
  expect(await top({ url: locked.url })).toMatchObject({ code: 1, told: expect.stringContaining("wants a key") });
  expect((await top({ url: locked.url, key: "k" })).code).toBe(0);
  const without = await startPerennial(undefined, { dashboard: false });
  expect(await top({ url: without.url })).toMatchObject({ code: 1, told: expect.stringContaining("dashboard") });
  const gone = await startUpstream(() => {});
  await gone.close();
  expect(await top({ url: gone.baseUrl.replace("/v1", "") })).toMatchObject({
    code: 1,
    told: expect.stringContaining("nothing listens"),
  });
});
