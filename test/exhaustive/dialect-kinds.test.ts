/** One kind of bad, or only odd, stream in every dialect: what breaks trust, what is lost, what holds nothing, what says failure. */
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type Seen, send } from "../support/client.ts";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";
import { jsonReply, type RawUpstream, SSE_HEAD, sendFramed, startRawUpstream } from "../support/raw-upstream.ts";
import {
  chatchatSpeaker,
  chatSpeaker,
  messagesSpeaker,
  responsesSpeaker,
  SPEAKERS,
  type Speaker,
  whole,
} from "../support/speakers.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial?.close();
  await upstream?.close();
});

type Answer = readonly string[] | string | ((socket: Socket) => unknown);

/** Ends in the middle of a chunk, after what was sent has been read. */
const cut =
  (...events: readonly string[]) =>
  (socket: Socket): void => {
    const body = events.join("");
    const chunk = `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
    socket.write(`${SSE_HEAD}transfer-encoding: chunked\r\n\r\n${chunk}`, () => setTimeout(() => socket.end("5\r\nda"), 30));
  };

async function ask(speaker: Speaker, answer: Answer, body: object = {}, settings: Record<string, unknown> = {}): Promise<Seen> {
  await perennial?.close();
  await upstream?.close();
  upstream = await startRawUpstream((socket) => {
    if (typeof answer === "function") return answer(socket);
    if (typeof answer === "string") return socket.write(answer);
    return sendFramed(socket, "chunked", answer);
  });
  const baseUrl = speaker === chatchatSpeaker ? upstream.baseUrl.replace("/v1", "") : upstream.baseUrl;
  perennial = await startPerennial(baseUrl, { upstream: speaker.upstream, ...settings });
  return send(perennial.url + speaker.path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [], ...body }),
  });
}

/** `whole`, or the code of the error, wherever it came. */
function toldBy(speaker: Speaker, seen: Seen): string {
  const code = /"code":"(\w+)"/.exec(seen.body)?.[1];
  if (code !== undefined) return code;
  return seen.status === 200 && seen.body.endsWith(speaker.terminator) ? "whole" : "half";
}

const line = (json: object): string => `data: ${JSON.stringify(json)}\n\n`;
const withoutResponses = SPEAKERS.filter((speaker) => speaker !== responsesSpeaker);

describe.each(withoutResponses)("$name: an answer that goes on after its finish", (speaker) => {
  const again = speaker === messagesSpeaker ? speaker.begin.slice(1) : [];
  const goesOn = [
    ...speaker.begin,
    speaker.text("Hello"),
    ...speaker.finish(),
    ...again,
    speaker.text(", you"),
    ...speaker.finish(),
  ];

  test("is whole when its end comes", async () => {
    const seen = await ask(speaker, [...goesOn, speaker.terminator]);
    expect([toldBy(speaker, seen), speaker.readText(seen.body)]).toEqual(["whole", "Hello, you"]);
  });

  test("is not whole when it is cut", async () => {
    const seen = await ask(speaker, cut(...goesOn));
    expect([toldBy(speaker, seen), speaker.readText(seen.body)]).toEqual(["stream_truncated", "Hello, you"]);
  });

  test("and one that does not is whole, though it is cut", async () => {
    const seen = await ask(speaker, cut(...speaker.begin, speaker.text("Hello"), ...speaker.finish()));
    expect([toldBy(speaker, seen), speaker.readText(seen.body)]).toEqual(["whole", "Hello"]);
  });
});

describe.each(SPEAKERS)("$name", (speaker) => {
  const not = speaker.text(" NOT");
  const data = not.slice(not.indexOf("data: "));
  const losses: [what: string, debris: string][] = [
    ["the first half of its line", data.slice(Math.floor(data.length / 2))],
    ["all but the end of its line", data.slice(-8)],
    ["the word data", data.slice(4)],
    ["the word data and the colon", data.slice(5)],
    ["a letter", data.slice(1)],
  ];

  test.each(losses)("an event that has lost %s is never dropped in silence", async (_what, debris) => {
    const events = [
      ...speaker.begin,
      speaker.text("Do"),
      debris,
      speaker.text(" delete"),
      ...speaker.finish(),
      speaker.terminator,
    ];
    const seen = await ask(speaker, events);
    expect(toldBy(speaker, seen)).toBe("stream_corrupted");
    expect(speaker.readText(seen.body)).toBe("Do");
  });

  test.each([
    ": keep-alive",
    ': {"type":"heartbeat"}',
    "Traceback (most recent call last):",
    '  File "server.py", line 3, in run',
    "[INFO] still here",
    "event",
  ])("the line %j loses nothing", async (stray) => {
    const seen = await ask(speaker, [
      ...speaker.begin,
      `${stray}\n\n`,
      speaker.text("Hello"),
      ...speaker.finish(),
      speaker.terminator,
    ]);
    expect([toldBy(speaker, seen), speaker.readText(seen.body)]).toEqual(["whole", "Hello"]);
  });

  test.each(["null", "[]", "[ ]", "0", "-1.5e3", '""', "true", "false", ""])(
    "the event %j holds nothing, anywhere",
    async (nothing) => {
      const event = `data: ${nothing}\n\n`;
      const events = whole(speaker).flatMap((each) => [event, each]);
      const seen = await ask(speaker, events);
      expect([toldBy(speaker, seen), upstream.requests.length]).toEqual(["whole", 1]);
      expect(seen.body).toBe(whole(speaker).join(""));
    },
  );

  test.each(["constructor", "__proto__", "toString"])("an error whose code and type are %s is told", async (name) => {
    const seen = await ask(speaker, [
      ...speaker.begin,
      line({ error: { message: "boom", code: name, type: name, status: name } }),
    ]);
    expect([seen.status, toldBy(speaker, seen), seen.body.includes("boom")]).toEqual([502, "upstream_error_event", true]);
  });

  const errors: [what: string, error: object, status: number, requests: number][] = [
    ["MiniMax's, of an empty account", { base_resp: { status_code: 1008, status_msg: "boom" } }, 402, 1],
    ["MiniMax's, of too many requests", { base_resp: { status_code: 1002, status_msg: "boom" } }, 429, 3],
    ["Baidu's, of a daily limit", { error_code: 17, error_msg: "boom: Open api daily request limit reached" }, 429, 1],
    ["DashScope's, of throttling", { code: "Throttling.RateQuota", message: "boom", request_id: "r" }, 429, 3],
    ["DashScope's, of a bad parameter", { code: "InvalidParameter", message: "boom", request_id: "r" }, 400, 1],
    ["TGI's, of validation", { error: "boom", error_type: "validation" }, 422, 1],
    ["TGI's, of an overload", { error: "boom", error_type: "overloaded" }, 529, 3],
    ["FastAPI's", { detail: "boom" }, 502, 3],
    ["FastAPI's, of validation", { detail: [{ loc: ["body"], msg: "boom", type: "missing" }] }, 422, 1],
    ["Cloudflare's", { success: false, errors: [{ code: 7000, message: "boom" }] }, 502, 3],
    ["a gateway's", { message: "boom" }, 502, 3],
    ["a flat one", { code: 503, msg: "boom" }, 503, 3],
    ["one of a prompt that is too long", { error: { message: "boom: maximum context length is 4096 tokens" } }, 400, 1],
    ["one of an empty account", { error: { message: "boom", type: "insufficient_quota", code: "insufficient_quota" } }, 402, 1],
    ["one of an empty account, as a 429", { error: { message: "boom", type: "insufficient_quota", code: 429 } }, 429, 1],
  ];

  test.each(errors)("an error is one, and keeps its reason: %s", async (_what, error, status, requests) => {
    const seen = await ask(speaker, [line(error)]);
    expect([seen.status, toldBy(speaker, seen), upstream.requests.length]).toEqual([status, "upstream_error_event", requests]);
    expect(seen.body).toContain("boom");
    const unstreamed = await ask(speaker, jsonReply(JSON.stringify(error)), { stream: false });
    expect([unstreamed.status, toldBy(speaker, unstreamed), upstream.requests.length]).toEqual([
      status,
      "upstream_error_event",
      requests,
    ]);
    expect(unstreamed.body).toContain("boom");
  });

  test("a code that means success is no error, in any event", async () => {
    const fine = {
      base_resp: { status_code: 0, status_msg: "" },
      error_code: 0,
      error_msg: "",
      success: true,
      errors: [],
      error: null,
    };
    const said = [...speaker.begin, speaker.text("Hello"), ...speaker.finish()].map((event) =>
      event.replace("{", `{${JSON.stringify(fine).slice(1, -1)},`),
    );
    const events = [...said, speaker.terminator];
    const seen = await ask(speaker, events);
    expect([seen.body, upstream.requests.length]).toEqual([events.join(""), 1]);
  });

  test("an error takes its status from the comment before it, where that names one of an error", async () => {
    const error = (status: number): string => `:HTTP_STATUS/${status}\nevent: error\ndata: {"message":"boom"}\n\n`;
    expect((await ask(speaker, [error(403)])).status).toBe(403);
    const inGoodOnes = whole(speaker).map((event) => `:HTTP_STATUS/200\n${event}`);
    expect(toldBy(speaker, await ask(speaker, inGoodOnes))).toBe("whole");
    expect((await ask(speaker, [error(200)], {}, { retry: { maxAttempts: 1 } })).status).toBe(502);
  });

  test("an error over several bare lines is one", async () => {
    const pretty = `${JSON.stringify({ error: { code: 429, message: "boom", status: "RESOURCE_EXHAUSTED" } }, null, 2)}\n`;
    for (const body of [pretty, `[${pretty.trimEnd()}]\n`, pretty.trimEnd()]) {
      const seen = await ask(speaker, [body], {}, { retry: { maxAttempts: 1 } });
      expect([seen.status, seen.body.includes("boom")]).toEqual([429, true]);
    }
  });

  test("bad bytes take nothing along that was good, however the bytes are split", async () => {
    const good = [...speaker.begin, speaker.text("Hel"), speaker.text("lo")].join("");
    const bytes = Buffer.concat([Buffer.from(`${good}data: {"x":"`), Buffer.from([0xe6, 0xb0, 0xff]), Buffer.from('"}\n\n')]);
    for (const step of [bytes.length, bytes.length - 6, 3]) {
      const reads = Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => bytes.subarray(i * step, (i + 1) * step));
      const seen = await ask(speaker, (socket) => sendFramed(socket, "content-length", reads));
      expect([toldBy(speaker, seen), speaker.readText(seen.body)]).toEqual(["stream_corrupted", "Hello"]);
    }
  });

  test("a whole answer as JSON is one, though it has no word for how it finished; but no stream is made of it", async () => {
    const reply = jsonReply(JSON.stringify(speaker.answer("Hello", undefined)));
    const seen = await ask(speaker, reply, { stream: false });
    expect([seen.status, seen.body.includes("Hello"), upstream.requests.length]).toEqual([200, true, 1]);
    expect(toldBy(speaker, await ask(speaker, reply))).toBe("stream_truncated");
  });

  test.each([null, ""])("an answer as JSON whose word for that is %j has not finished", async (nothing) => {
    const reply = jsonReply(JSON.stringify(speaker.answer("Hello", nothing)));
    expect(toldBy(speaker, await ask(speaker, reply, { stream: false }))).toBe("stream_truncated");
  });
});

describe.each(withoutResponses)("$name: a word at the end", (speaker) => {
  test.each(["Generated", "model_context_window_exceeded", "constructor"])("%s behind content is passed on", async (word) => {
    const seen = await ask(speaker, [...speaker.begin, speaker.text("Hello"), ...speaker.finish(word), speaker.terminator]);
    expect([toldBy(speaker, seen), speaker.readText(seen.body), seen.body.includes(word)]).toEqual(["whole", "Hello", true]);
    const answered = await ask(speaker, jsonReply(JSON.stringify(speaker.answer("Hello", word))), { stream: false });
    expect([answered.status, answered.body.includes(word)]).toEqual([200, true]);
  });

  test.each(["error", "ABORTED", "user_cancelled", "network_error", "engine_overloaded", "MALFORMED_FUNCTION_CALL", "time_out"])(
    "%s says failure",
    async (word) => {
      const seen = await ask(speaker, [...speaker.begin, speaker.text("Hello"), ...speaker.finish(word), speaker.terminator]);
      expect(toldBy(speaker, seen)).toBe("upstream_error_event");
      const answered = await ask(speaker, jsonReply(JSON.stringify(speaker.answer("Hello", word))), { stream: false });
      expect(toldBy(speaker, answered)).toBe("upstream_error_event");
    },
  );

  test.each(["content_filter: RECITATION", "SAFETY", "sensitive", "guardrail_intervened", "PROHIBITED_CONTENT"])(
    "%s is a filter, and whole without a word",
    async (word) => {
      const seen = await ask(speaker, [...speaker.begin, ...speaker.finish(word), speaker.terminator]);
      const isWhole = speaker === chatchatSpeaker ? seen.body.includes(word) : toldBy(speaker, seen) === "whole";
      expect([isWhole, upstream.requests.length]).toEqual([true, 1]);
    },
  );
});

describe("responses", () => {
  const numbered = (numbers: readonly number[]): string[] =>
    numbers.map((number) => responsesSpeaker.text("a").replace('"type"', `"sequence_number":${number},"type"`));

  test.each([
    ["a number twice, and then a gap", [0, 1, 1, 2, 4], "stream_corrupted"],
    ["0 twice, and then a gap", [0, 0, 1, 3], "stream_corrupted"],
    ["an older number, and then a gap", [0, 1, 2, 3, 2, 5], "stream_corrupted"],
    ["a number twice", [0, 1, 1, 2], "whole"],
    ["only zeros", [0, 0, 0, 0], "whole"],
    ["several counters", [0, 1, 0, 1, 2, 3, 9], "whole"],
  ])("events numbered with %s", async (_what, numbers, told) => {
    const seen = await ask(responsesSpeaker, [...responsesSpeaker.begin, ...numbered(numbers), responsesSpeaker.terminator]);
    expect(toldBy(responsesSpeaker, seen)).toBe(told);
  });

  test("an error is told in the event that Codex reads, with the object that SDKs raise", async () => {
    const seen = await ask(responsesSpeaker, [...responsesSpeaker.begin, responsesSpeaker.text("Hello")]);
    const last = seen.body.trimEnd().split("\n\n").at(-1) ?? "";
    expect(last).toMatch(/^event: response\.failed\ndata: /);
    expect(JSON.parse(last.split("data: ")[1] ?? "")).toMatchObject({
      type: "response.failed",
      sequence_number: expect.any(Number),
      response: { status: "failed", error: { code: "stream_truncated", message: expect.stringContaining("5 characters") } },
      error: { code: "stream_truncated", type: "upstream_error" },
    });
  });

  test("a status that is not known is passed on, where it does not say failure", async () => {
    const end = responsesSpeaker.terminator.replace('"status":"completed","output"', '"status":"sideways","output"');
    const seen = await ask(responsesSpeaker, [...responsesSpeaker.begin, responsesSpeaker.text("Hello"), end]);
    expect([seen.status, seen.body.endsWith(end)]).toEqual([200, true]);
  });
});

describe("what an upstream can make grow is bounded", () => {
  test.each([
    ["choices", chatSpeaker, (i: number) => line({ choices: [{ index: i, delta: { content: "a" } }] })],
    ["tool calls", chatSpeaker, (i: number) => line({ choices: [{ delta: { tool_calls: [{ index: i, id: `${i}` }] } }] })],
    [
      "blocks",
      messagesSpeaker,
      (i: number) => line({ type: "content_block_start", index: i, content_block: { type: "text", text: "a" } }),
    ],
    [
      "items",
      responsesSpeaker,
      (i: number) => line({ type: "response.output_item.added", output_index: i, item: { type: "function_call" } }),
    ],
  ])("%s", async (_what, speaker, eventOf) => {
    const events = Array.from({ length: 10_050 }, (_, i) => eventOf(i));
    const done = speaker === chatSpeaker ? [...speaker.finish(), speaker.terminator] : [];
    const reply = (socket: Socket): void => sendFramed(socket, "content-length", [events.join(""), ...done]);
    const seen = await ask(speaker, reply, { stream: false }, { nonStreaming: "viaStream" });
    expect([seen.status, toldBy(speaker, seen), upstream.requests.length]).toEqual([502, "stream_corrupted", 1]);
  });
});
