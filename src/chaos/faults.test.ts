/** Every fault's essential bytes, over real sockets: one row a fault, and no fault without a row. */
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ANSWER, REASONING_TOKENS, TOKENS } from "./answer.ts";
import { type ChaosServer, createChaosServer } from "./chaos-server.ts";
import { dataOf, type RawReply, rawRequest, textOf } from "./fixtures/raw-client.ts";
import { FAULTS } from "./registry.ts";

interface Row {
  /** The SPEC, when the fault's name alone would be too slow or too large. */
  readonly spec?: string;
  readonly end?: RawReply["end"];
  readonly whole?: boolean;
  /** Undefined for a reply that is not HTTP. */
  readonly status?: number | undefined;
  readonly check?: (reply: RawReply) => void;
  /** How the reply to `stream: false` differs from an unbroken JSON answer. */
  readonly answer?: { end?: RawReply["end"]; whole?: boolean; status?: number | undefined; check?: (reply: RawReply) => void };
}

const OPENING = TOKENS.slice(0, 4).join("");
const isAnswer = (reply: RawReply) => {
  expect(textOf(reply.body)).toBe(ANSWER);
  expect(dataOf(reply.body).at(-1)).toBe("[DONE]");
  expect(reply.body).toContain('"finish_reason":"stop"');
};
const isOpening = (reply: RawReply) => {
  expect(textOf(reply.body)).toBe(OPENING);
  expect(reply.body).not.toContain("[DONE]");
  expect(reply.body).not.toContain('"finish_reason":"stop"');
};
const afterOpening =
  (...expected: string[]) =>
  (reply: RawReply) => {
    expect(textOf(reply.body)).toBe(OPENING);
    const rest = dataOf(reply.body).slice(5);
    expect(rest).toHaveLength(expected.length);
    for (const [i, text] of expected.entries()) expect(rest[i]).toContain(text);
  };
const isJsonAnswer = (reply: RawReply) => {
  expect(reply.headers["content-type"]).toBe("application/json");
  expect(JSON.parse(reply.body).choices[0].message.content).toBe(ANSWER);
};
const isHalfJson = (reply: RawReply) => {
  expect(() => JSON.parse(reply.body)).toThrow();
  expect(reply.body).toContain('{"id":"chatcmpl-');
};
const hasFinish = (reason: string | null) => (reply: RawReply) => {
  expect(JSON.parse(reply.body).choices.at(-1).finish_reason).toBe(reason);
};
const bodyIs = (text: string) => (reply: RawReply) => expect(reply.body).toBe(text);
const half = { whole: false, check: isHalfJson };
const failed = { status: 500, check: () => {} };
const refused = (status: number, headers: Record<string, unknown> = {}): Row => {
  const check = (reply: RawReply) => {
    expect(JSON.parse(reply.body).error).toMatchObject({ message: expect.any(String), param: null });
    expect(reply.headers).toMatchObject(headers);
  };
  return { status, check, answer: { status, check } };
};
const nothing = { status: undefined, whole: false, check: (reply: RawReply) => expect(reply.bytes).toHaveLength(0) };

const ROWS: Readonly<Record<string, Row>> = {
  ok: { check: isAnswer },
  slow: { spec: "slow:1", check: isAnswer },
  drip: { check: isAnswer },
  close: { ...nothing, answer: nothing },
  reset: { end: "reset", whole: false, check: isOpening, answer: { ...half, end: "reset" } },
  "reset-before-headers": { ...nothing, end: "reset", answer: { ...nothing, end: "reset" } },
  garbage: {
    status: undefined,
    whole: false,
    check: (reply) => expect(reply.bytes.toString()).toMatch(/^SSH-2\.0/),
    answer: { status: undefined, whole: false, check: () => {} },
  },
  truncate: { whole: false, check: isOpening, answer: half },
  "truncate-event": {
    whole: false,
    check: (reply) => {
      expect(textOf(reply.body)).toBe(OPENING);
      expect(reply.body).toMatch(/data: \{[^\n]+$/);
    },
    answer: half,
  },
  cut: { whole: false, check: (reply) => expect(reply.bodyBytes).toHaveLength(1000), answer: { ...half, check: () => {} } },
  "cut-reset": {
    end: "reset",
    spec: "cut-reset:100",
    whole: false,
    check: (reply) => expect(reply.bodyBytes).toHaveLength(100),
    answer: { ...half, end: "reset" },
  },
  eof: { check: isOpening, answer: { check: isHalfJson } },
  "wrong-length": { whole: false, check: isAnswer, answer: { whole: false } },
  gzip: {
    check: (reply) => {
      expect(reply.headers["content-encoding"]).toBe("gzip");
      isAnswer({ ...reply, body: gunzipSync(reply.bodyBytes).toString() });
    },
    answer: { check: (reply) => isJsonAnswer({ ...reply, body: gunzipSync(reply.bodyBytes).toString() }) },
  },
  "continue-first": {
    check: (reply) => {
      expect(reply.bytes.toString()).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nlink: .*\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
      isAnswer(reply);
    },
  },
  "hold-open": { whole: false, check: isAnswer, answer: { whole: false } },
  "500": refused(500),
  "502": refused(502),
  "503": refused(503),
  "504": refused(504),
  "408": refused(408),
  "409": refused(409),
  "400": refused(400),
  "401": refused(401),
  "404": refused(404),
  "422": refused(422),
  "429": refused(429, { "retry-after": "1" }),
  "429-ms": refused(429, { "retry-after-ms": "100" }),
  "429-date": refused(429, { "retry-after": expect.stringMatching(/^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/) }),
  "no-retry": refused(500, { "x-should-retry": "false" }),
  "stall-error": {
    status: 503,
    whole: false,
    check: (reply) => expect(reply.body).toMatch(/^\{"error":[^}]+$/),
    answer: { status: 503, whole: false, check: (reply) => expect(reply.body).toMatch(/^\{"error":[^}]+$/) },
  },
  "retry-400": refused(400, { "x-should-retry": "true" }),
  "json-error": refused(200, { "content-type": "application/json" }),
  html: {
    check: (reply) => expect(reply.headers["content-type"]).toBe("text/html; charset=utf-8"),
    answer: { check: (reply) => expect(reply.body).toContain("<html>") },
  },
  null: { check: bodyIs("null"), answer: { check: bodyIs("null") } },
  json: { check: isJsonAnswer },
  empty: {
    check: (reply) => {
      expect(reply.headers["content-type"]).toContain("text/event-stream");
      expect(reply.body).toBe("");
    },
    answer: { check: bodyIs("") },
  },
  "role-only": {
    check: (reply) => {
      expect(dataOf(reply.body)).toHaveLength(1);
      expect(reply.body).toContain('"role":"assistant","content":""');
    },
    answer: { check: hasFinish(null) },
  },
  "done-only": { check: bodyIs("data: [DONE]\n\n"), answer: { check: bodyIs("") } },
  "comments-only": {
    check: (reply) => expect(reply.body).toMatch(/^(: keep-alive\n\n){3}$/),
    answer: { check: bodyIs("\n\n\n") },
  },
  "whole-empty": {
    check: (reply) => {
      expect(dataOf(reply.body)).toHaveLength(3);
      expect(textOf(reply.body)).toBe("");
      expect(dataOf(reply.body)[1]).toContain('"finish_reason":"stop"');
    },
    answer: { check: (reply) => expect(JSON.parse(reply.body).choices[0].message.content).toBe("") },
  },
  filtered: {
    check: (reply) => {
      expect(textOf(reply.body)).toBe("");
      expect(dataOf(reply.body)[1]).toContain('"finish_reason":"content_filter"');
    },
    answer: { check: hasFinish("content_filter") },
  },
  stall: { whole: false, check: isOpening, answer: half },
  "stall-first": {
    whole: false,
    check: (reply) => expect(reply.body).toBe(""),
    answer: { whole: false, check: (reply) => expect(reply.body).toBe("") },
  },
  "stall-headers": { ...nothing, answer: nothing },
  "stall-comments": {
    whole: false,
    check: (reply) => {
      isOpening(reply);
      expect(reply.body).toMatch(/(: keep-alive\n\n){3}$/);
    },
    answer: { whole: false, check: (reply) => expect(reply.body).toMatch(/^\n{3,}$/) },
  },
  "half-json": { check: afterOpening('{"id":', "[DONE]"), answer: { check: isHalfJson } },
  "error-event": { check: afterOpening('{"error":{"message":"The server had an error'), answer: failed },
  "error-string": { check: afterOpening('{"error":"CUDA'), answer: failed },
  "error-vllm": { check: afterOpening('"type":"InternalServerError","param":null,"code":500}}', "[DONE]"), answer: failed },
  "error-vllm-flat": { check: afterOpening('{"object":"error","message"', "[DONE]"), answer: failed },
  "error-fastchat": { check: afterOpening('"error_code":50002', "[DONE]"), answer: failed },
  "error-sglang": { check: afterOpening('{"error":{', '"choices":[]', "[DONE]"), answer: failed },
  "error-lmstudio": { check: afterOpening('"},"message":"The model has crashed."}'), answer: failed },
  "error-named": {
    check: (reply) => {
      afterOpening('{"error":{')(reply);
      expect(reply.body).toContain("\n\nevent: error\ndata: ");
    },
    answer: failed,
  },
  "error-field": {
    check: (reply) => {
      afterOpening()(reply);
      expect(reply.body).toContain('\n\nerror: {"code":500');
    },
    answer: failed,
  },
  "error-text": { check: afterOpening("[ERROR] CUDA"), answer: failed },
  "error-finish": { check: afterOpening('"finish_reason":"error"', "[DONE]"), answer: { check: hasFinish("error") } },
  "error-abort": { check: afterOpening('"finish_reason":"abort"', "[DONE]"), answer: { check: hasFinish("abort") } },
  "error-ollama": { check: afterOpening('"delta":{"role":"assistant","content":""},"finish_reason":null'), answer: failed },
  "done-without-finish": { check: afterOpening("[DONE]"), answer: { check: hasFinish(null) } },
  "no-done": {
    check: (reply) => {
      expect(textOf(reply.body)).toBe(ANSWER);
      expect(dataOf(reply.body).at(-1)).toContain('"finish_reason":"stop"');
    },
  },
  "two-choices": {
    check: (reply) => {
      isAnswer(reply);
      expect(reply.body.match(/"index":1/g)).toHaveLength(TOKENS.length + 1);
      expect(reply.body.match(/"finish_reason":"stop"/g)).toHaveLength(1);
    },
    answer: { check: hasFinish(null) },
  },
  "big-event": {
    spec: "big-event:1MiB",
    check: (reply) => {
      const events = reply.body.split(/(?<=\n\n)/);
      expect(Math.max(...events.map((text) => text.length))).toBe(1024 ** 2);
    },
    answer: { check: (reply) => expect(reply.body.length).toBeGreaterThan(1024 ** 2) },
  },
  "raw-text": {
    check: (reply) => expect(reply.body).toMatch(/^Traceback/),
    answer: { check: (reply) => expect(reply.body).toMatch(/^Traceback/) },
  },
  "stray-part": {
    check: (reply) => {
      expect(reply.body).toMatch(/\n\n\{"id":[^\n]+\}\n\n/);
      expect(reply.body).toContain("[DONE]");
      expect(textOf(reply.body)).not.toBe(ANSWER);
    },
    answer: { check: isHalfJson },
  },
  debris: {
    check: (reply) => {
      expect(reply.body).toMatch(/\n\n[^d\n][^\n]*\}\n\n/);
      expect(reply.body).toContain("[DONE]");
    },
    answer: { check: isHalfJson },
  },
  "null-events": {
    check: (reply) => {
      expect(reply.body).toContain("data: null\n\n");
      expect(reply.body).toContain('data: ""\n\n');
      expect(reply.body).toContain('"finish_reason":"stop"');
    },
  },
  "error-pretty": {
    check: (reply) => expect(reply.body).toMatch(/\n\n\{\n {2}"error": \{\n/),
    answer: { status: 503, check: (reply) => expect(reply.body).toContain("overloaded") },
  },
  "error-base-resp": {
    check: (reply) => expect(reply.body).toContain('"status_code":1002'),
    answer: { check: (reply) => expect(reply.body).toContain('"status_code":1002') },
  },
  "goes-on": {
    check: (reply) => {
      expect(textOf(reply.body)).toBe(ANSWER);
      expect(reply.body).toMatch(/"finish_reason":"stop".*"arguments":"\{\\"city\\":\\"细水".*\[DONE\]/s);
    },
    answer: { check: isHalfJson },
  },
  "bad-utf8": {
    check: (reply) => {
      expect(reply.bodyBytes.includes(Buffer.from([0xbb, 0xff, 0xf0]))).toBe(true);
      expect(reply.body).toContain("[DONE]");
    },
    answer: { check: (reply) => expect(reply.bodyBytes.includes(Buffer.from([0xbb, 0xff, 0xf0]))).toBe(true) },
  },
  crlf: {
    check: (reply) => {
      expect(reply.body.replaceAll("\r\n", "")).not.toContain("\n");
      isAnswer({ ...reply, body: reply.body.replaceAll("\r\n", "\n") });
    },
  },
  cr: {
    check: (reply) => {
      expect(reply.body).not.toContain("\n");
      isAnswer({ ...reply, body: reply.body.replaceAll("\r", "\n") });
    },
  },
  bom: {
    check: (reply) => {
      expect([...reply.bodyBytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
      isAnswer({ ...reply, body: reply.body.slice(1) });
    },
    answer: { check: (reply) => isJsonAnswer({ ...reply, body: reply.body.slice(1) }) },
  },
  comments: {
    check: (reply) => {
      isAnswer(reply);
      expect(reply.body.match(/^: ping/gm)).toHaveLength(dataOf(reply.body).length);
    },
  },
  azure: {
    check: (reply) => {
      isAnswer(reply);
      expect(dataOf(reply.body)[0]).toMatch(/^\{"choices":\[\],.*"id":"".*prompt_filter_results/);
    },
  },
  tools: {
    check: (reply) => {
      expect(JSON.parse(argumentsOf(reply.body))).toEqual({ city: "细水长流", unit: "celsius" });
      expect(reply.body).toContain('"finish_reason":"tool_calls"');
      expect(reply.body).toContain('"name":"get_weather"');
    },
    answer: { check: hasFinish("tool_calls") },
  },
  "tools-cut": {
    whole: false,
    check: (reply) => expect(argumentsOf(reply.body)).toBe('{"city":"细水长流","unit":"'),
    answer: half,
  },
  reasoning: {
    check: (reply) => {
      isAnswer(reply);
      expect(reply.body.match(/"reasoning_content":"/g)).toHaveLength(REASONING_TOKENS.length);
    },
  },
  "reasoning-cut": {
    whole: false,
    check: (reply) => {
      expect(textOf(reply.body)).toBe("");
      expect(reply.body.match(/"reasoning_content":"/g)).toHaveLength(3);
    },
    answer: half,
  },
  long: {
    check: (reply) => {
      expect(dataOf(reply.body)).toHaveLength(1000 + 3);
      expect(textOf(reply.body)).toMatch(/^lorem ipsum/);
    },
    answer: { check: (reply) => expect(JSON.parse(reply.body).choices[0].message.content).toMatch(/^lorem ipsum/) },
  },
  flood: {
    spec: "flood:3MiB",
    check: (reply) => {
      expect(reply.body.length).toBeGreaterThan(3 * 1024 ** 2);
      expect(reply.body.length).toBeLessThan(3.01 * 1024 ** 2);
      expect(dataOf(reply.body).at(-1)).toBe("[DONE]");
    },
    answer: { check: (reply) => expect(JSON.parse(reply.body).choices[0].message.content.length).toBeGreaterThan(3 * 1024 ** 2) },
  },
  metas: {
    spec: "metas:100KiB",
    check: (reply) => {
      expect(dataOf(reply.body).slice(1)).toSatisfy(
        (all: string[]) => all.length > 3_000 && all.every((data) => data === '{"choices":[]}'),
      );
      expect(textOf(reply.body)).toBe("");
    },
    answer: { check: (reply) => expect(reply.body.trim()).toBe("") },
  },
  "many-choices": {
    spec: "many-choices:1500",
    check: (reply) => {
      expect(new Set(dataOf(reply.body).map((data) => JSON.parse(data).choices[0].index)).size).toBe(1_500);
      expect(reply.body).not.toContain("[DONE]");
    },
    answer: { check: (reply) => expect(JSON.parse(reply.body).choices).toHaveLength(1_500) },
  },
};

function argumentsOf(body: string): string {
  return dataOf(body)
    .filter((data) => data.includes("tool_calls"))
    .map((data) => JSON.parse(data).choices[0].delta.tool_calls?.[0].function.arguments ?? "")
    .join("");
}

describe("every fault", () => {
  let server: ChaosServer;
  let port: number;
  beforeAll(async () => {
    server = createChaosServer({ tokenDelayMs: 0, stallMs: 40, commentMs: 8 });
    ({ port } = await server.listen());
  });
  afterAll(() => server.close());

  it("has a row in this table", () => {
    expect(Object.keys(ROWS).toSorted()).toEqual(FAULTS.map((fault) => fault.name).toSorted());
  });

  it.each(FAULTS)("$name breaks a stream as it says", async ({ name }) => {
    const { spec = name, end = "fin", whole = true, check, ...row } = ROWS[name] ?? {};
    const reply = await rawRequest(port, { body: { model: `chaos/${spec}`, stream: true, messages: [] } });
    expect(reply).toMatchObject({ end, whole, status: "status" in row ? row.status : 200 });
    check?.(reply);
  });

  it.each(FAULTS)("$name has an equivalent without streaming", async ({ name }) => {
    const { spec = name, answer = {} } = ROWS[name] ?? {};
    const { end = "fin", whole = true, check = isJsonAnswer } = answer;
    const reply = await rawRequest(port, { body: { model: `chaos/${spec}`, messages: [] } });
    expect(reply).toMatchObject({ end, whole, status: "status" in answer ? answer.status : 200 });
    check(reply);
  });

  it("keeps its promise when the argument is larger than the answer", async () => {
    const reply = await rawRequest(port, { body: { model: "chaos/eof:9999", stream: true } });
    expect(textOf(reply.body)).toBe(ANSWER);
    expect(reply.body).not.toContain('"finish_reason":"stop"');
  });

  it("breaks before the first event with the argument 0", async () => {
    const reply = await rawRequest(port, { body: { model: "chaos/error-event:0", stream: true } });
    expect(dataOf(reply.body)).toHaveLength(1);
    expect(reply.body).toMatch(/^data: \{"error"/);
  });

  it("drips one byte a chunk", async () => {
    const reply = await rawRequest(port, { body: { model: "chaos/drip", stream: true } });
    const body = reply.bytes.subarray(reply.bytes.indexOf("\r\n\r\n") + 4);
    // `1 CR LF x CR LF` for each byte, then `0 CR LF CR LF`.
    expect(body).toHaveLength(reply.bodyBytes.length * 6 + 5);
  });
});
