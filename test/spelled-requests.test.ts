/** The same thing in all its spellings: headers, waits, numbers and flags mean what they mean however they are written. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect } from "vitest";
import { OPENAI_ROUTES } from "../src/dialect/registry.ts";
import { chat, codeOf, readStream, type Seen, send } from "./support/client.ts";
import { choice, DONE, line, WHOLE } from "./support/events.ts";
import { chatAnswer, chatEvents, frame, jsonReply } from "./support/raw-upstream.ts";
import { open } from "./support/replies.ts";
import { test } from "./support/test.ts";

const FAILS = jsonReply('{"error":{"message":"no"}}', "500 No");

/** A body with one field as it is written. */
const post = (baseUrl: string, path: string, body: string, headers: Record<string, string> = {}): Promise<Seen> =>
  send(baseUrl + path, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });

describe("x-perennial-max-attempts", () => {
  test.for([
    ["1", 1],
    ["2", 2],
    ["3", 3],
    // Stricter only.
    ["4", 3],
    ["999999", 3],
  ])("of %s makes %s attempts of 3", async ([value, attempts], { serve }) => {
    const { perennial, upstream } = await serve([FAILS]);
    await chat(perennial.baseUrl, {}, { headers: { "X-PERENNIAL-MAX-ATTEMPTS": value } });
    expect(upstream.requests).toHaveLength(attempts);
  });
});

const DURATIONS = ["first-token-timeout", "idle-timeout", "total-timeout"].map((name) => `x-perennial-${name}`);
const NO_DURATION = [
  "",
  "0",
  "0s",
  "0ms",
  "000s",
  "5",
  "1.5s",
  "-1s",
  "+1s",
  "1 s",
  "1S",
  "1h",
  "1d",
  "1e3ms",
  "1s, 1s",
  "1234567890ms",
];
const NO_COUNT = ["", "0", "01", "1.0", "-1", "+1", "1e1", "0x1", "1000000", "1, 1", "one", "１"];

describe("a policy header that makes no sense is refused by name, and asks nobody", () => {
  const rows: (readonly [string, string])[] = [
    ...DURATIONS.flatMap((name) => NO_DURATION.map((value) => [name, value] as const)),
    ...NO_COUNT.map((value) => ["x-perennial-max-attempts", value] as const),
    ...["", "Whole", "CONTENT", "all", "whole, whole"].map((value) => ["x-perennial-gate", value] as const),
    ...["", "Error", "RESUME", "none", "error, error"].map((value) => ["x-perennial-recovery", value] as const),
  ];
  test("in whatever way it makes none", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    for (const [name, value] of rows) {
      const bytes = Buffer.from(value, "utf8").toString("latin1");
      const seen = await chat(perennial.baseUrl, {}, { headers: { [name]: bytes } });
      expect([name, value, seen.status]).toEqual([name, value, 400]);
      expect(JSON.parse(seen.body).error).toMatchObject({ code: "invalid_request", message: expect.stringContaining(name) });
    }
    expect(upstream.requests).toHaveLength(0);
  });

  test("and is taken with spaces around it, and its name in any case", async ({ serve }) => {
    const { perennial, upstream } = await serve([FAILS]);
    await chat(perennial.baseUrl, {}, { headers: { "X-Perennial-Max-Attempts": "  1\t", "x-PERENNIAL-gate": " whole " } });
    expect(upstream.requests).toHaveLength(1);
  });

  test.for(DURATIONS)("%s ends what takes longer", async (name, { serve }) => {
    const [role = "", first = ""] = chatEvents(["Hello"]);
    const { perennial } = await serve([open(...(name.includes("idle") ? [role, first] : []))], { heartbeat: "off" });
    const seen = await chat(perennial.baseUrl, {}, { headers: { [name.toUpperCase()]: "1s", "x-perennial-max-attempts": "1" } });
    expect(seen.body).toContain(name);
  });
});

describe("a wait that an upstream asks for", () => {
  const asksFor = (header: string): string => jsonReply("{}", "429 Slowly", header === "" ? "" : `${header}\r\n`);
  const date = (ms: number): string => new Date(Date.now() + ms).toUTCString();
  /** The backoff alone would take far longer than a test may. */
  const settings = {
    retry: { backoff: { initial: "1h", max: "1h", jitter: false }, maxRetryAfter: "100ms" },
    timeouts: { total: "24d" },
  };

  test.for([
    ["zero", "retry-after: 0"],
    ["zero with a fraction", "retry-after: 0.0"],
    ["a fraction", "Retry-After: 0.05"],
    ["spaces", "RETRY-AFTER:   0  "],
    ["milliseconds", "retry-after-ms: 20"],
    ["zero milliseconds, over the seconds", "retry-after: 3600\r\nRetry-After-Ms: 0"],
    ["exactly the most that is waited for", "retry-after-ms: 100"],
    ["a date that has passed", "retry-after: Thu, 01 Jan 1970 00:00:00 GMT"],
    ["a date that has passed, in small letters", "retry-after: thu, 01 jan 1970 00:00:00 gmt"],
    ["a budget that is back", "x-ratelimit-remaining-requests: 0\r\nX-RateLimit-Reset-Requests: 0s"],
  ])("of %s is waited for, and no more", async ([_what, header], { serve }) => {
    const { perennial } = await serve([asksFor(header), WHOLE], settings);
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: "Hello, world", done: true });
  });

  test.for([
    ["one millisecond more than is waited for", "retry-after-ms: 101"],
    ["a second", "retry-after: 1"],
    ["a date to come", `retry-after: ${date(7_200_000)}`],
    ["more than a number holds", "retry-after: 1e309"],
  ])("of %s is passed on with the refusal", async ([_what, header], { serve }) => {
    const { perennial, upstream } = await serve([asksFor(header), WHOLE], settings);
    const seen = await chat(perennial.baseUrl);
    expect(seen.status).toBe(429);
    const [name = "", value] = header.split(/: (.*)/);
    expect(seen.headers[name.toLowerCase()]).toBe(value);
    expect(upstream.requests).toHaveLength(1);
  });

  test("and does not make sense is none: the backoff counts", async ({ serve }) => {
    const quick = { retry: { backoff: { initial: "1ms", jitter: false }, maxRetryAfter: "400ms" } };
    for (const value of ["soon", "-1", "1,5", "NaN", ""]) {
      const { perennial } = await serve([asksFor(`retry-after: ${value}`), WHOLE], quick);
      expect([value, readStream((await chat(perennial.baseUrl)).body).done]).toEqual([value, true]);
    }
  });
});

test("an idempotency key goes upstream at each attempt as it came, whatever the case of its name", async ({ serve }) => {
  for (const name of ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"]) {
    const { perennial, upstream } = await serve([FAILS, FAILS, WHOLE]);
    await chat(perennial.baseUrl, {}, { headers: { [name]: "  Key/One=1 " } });
    expect(upstream.requests.map(({ head }) => /^idempotency-key:[ \t]*(.*)$/im.exec(head)?.[1])).toEqual(
      Array(3).fill("Key/One=1"),
    );
  }
});

describe("a request says whether it is streamed", () => {
  const streamed = ["true", "1", "1.0", '"true"', '"True"', '"TRUE"', '"t"', '"yes"', '"Y"', '"on"', '"1"'];
  const whole = ["false", "0", "null", '"false"', '"no"', '"off"', '"0"', '""', '"maybe"', "2", "[]", "{}"];
  const paths = ["/chat/completions", "/completions", "/responses", "/messages"];

  test.for(paths)("as its servers read it at %s", (path) => {
    const dialect = OPENAI_ROUTES.find((route) => route.path === path)?.dialect;
    const streams = (value: string): unknown[] => [value, dialect?.parseRequest(JSON.parse(`{"stream":${value}}`)).stream];
    expect(streamed.map(streams)).toEqual(streamed.map((value) => [value, true]));
    expect(whole.map(streams)).toEqual(whole.map((value) => [value, false]));
  });
});

describe("a request says how many choices it wants", () => {
  const one = [choice({ content: "one" }), choice({}, "stop")];
  const ofCompletions = [
    line({ choices: [{ index: 0, text: "one", finish_reason: null }] }),
    line({ choices: [{ index: 0, text: "", finish_reason: "stop" }] }),
  ];
  const bestOf = JSON.stringify({
    id: "c",
    object: "text_completion",
    choices: [{ index: 0, text: "Hi", finish_reason: "stop" }],
  });

  test.for(["2", '"2"', "2.0", '" 2 "', '"2.0"'])("n: %s is two: one that has finished is not all", async (n, { serve }) => {
    for (const [path, events] of [
      ["/chat/completions", one],
      ["/completions", ofCompletions],
    ] as const) {
      const { perennial, upstream } = await serve([events]);
      const seen = await post(perennial.baseUrl, path, `{"model":"m","stream":true,"n":${n}}`);
      expect([path, readStream(seen.body)]).toMatchObject([path, { done: false, errorCode: "stream_truncated" }]);
      expect(upstream.requests[0]?.body).toContain(`"n":${n}`);
    }
  });

  test.for(["1", '"1"', "0", "null", '"many"', "[]", "true", "-2"])(
    "n: %s is one, and its finish is the end",
    async (n, { serve }) => {
      const { perennial } = await serve([one]);
      const seen = await post(perennial.baseUrl, "/chat/completions", `{"model":"m","stream":true,"n":${n}}`);
      expect(readStream(seen.body)).toMatchObject({ text: "one", done: true });
    },
  );

  test.for(["3", '"3"', '" 3"', "3.0"])("the best of %s cannot be streamed", async (best, { serve }) => {
    const { perennial, upstream } = await serve([jsonReply(bestOf)], { nonStreaming: "viaStream" });
    await post(perennial.baseUrl, "/completions", `{"model":"m","best_of":${best}}`);
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([undefined]);
  });

  test.for(["true", '"true"', "1", '"1"'])(
    "background: %s is answered at once, and cannot be streamed",
    async (flag, { serve }) => {
      const answer = '{"id":"r","object":"response","status":"queued","output":[]}';
      const { perennial, upstream } = await serve([jsonReply(answer)], { nonStreaming: "viaStream" });
      expect((await post(perennial.baseUrl, "/responses", `{"model":"m","background":${flag}}`)).body).toBe(answer);
      expect(upstream.requests.map(({ json }) => json.stream)).toEqual([undefined]);
    },
  );
});

test.for(["true", '"true"', "1", '"1"', '"on"'])(
  "include_usage: %s brings the usage of an answer that came whole",
  async (flag, { serve }) => {
    const { perennial } = await serve([jsonReply(chatAnswer("Hi"))]);
    const body = `{"model":"m","stream":true,"stream_options":{"include_usage":${flag}}}`;
    const seen = await post(perennial.baseUrl, "/chat/completions", body);
    expect(seen.body).toContain('"choices":[],"usage":{');
  },
);

test("a header's name in capitals is the same header on the way to the upstream, and on the way back", async ({
  closing,
  startPerennial,
}) => {
  const server = createServer((request, response) => {
    response.writeHead(200, { "CONTENT-TYPE": "text/event-stream", "X-PERENNIAL-ID": "forged", "X-Theirs": "1" });
    response.end(frame("content-length", WHOLE).toString().split("\r\n\r\n")[1]);
    seen.push(request.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()));
  });
  const seen: string[][] = [];
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing({ close: () => void server.close() });
  const perennial = await startPerennial(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
  const headers = {
    "X-PERENNIAL-GATE": "whole",
    "KEEP-ALIVE": "timeout=5",
    TE: "trailers",
    "X-Mine": "1",
    "PROXY-AUTHORIZATION": "x",
  };
  const answer = await chat(perennial.baseUrl, {}, { headers });
  expect(answer.headers["x-perennial-id"]).not.toBe("forged");
  expect(answer.headers["x-theirs"]).toBe("1");
  expect(answer.body.endsWith(DONE)).toBe(true);
  expect(seen[0]).toContain("x-mine");
  for (const name of ["x-perennial-gate", "keep-alive", "te", "proxy-authorization"]) expect(seen[0]).not.toContain(name);
});

test("a content-encoding in capitals is the same coding, and one that is not known is named", async ({ serve }) => {
  const { perennial } = await serve([WHOLE]);
  const seen = await post(perennial.baseUrl, "/chat/completions", "{}", { "CONTENT-ENCODING": "LZMA" });
  expect([seen.status, codeOf(seen)]).toEqual([415, "invalid_request"]);
});
