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
});
