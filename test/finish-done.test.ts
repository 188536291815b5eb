/** Servers that never say a finish (`finish: done`), and oddities of whole answers, which the log tells. */
import { describe, expect } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { ask, chat, readStream } from "./support/client.ts";
import { choice, DONE, line, STARTED } from "./support/events.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { atOnce } from "./support/replies.ts";
import { type Reply, test } from "./support/test.ts";

const done = { upstream: { finish: "done" } };

describe("with finish: done", () => {
  test("[DONE] makes an answer whole that never says a finish", async ({ serve }) => {
    const { perennial, upstream } = await serve([[...STARTED, DONE]], done);
    const seen = readStream((await chat(perennial.baseUrl)).body);
    expect(seen).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined, finish: null });
    expect(upstream.requests).toHaveLength(1);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  });

  test("an end without [DONE] is cut, as ever", async ({ serve }) => {
    const { perennial } = await serve([[...STARTED]], done);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_truncated", done: false });
  });

  test("[DONE] alone is an empty stream, as ever", async ({ serve }) => {
    const { perennial } = await serve([[DONE]], done);
    expect((await chat(perennial.baseUrl)).status).toBe(502);
  });

  test("[DONE] behind an error is none", async ({ serve }) => {
    const { perennial } = await serve([[...STARTED, line({ error: { message: "boom" } }), DONE]], done);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "upstream_error_event", done: false });
  });

  test("a stream that was asked for in place of an answer is joined", async ({ serve }) => {
    const { perennial } = await serve([[...STARTED, DONE]], { ...done, nonStreaming: "viaStream" });
    const seen = await chat(perennial.baseUrl, { stream: false });
    expect(seen.status).toBe(200);
    expect(JSON.parse(seen.body).choices[0].message.content).toBe("Hello, world");
  });

  test("completions end so too", async ({ serve }) => {
    const { perennial } = await serve([[line({ choices: [{ index: 0, text: "Hello" }] }), DONE]], done);
    expect((await ask(perennial, "/v1/completions", { prompt: "x" })).body).toContain("[DONE]");
  });

  test("requireDone beside it is refused", () => {
    const both = configSchema.safeParse({ upstreams: [{ baseUrl: "http://a/v1", finish: "done", requireDone: true }] });
    expect(both.error?.issues[0]).toMatchObject({ path: ["upstreams", 0, "finish"] });
  });
});

test("without it the same stream is cut, and its message names the setting", async ({ serve }) => {
  const { perennial } = await serve([[...STARTED, DONE]]);
  expect((await chat(perennial.baseUrl)).body).toContain("`finish: done`");
});

describe("the log warns once a minute of what was odd about a whole answer:", () => {
  const streamed = atOnce([...STARTED, choice({}, "elapsed"), DONE]);
  const message = { role: "assistant", content: "Hi" };
  const rows: [what: string, reply: Reply, fields: object, says: string][] = [
    ["an unknown finish of a stream", streamed, {}, 'finish_reason "elapsed"'],
    [
      "an unknown finish of an answer",
      jsonReply(JSON.stringify({ choices: [{ index: 0, message, finish_reason: "elapsed" }] })),
      { stream: false },
      'finish_reason "elapsed"',
    ],
    [
      "an error behind the end",
      atOnce([...STARTED, choice({}, "stop"), line({ error: { message: "S3CRET" } })]),
      {},
      "behind the end of the answer",
    ],
  ];
  test.for(rows)("%s", async ([_what, reply, fields, says], { serve }) => {
    const { perennial } = await serve([reply]);
    await chat(perennial.baseUrl, fields);
    await chat(perennial.baseUrl, fields);
    await perennial.exchangeLog(2);
    const lines = perennial.log.filter((line) => "outcome" in line);
    expect(lines.map(({ level, warning }) => [level, warning])).toEqual([
      [40, expect.stringContaining(says)],
      [30, expect.stringContaining(says)],
    ]);
    expect(JSON.stringify(perennial.log)).not.toContain("S3CRET");
  });
});
