/** Limits at their edge: one below, at it, one above, and none at all. */
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { chat, codeOf, readStream, type Seen, send } from "./support/client.ts";
import { choice, DONE, typed, WHOLE } from "./support/events.ts";
import { chatAnswer, chatEvents, jsonReply, sendFramed } from "./support/raw-upstream.ts";
import { begin, open } from "./support/replies.ts";
import { type Answer, test } from "./support/test.ts";

const LIMIT = 2_000;

describe("limits.maxBodyBytes", () => {
  const settings = { limits: { maxBodyBytes: LIMIT }, retry: { maxAttempts: 1 } };
  const bodyOf = (bytes: number): string => {
    const start = '{"stream":true,"user":"é';
    return `${start}${"a".repeat(bytes - Buffer.byteLength(start) - 2)}"}`;
  };
  const post = (url: string, body: string | Buffer, headers: Record<string, string>): Promise<Seen> =>
    send(`${url}/chat/completions`, { method: "POST", body, headers });
  const ways: (readonly [string, (text: string) => [string | Buffer, Record<string, string>]])[] = [
    ["with its length", (text) => [text, { "content-length": String(Buffer.byteLength(text)) }]],
    ["in chunks", (text) => [text, { "transfer-encoding": "chunked" }]],
    ["compressed", (text) => [gzipSync(text), { "content-encoding": "gzip" }]],
    // Larger compressed than what it says.
    ["stored in gzip", (text) => [gzipSync(text, { level: 0 }), { "content-encoding": "gzip" }]],
  ];

  test.for(ways)("of a request %s", async ([way, pack], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE], settings);
    const largest = way === "stored in gzip" ? LIMIT - 23 : LIMIT;
    for (const [bytes, status] of [
      [largest - 1, 200],
      [largest, 200],
      [largest + 1, 413],
    ] as const) {
      const seen = await post(perennial.baseUrl, ...pack(bodyOf(bytes)));
      expect([bytes, seen.status]).toEqual([bytes, status]);
      if (status === 413) expect(codeOf(seen)).toBe("body_too_large");
    }
    expect(upstream.requests).toHaveLength(2);
  });

  test("of an answer, whole or joined from its stream", async ({ serve }) => {
    const empty = Buffer.byteLength(chatAnswer("")) + 2;
    const answers: Answer = (socket, { number }) =>
      void socket.write(jsonReply(chatAnswer(`é${"a".repeat(LIMIT - 2 + number - empty)}`)));
    const { perennial } = await serve(answers, settings);
    const statuses: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const seen = await chat(perennial.baseUrl, { stream: false });
      statuses.push([seen.status, seen.status === 200 ? Buffer.byteLength(seen.body) : codeOf(seen)]);
    }
    expect(statuses).toEqual([
      [200, LIMIT - 1],
      [200, LIMIT],
      [502, "stream_corrupted"],
    ]);
  });
});

describe("limits.maxEventBytes", () => {
  const settings = { limits: { maxEventBytes: LIMIT }, retry: { maxAttempts: 1 } };
  const empty = choice({ content: "" }).length - "data: \n\n".length;
  const eventOf = (bytes: number): string => choice({ content: "a".repeat(bytes - empty) });
  const CUTS = [
    ["in one read", [0]],
    ["in two reads", [700]],
    ["byte by byte at both ends", [1, 2, 3, 4, 5, 6, 7, -3, -2, -1]],
  ] as const;

  test.for(CUTS)("of an event that comes %s", async ([_how, at], { serve }) => {
    const { perennial } = await serve(async (socket, { number }) => {
      const event = eventOf(LIMIT - 2 + number);
      begin(socket);
      const places = [0, ...at.map((place) => (place < 0 ? event.length + place : place)), event.length];
      for (const [index, to] of places.slice(1).entries()) {
        socket.write(event.slice(places[index], to));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      socket.end(choice({}, "stop") + DONE);
    }, settings);
    const ends: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const seen = await chat(perennial.baseUrl);
      ends.push(seen.status === 200 ? readStream(seen.body).text.length + empty : codeOf(seen));
    }
    expect(ends).toEqual([LIMIT - 1, LIMIT, "stream_corrupted"]);
  });

  test("of many small events: each counts for itself", async ({ serve }) => {
    const words = Array(60).fill("0123456789") as string[];
    const { perennial } = await serve([chatEvents(words)], { limits: { maxEventBytes: 200 } });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ text: words.join(""), done: true });
  });
});

describe("limits.maxGateBytes", () => {
  const role = choice({ role: "assistant", content: "" });

  test.for([
    ["one above", role.length * 3 + 1, 2],
    ["exactly", role.length * 3, 2],
    ["one below", role.length * 3 - 1, 1],
  ])(
    "%s what comes before a break decides whether it can be retried unseen",
    async ([_what, maxGateBytes, attempts], { serve }) => {
      const settings = { limits: { maxGateBytes }, heartbeat: "off" };
      const { perennial, upstream } = await serve([[role, role, role], WHOLE], settings);
      const seen = await chat(perennial.baseUrl);
      expect(upstream.requests).toHaveLength(attempts);
      expect(readStream(seen.body)).toMatchObject(attempts === 2 ? { text: "Hello, world", done: true } : { done: false });
    },
  );

  const args = "a".repeat(LIMIT);
  const block = (type: string, index: number, fields: object = {}): string => typed(type, { index, ...fields });
  const item = (type: string, output_index: number, fields: object = {}): string => typed(type, { output_index, ...fields });
  const calls = {
    messages: {
      path: "/messages",
      begin: [typed("message_start", { message: { id: "m", role: "assistant", content: [], usage: {} } })],
      start: (index: number) =>
        block("content_block_start", index, { content_block: { type: "tool_use", id: `t${index}`, name: "f" } }),
      piece: (index: number, partial_json: string) =>
        block("content_block_delta", index, { delta: { type: "input_json_delta", partial_json } }),
      stop: (index: number) => block("content_block_stop", index),
    },
    responses: {
      path: "/responses",
      begin: [typed("response.created", { response: { id: "r", status: "in_progress", output: [] } })],
      start: (index: number) =>
        item("response.output_item.added", index, { item: { type: "function_call", id: `t${index}`, name: "f" } }),
      piece: (index: number, delta: string) => item("response.function_call_arguments.delta", index, { delta }),
      stop: (index: number) =>
        item("response.output_item.done", index, { item: { type: "function_call", id: `t${index}`, name: "f" } }),
    },
  };

  test.for([
    ["messages", LIMIT, LIMIT, "held"],
    ["messages", LIMIT + 1, LIMIT, "held"],
    ["messages", LIMIT, LIMIT + 1, "shown"],
    ["messages", LIMIT + 1, LIMIT + 1, "shown"],
    ["responses", LIMIT, LIMIT, "held"],
    ["responses", LIMIT + 1, LIMIT, "held"],
    ["responses", LIMIT, LIMIT + 1, "shown"],
    ["responses", LIMIT + 1, LIMIT + 1, "shown"],
  ] as const)("%s: after a call of %i bytes, one of %i that is cut is %s", async ([api, first, second, what], { serve }) => {
    const { path, begin: head, start, piece, stop } = calls[api];
    const half = args.slice(0, LIMIT / 2);
    const pieces = (index: number, bytes: number): string[] => [
      start(index),
      piece(index, half),
      piece(index, "b".repeat(bytes - half.length)),
    ];
    const events = [...head, ...pieces(0, first), stop(0), ...pieces(1, second)];
    const { perennial } = await serve([events], { limits: { maxGateBytes: LIMIT }, retry: { maxAttempts: 1 } });
    const seen = await send(perennial.baseUrl + path, { method: "POST", body: '{"model":"m","stream":true}' });
    expect(seen.body).toContain('"t0"');
    expect(seen.body.includes('"t1"')).toBe(what === "shown");
    expect(seen.body).toContain("stream_truncated");
  });
});

describe("how many at a time", () => {
  const ends: (() => void)[] = [];
  beforeEach(() => void ends.splice(0));
  const waits: Answer = (socket) => {
    begin(socket);
    ends.push(() => socket.end(WHOLE.join("")));
  };

  test.for([1, 2])("limits.maxStreams: %i", async (maxStreams, { serve }) => {
    const { perennial } = await serve(waits, { limits: { maxStreams } });
    for (let round = 0; round < 2; round++) {
      const running = Array.from({ length: maxStreams }, () => chat(perennial.baseUrl));
      await expect.poll(() => ends.length, { interval: 5 }).toBe(maxStreams);
      const refused = await chat(perennial.baseUrl);
      expect([refused.status, codeOf(refused)]).toEqual([503, "overloaded"]);
      for (const end of ends.splice(0)) end();
      expect((await Promise.all(running)).map(({ body }) => readStream(body).done)).toEqual(Array(maxStreams).fill(true));
    }
  });

  test.for([0, 1, 2])("auth.maxStreamsPerKey: %i, of 3 in all", async (maxStreamsPerKey, { serve }) => {
    const { perennial } = await serve(waits, { limits: { maxStreams: 3 }, auth: { keys: ["one", "two"], maxStreamsPerKey } });
    const as = (key: string): Promise<Seen> => chat(perennial.baseUrl, {}, { headers: { authorization: `Bearer ${key}` } });
    const most = maxStreamsPerKey === 0 ? 3 : maxStreamsPerKey;
    const running = Array.from({ length: most }, () => as("one"));
    await expect.poll(() => ends.length, { interval: 5 }).toBe(most);
    expect((await as("one")).body).toContain(maxStreamsPerKey === 0 ? "limits.maxStreams" : "auth.maxStreamsPerKey");
    if (most < 3) {
      running.push(as("two"));
      await expect.poll(() => ends.length, { interval: 5 }).toBe(most + 1);
    } else expect((await as("two")).status).toBe(503);
    for (const end of ends.splice(0)) end();
    expect((await Promise.all(running)).every(({ status }) => status === 200)).toBe(true);
  });

  describe("limits.maxClientConnections", () => {
    const sockets: Socket[] = [];
    afterEach(() => {
      for (const socket of sockets.splice(0)) socket.destroy();
    });
    test.for([1, 2, 3])("%i: so many stay, and one more takes the place of the oldest", async (most, { serve }) => {
      const { perennial } = await serve([WHOLE], { limits: { maxClientConnections: most } });
      const closed: number[] = [];
      const openOne = async (): Promise<void> => {
        const number = sockets.length;
        const socket = connect(Number(new URL(perennial.url).port), "127.0.0.1");
        sockets.push(socket);
        socket.on("close", () => closed.push(number));
        await new Promise((resolve) => socket.once("connect", resolve));
        await new Promise((resolve) => setTimeout(resolve, 10));
      };
      for (let i = 0; i < most; i++) await openOne();
      expect(closed).toEqual([]);
      await openOne();
      await expect.poll(() => closed, { interval: 5 }).toEqual([0]);
      await openOne();
      await expect.poll(() => closed, { interval: 5 }).toEqual([0, 1]);
    });
  });
});

describe("retry.maxAttempts", () => {
  test.for([1, 2, 20])("%i", async (maxAttempts, { serve }) => {
    const retry = { maxAttempts, backoff: { initial: "0", jitter: false } };
    const { perennial, upstream } = await serve([jsonReply("{}", "500 No")], { retry });
    const seen = await chat(perennial.baseUrl);
    expect(upstream.requests).toHaveLength(maxAttempts);
    expect(seen.headers["x-perennial-attempts"]).toBe(String(maxAttempts));
  });

  test("20, of which the last answers", async ({ serve }) => {
    const retry = { maxAttempts: 20, backoff: { initial: "0", jitter: false } };
    const { perennial } = await serve([...Array(19).fill([]), WHOLE], { retry });
    expect(readStream((await chat(perennial.baseUrl)).body).done).toBe(true);
  });
});

describe("the configuration knows its limits", () => {
  const isValid = (settings: object): boolean => configSchema.safeParse(settings).success;
  const DAYS = "2147483647ms";
  const OVER = "2147483648ms";
  const TIMES = ["connect", "queue", "firstToken", "idle", "alive", "total", "unstreamed", "stream", "request"];

  test("of numbers", () => {
    for (const [path, least, most] of [
      ["retry.maxAttempts", 1, 20],
      ["limits.maxStreams", 1, undefined],
      ["limits.maxClientConnections", 1, undefined],
      ["auth.maxStreamsPerKey", 0, undefined],
      ["limits.maxBodyBytes", 1, undefined],
      ["limits.maxEventBytes", 1, undefined],
      ["limits.maxGateBytes", 1, undefined],
      ["port", 0, 65_535],
      ["retry.backoff.factor", 1, undefined],
    ] as const) {
      const at = (value: number): unknown[] => [path, value, isValid(nested(path, value))];
      expect(at(least)).toEqual([path, least, true]);
      expect(at(least - 1)).toEqual([path, least - 1, false]);
      if (most !== undefined)
        expect([at(most), at(most + 1)]).toEqual([
          [path, most, true],
          [path, most + 1, false],
        ]);
    }
  });

  test("of durations", () => {
    const mayBeZero = [
      "retry.outage",
      "retry.maxRetryAfter",
      "retry.backoff.initial",
      "retry.backoff.max",
      "heartbeat.after",
      "drain.timeout",
    ];
    const mayNot = [...TIMES.map((name) => `timeouts.${name}`), "heartbeat.every", "gate.holdFor"];
    for (const path of [...mayBeZero, ...mayNot]) {
      const at = (value: unknown): boolean => isValid(nested(path, value));
      expect([path, at(DAYS), at(OVER), at("1ms"), at("0"), at("0ms")]).toEqual([
        path,
        true,
        false,
        true,
        mayBeZero.includes(path),
        mayBeZero.includes(path),
      ]);
    }
  });

  const longest = {
    timeouts: Object.fromEntries(TIMES.map((name) => [name, DAYS])),
    retry: { outage: DAYS, maxRetryAfter: DAYS, backoff: { initial: "1ms", max: DAYS, jitter: false } },
    heartbeat: { after: DAYS, every: DAYS },
    gate: { holdFor: DAYS },
    drain: { timeout: DAYS },
  };
  const { alive: _alive, unstreamed: _unstreamed, ...told } = longest.timeouts;
  const followed = { ...longest, timeouts: told };
  const shortest = {
    retry: { outage: "0", maxRetryAfter: "0", backoff: { initial: "0", max: "0" } },
    heartbeat: { after: "0", every: "1ms" },
    drain: { timeout: "0" },
  };

  test.for([
    ["longest", longest],
    ["longest that others follow from", followed],
    ["shortest", shortest],
  ] as const)("with the %s durations all is served, and no timer overflows", async ([_what, settings], { serve }) => {
    const warnings: string[] = [];
    const onWarning = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
    process.on("warning", onWarning);
    const slow: Answer = async (socket) => {
      begin(socket);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.write(choice({ tool_calls: [{ index: 0, id: "t", function: { name: "f", arguments: "{" } }] }));
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.end(choice({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }) + choice({}, "tool_calls") + DONE);
    };
    const whole: Answer = (socket) => void socket.write(jsonReply(chatAnswer("Hi")));
    const { perennial } = await serve(
      [[], slow, jsonReply("{}", "500 No"), whole, (socket) => sendFramed(socket, "chunked", WHOLE)],
      settings,
    );
    const called = await chat(perennial.baseUrl);
    expect(readStream(called.body)).toMatchObject({ done: true, finish: "tool_calls" });
    expect(JSON.parse((await chat(perennial.baseUrl, { stream: false })).body).choices[0].message.content).toBe("Hi");
    expect((await send(`${perennial.baseUrl}/files`)).status).toBe(200);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  test("a drain of no time ends what runs, and says so", async ({ serve }) => {
    const [role = "", first = ""] = chatEvents(["Hello"]);
    const { perennial, upstream } = await serve([open(role, first)], { drain: { timeout: "0" } });
    const running = chat(perennial.baseUrl);
    await expect.poll(() => upstream.requests.length, { interval: 5 }).toBe(1);
    await perennial.close();
    expect((await running).body).toContain('"draining"');
  });
});

/** `a.b` and a value as `{ a: { b: value } }`. */
function nested(path: string, value: unknown): object {
  return path.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object;
}
