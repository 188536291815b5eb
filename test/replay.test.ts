/** A client that loses its connection comes back for its answer, and gets what it lacks: no byte twice, none left out, nothing asked again. */
import type { Socket } from "node:net";
import { describe, expect } from "vitest";
import { byName } from "./support/dialect-client.ts";
import { type DialectFixture, FIXTURES } from "./support/dialect-fixtures.ts";
import { DONE, STARTED, WHOLE } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { type Asked, type Got, lastId, splitEvents, visit } from "./support/returning-client.ts";
import { type Answer, test } from "./support/test.ts";

/** What breaks is not cut as well, which would take its time. */
const REPLAY = { replay: { linger: "60s" }, interruptEnd: "clean" };
const CHAT = byName("openai-chat");
const bodyOf = (fixture: DialectFixture, fields: object = {}): string =>
  JSON.stringify({ model: "m", stream: true, ...fixture.request, ...fields });

/** An upstream that says so many events of a stream, and the rest when it is told to. */
function inTwo(events: readonly string[], at: number): { answer: Answer; finish(): void } {
  const sockets: Socket[] = [];
  return {
    answer(socket) {
      sockets.push(socket);
      socket.write(STREAM_HEAD + events.slice(0, at).join(""));
    },
    finish() {
      for (const socket of sockets.splice(0)) socket.end(events.slice(at).join(""));
    },
  };
}

const first = (perennial: TestPerennial, fixture: DialectFixture = CHAT, more: Asked = {}): Promise<Got> =>
  visit(perennial.url + fixture.path, {
    body: bodyOf(fixture),
    ...more,
    headers: { "x-perennial-replay": "1", ...more.headers },
  });

interface Left {
  readonly perennial: TestPerennial;
  readonly fixture: DialectFixture;
  readonly stream: string;
  /** Of the last event that it had; undefined where it had none. */
  readonly id: string | undefined;
  readonly key: string;
  readonly onData?: () => void;
}

/** The three ways back. */
const WAYS: Readonly<Record<string, (left: Left) => Promise<Got>>> = {
  "by its address": ({ perennial, stream, id, ...more }) =>
    get(perennial, stream, { ...more, headers: id === undefined ? {} : { "last-event-id": id } }),
  "by Last-Event-ID": ({ perennial, fixture, stream, id, ...more }) =>
    first(perennial, fixture, { ...more, headers: { "last-event-id": id ?? `${stream}:0` } }),
  "by Idempotency-Key": ({ perennial, fixture, key, ...more }) =>
    first(perennial, fixture, { ...more, headers: { "idempotency-key": key } }),
};

const get = (perennial: TestPerennial, stream: string, more: Asked = {}): Promise<Got> =>
  visit(`${perennial.url}/v1/streams/${stream}`, { method: "GET", ...more });

describe.each(FIXTURES)("$name: a client that leaves after any event and comes back", (fixture) => {
  test.for([
    ["whole", fixture.events],
    ["broken", fixture.events.slice(0, fixture.events.findIndex((event) => event.includes("水")) + 1)],
  ] as const)("has exactly what another had that stayed: an answer that is %s", async ([how, events], { serve }) => {
    const { perennial, upstream } = await serve([events], { ...REPLAY, upstream: fixture.upstream, retry: { maxAttempts: 1 } });
    const unbroken = await first(perennial, fixture);
    const { length } = splitEvents(unbroken.body);
    expect(unbroken.body).not.toContain(how === "whole" ? '"error":{' : DONE);
    expect(splitEvents(unbroken.body).map(lastId)).toEqual(
      Array.from({ length }, (_, at) => `${unbroken.headers["x-perennial-stream"]}:${at + 1}`),
    );
    let runs = 1;
    for (let leaveAfter = 0; leaveAfter <= length; leaveAfter++) {
      for (const [way, comeBack] of Object.entries(WAYS)) {
        const key = `${leaveAfter} ${way}`;
        const left = await first(perennial, fixture, { leaveAfter, headers: { "idempotency-key": key } });
        runs++;
        const stream = String(left.headers["x-perennial-stream"]);
        const back = await comeBack({ perennial, fixture, stream, id: lastId(left.body), key });
        const body = way === "by Idempotency-Key" ? back.body : left.body + back.body;
        expect(body, key).toBe(unbroken.body.replaceAll(/^id: \w+/gm, `id: ${stream}`));
      }
    }
    expect(upstream.requests.length).toBe(runs);
  });

  test.for(Object.entries(WAYS))("goes on with it %s where it is still being made", async ([way, comeBack], { serve }) => {
    const { answer, finish } = inTwo(fixture.events, fixture.events.findIndex((event) => event.includes("水")) + 1);
    const { perennial, upstream } = await serve(answer, { ...REPLAY, upstream: fixture.upstream });
    const key = "k";
    const left = await first(perennial, fixture, { leaveAfter: 1, headers: { "idempotency-key": key } });
    const stream = String(left.headers["x-perennial-stream"]);
    const back = await comeBack({ perennial, fixture, stream, id: lastId(left.body), key, onData: finish });
    const body = (way === "by Idempotency-Key" ? "" : left.body) + back.body;
    expect(body.replaceAll(/^id: .*\n/gm, "")).toBe(fixture.events.filter((event) => !event.includes("event: ping")).join(""));
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("what is said of an answer that is kept", () => {
  test("its headers name it and forbid to store it; its silence is broken by lone lines", async ({ serve }) => {
    const { answer, finish } = inTwo(WHOLE, 2);
    const { perennial } = await serve(answer, { ...REPLAY, heartbeat: { after: "20ms", every: "20ms" } });
    const got = await first(perennial, CHAT, {
      headers: { origin: "http://localhost:3000" },
      onData: (text) => text.includes(": keep") && finish(),
    });
    expect(got.headers["x-perennial-stream"]).toMatch(/^[0-9a-f]{32}$/);
    expect(got.headers["cache-control"]).toBe("no-store, no-transform");
    expect(got.headers["access-control-expose-headers"]).toContain("x-perennial-stream");
    expect(got.body).toMatch(/\n\n: keep-alive\ndata: /);
  });

  test("in JSON: how far it has come, its text, and how it ended", async ({ serve }) => {
    const { answer, finish } = inTwo(STARTED, 3);
    const { perennial } = await serve(answer, { ...REPLAY, retry: { maxAttempts: 1 } });
    const { headers } = await first(perennial, CHAT, { leaveAfter: 3 });
    const stream = String(headers["x-perennial-stream"]);
    const tell = async (): Promise<unknown> => {
      const told = await get(perennial, stream, { headers: { accept: "application/json" } });
      expect(told).toMatchObject({ status: 200, headers: { "cache-control": "no-store" } });
      return JSON.parse(told.body);
    };
    expect(await tell()).toEqual({
      id: stream,
      object: "stream",
      state: "running",
      characters: 7,
      events: 3,
      last_event_id: `${stream}:3`,
      text: "Hello, ",
      error: null,
    });
    const rest = get(perennial, stream);
    finish();
    await rest;
    expect(await tell()).toMatchObject({
      state: "failed",
      characters: 12,
      text: "Hello, world",
      error: { code: "stream_truncated" },
    });
  });

  test("the log names no more of its id than tells it from others, and /metrics counts who came back", async ({ serve }) => {
    const { answer, finish } = inTwo(WHOLE, 2);
    const { perennial } = await serve(answer, REPLAY);
    const { headers } = await first(perennial, CHAT, { leaveAfter: 2 });
    const stream = String(headers["x-perennial-stream"]);
    await get(perennial, stream, { onData: finish });
    await get(perennial, stream);
    await perennial.exchangeLog(3);
    expect(JSON.stringify(perennial.log)).not.toContain(stream);
    const lines = perennial.log.filter((line) => "outcome" in line);
    expect(lines.map(({ outcome, stream, cameBack }) => [outcome, stream, cameBack]).sort()).toEqual(
      [
        ["cancelled", stream.slice(0, 8), undefined],
        ["complete", stream.slice(0, 8), "get"],
        ["complete", stream.slice(0, 8), "get"],
      ].sort(),
    );
    const metrics = (await visit(`${perennial.url}/metrics`, { method: "GET" })).body;
    expect(metrics).toMatch(/perennial_come_backs_total\{way="get",found="running"\} 1/);
    expect(metrics).toMatch(/perennial_lingered_seconds_total 0\.\d/);
    expect(metrics).toMatch(/perennial_kept_streams 1\n/);
  });
});

describe("an answer that cannot be given", () => {
  test.for([
    ["its address", (perennial: TestPerennial, id: string) => get(perennial, id)],
    [
      "Last-Event-ID",
      (perennial: TestPerennial, id: string) => first(perennial, CHAT, { headers: { "last-event-id": `${id}:1` } }),
    ],
  ] as const)("is gone where it is not known, asked by %s, and is never begun anew in silence", async ([, ask], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE], REPLAY);
    const got = await ask(perennial, "0".repeat(32));
    expect(got).toMatchObject({ status: 410, headers: { "x-should-retry": "false" } });
    expect(JSON.parse(got.body)).toMatchObject({ error: { code: "stream_gone" } });
    expect(upstream.requests).toHaveLength(0);
  });

  test("is gone after its time, behind its end, and where what follows is not kept any more", async ({ serve }) => {
    const { perennial } = await serve([WHOLE], { replay: { ttl: "250ms", maxStreamBytes: "600B" } });
    const { headers } = await first(perennial);
    const stream = String(headers["x-perennial-stream"]);
    expect(await get(perennial, stream)).toMatchObject({ status: 410 });
    expect(await visit(`${perennial.url}/v1/streams/${stream}?after=7`, { method: "GET" })).toMatchObject({ status: 410 });
    const rest = await visit(`${perennial.url}/v1/streams/${stream}?after=4`, { method: "GET" });
    expect(rest).toMatchObject({ status: 200 });
    expect(lastId(rest.body)).toBe(`${stream}:6`);
    await expect
      .poll(async () => (await visit(`${perennial.url}/v1/streams/${stream}?after=4`, { method: "GET" })).status)
      .toBe(410);
  });

  test("is nobody's but its client's: by its key of ours, or else by the credentials that it brings", async ({ serve }) => {
    const mine = { authorization: "Bearer mine" };
    for (const settings of [{}, { auth: { keys: ["mine", "other"] } }]) {
      const { perennial, upstream } = await serve([WHOLE], { ...REPLAY, ...settings });
      const { headers, body } = await first(perennial, CHAT, { headers: { ...mine, "idempotency-key": "k" } });
      const stream = String(headers["x-perennial-stream"]);
      const asked = async (more: Record<string, string>): Promise<number[]> => {
        const answers = [
          await get(perennial, stream, { headers: more }),
          await get(perennial, stream, { headers: { ...more, accept: "application/json" } }),
          await first(perennial, CHAT, { headers: { ...more, "last-event-id": lastId(body) as string } }),
          await first(perennial, CHAT, { headers: { ...more, "idempotency-key": "k" } }),
        ];
        return answers.map(({ status }) => status);
      };
      expect(await asked({ authorization: "Bearer other" })).toEqual([404, 404, 404, 404]);
      expect((await get(perennial, stream, { method: "DELETE", headers: { authorization: "Bearer other" } })).status).toBe(404);
      expect(await asked(mine)).toEqual([200, 200, 200, 200]);
      expect(upstream.requests).toHaveLength(1);
    }
  });

  test("is not given for another request, and what is no id of ours is the upstream's", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE, WHOLE, jsonReply("{}"), jsonReply("{}")], REPLAY);
    const { body } = await first(perennial, CHAT, { headers: { "idempotency-key": "k" } });
    for (const headers of [{ "idempotency-key": "k" }, { "last-event-id": lastId(body) as string }]) {
      expect(await first(perennial, CHAT, { body: bodyOf(CHAT, { seed: 1 }), headers })).toMatchObject({ status: 422 });
    }
    expect(upstream.requests).toHaveLength(1);
    expect((await first(perennial, CHAT, { headers: { "last-event-id": "7" } })).status).toBe(200);
    expect(upstream.requests[1]?.head).toMatch(/last-event-id: 7\r/i);
    await visit(`${perennial.url}/v1/streams/lookup`, { body: '{"conversation_ids":["c"]}' });
    await get(perennial, "conv-1");
    expect(upstream.requests.map(({ head }) => head.split(" HTTP")[0]).slice(2)).toEqual([
      "POST /v1/streams/lookup",
      "GET /v1/streams/conv-1",
    ]);
  });
});

describe("one request, asked twice", () => {
  const asked = (perennial: TestPerennial, more: Asked & { stream?: boolean }): Promise<Got> =>
    visit(`${perennial.url}/v1/chat/completions`, { body: bodyOf(CHAT, { stream: more.stream ?? true }), ...more });

  test("is one run for both, streamed: who comes second has all of it, and neither has ids that it did not ask for", async ({
    serve,
  }) => {
    const { answer, finish } = inTwo(WHOLE, 3);
    const { perennial, upstream } = await serve(answer, REPLAY);
    const headers = { "idempotency-key": "k" };
    const second: Promise<Got>[] = [];
    const got = await asked(perennial, {
      headers,
      onData: () => second.push(...(second.length === 0 ? [asked(perennial, { headers, onData: finish })] : [])),
    });
    expect([got.body, (await second[0])?.body]).toEqual([WHOLE.join(""), WHOLE.join("")]);
    expect(got.headers["x-perennial-stream"]).toBe((await second[0])?.headers["x-perennial-stream"]);
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests[0]?.head).toMatch(/idempotency-key: k\r/i);
  });

  test("is one run for both, not streamed, in flight and after", async ({ serve }) => {
    const sockets: Socket[] = [];
    const { perennial, upstream } = await serve((socket) => void sockets.push(socket), REPLAY);
    const more = { stream: false, headers: { "idempotency-key": "k" } };
    const both = [asked(perennial, more), asked(perennial, more)];
    await expect
      .poll(async () => (await visit(`${perennial.url}/metrics`, { method: "GET" })).body)
      .toContain('perennial_come_backs_total{way="idempotency_key",found="running"} 1'.replace("_key", "-key"));
    sockets[0]?.write(jsonReply(JSON.stringify(CHAT.answer)));
    const [one, other] = await Promise.all(both);
    const later = await asked(perennial, more);
    expect(one?.body).toBe(JSON.stringify(CHAT.answer));
    expect([other?.body, later.body]).toEqual([one?.body, one?.body]);
    expect(later.headers["cache-control"]).toBe("no-store, no-transform");
    const told = await get(perennial, String(later.headers["x-perennial-stream"]), { headers: { accept: "application/json" } });
    expect(JSON.parse(told.body)).toMatchObject({ state: "whole", text: CHAT.text });
    expect(upstream.requests).toHaveLength(1);
  });

  test("is asked anew where nothing came of it, or where its client gave it up", async ({ serve }) => {
    const { perennial, upstream } = await serve([jsonReply("{}", "400 Bad"), STREAM_HEAD + WHOLE.slice(0, 3).join(""), WHOLE], {
      replay: {},
    });
    const headers = { "idempotency-key": "k", "x-perennial-replay": "1" };
    expect((await asked(perennial, { headers })).status).toBe(400);
    const left = await asked(perennial, { headers, leaveAfter: 2 });
    await perennial.exchangeLog(2);
    expect((await asked(perennial, { headers })).body.replaceAll(/^id: .*\n/gm, "")).toBe(WHOLE.join(""));
    expect(upstream.requests).toHaveLength(3);
    // Who has some of it is told what became of the rest.
    const rest = await get(perennial, String(left.headers["x-perennial-stream"]), {
      headers: { "last-event-id": lastId(left.body) as string },
    });
    expect(rest.body).toContain('"code":"client_gone"');
  });

  test("a retry of an SDK joins only where that is set, and only the same request of the same client", async ({ serve }) => {
    const retry = (count: number, more: Record<string, string> = {}) => ({ "x-stainless-retry-count": String(count), ...more });
    for (const [joinRetries, requests] of [
      [true, 3],
      [false, 4],
    ] as const) {
      const { perennial, upstream } = await serve(
        (socket, { number }) => socket.write(STREAM_HEAD + WHOLE.slice(0, number === 1 ? 3 : WHOLE.length).join("")),
        { replay: { linger: "60s", joinRetries } },
      );
      await asked(perennial, { headers: retry(0), leaveAfter: 2 });
      const joined = asked(perennial, { headers: retry(1), leaveAfter: 3 });
      await joined;
      await asked(perennial, { headers: retry(1, { authorization: "Bearer other" }), leaveAfter: 3 });
      await asked(perennial, { headers: retry(0), leaveAfter: 3 });
      expect(upstream.requests, String(joinRetries)).toHaveLength(requests);
    }
  });
});

describe("leaving", () => {
  /** Resolves when the upstream's connection is gone. */
  const watched = (events: readonly string[], at: number) => {
    const { answer, finish } = inTwo(events, at);
    let gone: () => void;
    const left = new Promise<void>((resolve) => {
      gone = resolve;
    });
    return {
      finish,
      left,
      answer: ((socket, request) => {
        socket.on("close", () => gone());
        answer(socket, request);
      }) as Answer,
    };
  };

  test.for([
    ["at once by default", {}, { "x-perennial-replay": "1" }],
    ["at once where replay was not asked for", { linger: "60s" }, {}],
    ["after the time that is set", { linger: "50ms" }, { "x-perennial-replay": "1" }],
  ] as const)("ends the run %s", async ([, replay, headers], { serve }) => {
    const { answer, left } = watched(WHOLE, 3);
    const { perennial } = await serve(answer, { replay });
    await visit(`${perennial.url}/v1/chat/completions`, { body: bodyOf(CHAT), headers, leaveAfter: 2 });
    await left;
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
  });

  test("leaves it to a client that listens still", async ({ serve }) => {
    const sockets: Socket[] = [];
    const { perennial, upstream } = await serve(
      (socket) => {
        sockets.push(socket);
        socket.write(STREAM_HEAD + WHOLE.slice(0, 3).join(""));
      },
      { replay: {} },
    );
    const say = (events: readonly string[]): void => void sockets[0]?.write(events.join(""));
    let second: Promise<Got> | undefined;
    const left = await first(perennial, CHAT, {
      onData(text) {
        second ??= get(perennial, /^id: (\w+)/m.exec(text)?.[1] ?? "", {
          onData: (got) => got.includes(":3\n") && say(WHOLE.slice(3, 4)),
        });
      },
      leaveAfter: 4,
    });
    expect(left.end).toBe("left");
    say(WHOLE.slice(4));
    expect((await second)?.body).toMatch(/\[DONE\]\nid: .*\n\n$/);
    expect(upstream.requests).toHaveLength(1);
  });

  test("for good: DELETE ends it for all who listen, and forgets it", async ({ serve }) => {
    const { answer, left } = watched(WHOLE, 3);
    const { perennial } = await serve(answer, REPLAY);
    let deleted: Promise<Got> | undefined;
    const got = await first(perennial, CHAT, {
      onData: (text) => {
        deleted ??= get(perennial, /^id: (\w+)/m.exec(text)?.[1] ?? "", { method: "DELETE" });
      },
    });
    expect(got.body).toContain('"code":"client_gone"');
    expect(got.body).not.toContain(DONE);
    expect((await deleted)?.status).toBe(204);
    await left;
    for (const method of ["GET", "DELETE"])
      expect((await get(perennial, String(got.headers["x-perennial-stream"]), { method })).status).toBe(410);
  });

  test("does not keep Perennial from ending", async ({ serve }) => {
    const { answer, left } = watched(WHOLE, 3);
    const { perennial } = await serve(answer, { ...REPLAY, drain: { timeout: "60s" } });
    await first(perennial, CHAT, { leaveAfter: 2 });
    await perennial.close();
    await left;
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
  });
});

test("while replay is not set, nothing is: neither ids nor a name, and every path is the upstream's", async ({ serve }) => {
  const { perennial, upstream } = await serve([WHOLE, WHOLE, jsonReply("{}", "404 No")]);
  for (let n = 0; n < 2; n++) {
    const got = await first(perennial, CHAT, { headers: { "idempotency-key": "k" } });
    expect(got.body).toBe(WHOLE.join(""));
    expect(got.headers).not.toHaveProperty("x-perennial-stream");
    expect(got.headers["cache-control"]).toBe("no-cache, no-transform");
  }
  expect((await get(perennial, "0".repeat(32))).status).toBe(404);
  expect(upstream.requests).toHaveLength(3);
});
