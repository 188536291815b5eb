/** Anthropic messages: what their clients would notice, from the odd ends of imitating servers to every kind of block. */
import { afterEach, describe, expect, test } from "vitest";
import { type Seen, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { jsonReply, type RawUpstream, SSE_HEAD, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

/** A string is a JSON answer; an array is a stream, in which a number is a silence of so many milliseconds. */
type Reply = object | readonly (string | number)[];

/** Answers the requests in order, the last reply again and again. */
async function serve(replies: readonly Reply[], settings: Record<string, unknown> = {}): Promise<void> {
  upstream = await startRawUpstream(async (socket, { number }) => {
    const reply = replies[Math.min(number, replies.length) - 1] as Reply;
    if (!Array.isArray(reply)) {
      socket.write(jsonReply(JSON.stringify(reply)));
    } else if (reply.every((part) => typeof part === "string")) {
      sendFramed(socket, "chunked", reply);
    } else {
      socket.write(`${SSE_HEAD}connection: close\r\n\r\n`);
      for (const part of reply) {
        if (typeof part === "string") socket.write(part);
        else await new Promise((resolve) => setTimeout(resolve, part));
      }
      socket.end();
    }
  });
  perennial = await startPerennial(upstream.baseUrl, { upstream: { emptyFallback: "off" }, ...settings });
}

function ask(fields: object = {}): Promise<Seen> {
  return send(`${perennial.baseUrl}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", max_tokens: 9, stream: true, messages: [], ...fields }),
  });
}

const errorCode = ({ body }: Seen): string | undefined => /"code":"(\w+)"/.exec(body)?.[1];

const typed = (type: string, fields: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const begin = typed("message_start", {
  message: {
    id: "m",
    type: "message",
    role: "assistant",
    model: "m",
    content: [],
    usage: { input_tokens: 25, output_tokens: 1 },
  },
});
const block = (content_block: object, index = 0): string => typed("content_block_start", { index, content_block });
const delta = (fields: object, index = 0): string => typed("content_block_delta", { index, delta: fields });
const blockStop = (index = 0): string => typed("content_block_stop", { index });
const reason = (stop_reason: string | null, fields: object = {}): string =>
  typed("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 9 }, ...fields });
const stop = typed("message_stop");
const DONE = "data: [DONE]\n\n";
const hi = [block({ type: "text", text: "" }), delta({ type: "text_delta", text: "Hi" }), blockStop()];
const end = [reason("end_turn"), stop];

describe("a message", () => {
  test.each([
    ["an engine that was aborted", [reason(null), stop, DONE], "stream_truncated"],
    ["no reason at all", [stop], "stream_truncated"],
    ["the reason abort", [reason("abort"), stop], "upstream_error_event"],
    ["the reason error", [reason("error"), stop, DONE], "upstream_error_event"],
  ])("that stops with %s is not told as whole", async (_what, last, code) => {
    await serve([[begin, ...hi, ...last]]);
    const seen = await ask();
    expect(errorCode(seen)).toBe(code);
    expect(seen.body).not.toContain("message_stop");
    expect(seen.body).not.toContain('"stop_reason":"');
  });

  test("that an engine gave up before its first word is asked for again, unseen", async () => {
    const whole = [begin, ...hi, ...end];
    await serve([[begin, reason("abort"), stop], [begin, reason(null), stop, DONE], whole]);
    expect((await ask()).body).toBe(whole.join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });

  test.each([
    ["after its end", [...end, DONE], "complete"],
    ["in the place of message_stop", [reason("end_turn"), DONE], "repaired"],
    ["before message_stop", [reason("end_turn"), DONE, stop], "complete"],
  ])("with a [DONE] %s is whole, and its client never sees that line", async (_where, last, outcome) => {
    await serve([[begin, ...hi, ...last]]);
    expect((await ask()).body).toBe([begin, ...hi, ...end].join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome });
  });

  test.each(["pause_turn", "compaction", "model_context_window_exceeded", "some_reason_of_next_year"])(
    "that stops with %s is whole",
    async (stop_reason) => {
      const events = [begin, ...hi, reason(stop_reason), stop];
      await serve([events]);
      expect((await ask()).body).toBe(events.join(""));
    },
  );

  test.each([
    [
      "a summary of what was said",
      [block({ type: "compaction", content: null }), delta({ type: "compaction_delta", content: "Sum" })],
    ],
    [
      "thoughts that are not shown",
      [block({ type: "thinking", thinking: "" }), delta({ type: "signature_delta", signature: "s" })],
    ],
    ["thoughts that are encrypted", [block({ type: "redacted_thinking", data: "x" })]],
    ["a file", [block({ type: "container_upload", file_id: "file_1" })]],
  ])("of nothing but %s is not empty", async (_what, content) => {
    const events = [begin, ...content, blockStop(), reason("compaction"), stop];
    await serve([events]);
    expect((await ask()).body).toBe(events.join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", attempts: [{}] });
  });
});

const answer = (content: readonly object[], fields: object = {}): Record<string, unknown> => ({
  id: "m",
  type: "message",
  role: "assistant",
  model: "m",
  content,
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 25, output_tokens: 9 },
  ...fields,
});

describe.each([true, false])("an answer in JSON, asked for with stream: %s,", (stream) => {
  test.each([
    ["no block", []],
    ["an empty text", [{ type: "text", text: "" }]],
    ["an empty thought", [{ type: "thinking", thinking: "", signature: "" }]],
    ["a summary that failed", [{ type: "compaction", content: null }]],
  ])("with %s is asked for again", async (_what, content) => {
    await serve([answer(content), answer([{ type: "text", text: "Hi" }])]);
    expect((await ask({ stream })).body).toContain('"Hi"');
    expect(upstream.requests).toHaveLength(2);
  });

  test("that is empty at every attempt is told as it is: the model may have nothing to say", async () => {
    await serve([answer([{ type: "text", text: "" }])]);
    expect(await ask({ stream })).toMatchObject({ status: 200, body: expect.stringContaining("end_turn") });
    expect(upstream.requests).toHaveLength(3);
  });

  test.each([
    ["a tool call without input", [{ type: "tool_use", id: "t", name: "now", input: {} }]],
    ["a summary", [{ type: "compaction", content: "Sum" }]],
    ["a thought that is not shown", [{ type: "thinking", thinking: "", signature: "s" }]],
    ["a tool's result", [{ type: "web_search_tool_result", tool_use_id: "t", content: [{ title: "Hm" }] }]],
  ])("with %s is whole at once", async (_what, content) => {
    await serve([answer(content)]);
    expect((await ask({ stream })).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  });

  test.each(["abort", "error"])("that stopped with %s is asked for again", async (stop_reason) => {
    const content = [{ type: "text", text: "Hi" }];
    await serve([answer(content, { stop_reason }), answer(content)]);
    expect((await ask({ stream })).body).toContain("end_turn");
    expect(await perennial.exchangeLog()).toMatchObject({ attempts: [{ failure: "upstream_error_event" }, {}] });
  });
});

describe("a silence", () => {
  const quick = { timeouts: { firstToken: "5s", idle: "1500ms" }, retry: { maxAttempts: 1 } };

  test("before and after the signature of thoughts that are not shown is no stall", async () => {
    const thought = [
      block({ type: "thinking", thinking: "", signature: "" }, 1),
      850,
      delta({ type: "signature_delta", signature: "sig" }, 1),
      blockStop(1),
      850,
      ...hi.map((event) => event.replace('"index":0', '"index":2')),
    ];
    await serve([[begin, ...hi, 850, ...thought, ...end]], quick);
    expect((await ask()).body).toContain("message_stop");
  });

  test("after a signature that nothing follows is one", async () => {
    const signed = [block({ type: "thinking", thinking: "" }), delta({ type: "signature_delta", signature: "sig" })];
    await serve([[begin, ...signed, 5_000]], quick);
    expect(errorCode(await ask())).toBe("stream_stalled");
  });

  test("after a block that begins with nothing waits for the first content still", async () => {
    await serve(
      [
        [begin, block({ type: "thinking", thinking: "" }), 5_000],
        [begin, ...hi, ...end],
      ],
      {
        timeouts: { firstToken: "300ms", idle: "5s" },
      },
    );
    expect((await ask()).body).toContain("message_stop");
    expect(await perennial.exchangeLog()).toMatchObject({ attempts: [{ failure: "first_token_timeout" }, {}] });
  });
});
