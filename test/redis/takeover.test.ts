/** Replicas that are killed, or stopped for a while, in mid-answer: another one goes on, and nobody is told a thing twice, or another one. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { eventsOf } from "../support/background-response.ts";
import type { TestPerennial } from "../support/perennial.ts";
import { chatAnswer, chatEvents, jsonReply, type RawRequest, sendFramed } from "../support/raw-upstream.ts";
import { STREAM_HEAD } from "../support/replies.ts";
import { type Asked, type Got, lastId, splitEvents, visit } from "../support/returning-client.ts";
import type { SpawnedPerennial } from "../support/spawn-perennial.ts";
import { type Tools, test } from "../support/test.ts";
import { keptKeys } from "./kept-keys.ts";
import { type RedisProcess, startRedis, startWay } from "./redis-process.ts";

const PROMPT = "the-secret-prompt";
const KEY = "the-secret-key";
const OURS = "our-own-key";
const WORDS = [
  "A",
  " stream",
  " is",
  " a",
  " small",
  " promise",
  ": the",
  " first",
  " word",
  " comes",
  " before",
  " the last",
  " is known.",
];
const TEXT = WORDS.join("");
const EVENTS = chatEvents(WORDS);
/** Enough of it to go on from. */
const BEFORE = 11;
const BEFORE_IN_BACKGROUND = 7;

let redis: RedisProcess;
let url: string;
let client: Redis;
beforeAll(async () => {
  redis = await startRedis();
  url = `redis://127.0.0.1:${redis.port}/0`;
  client = new Redis(url);
});
afterAll(async () => {
  client.disconnect();
  await redis.close();
});

beforeEach(() => client.flushall());

const pathOf = (model: string): string => (model === "background" ? "/v1/responses" : "/v1/chat/completions");
const questionTo = (model: string): object => ({
  model,
  stream: model !== "unstreamed",
  temperature: 0,
  ...(model === "background" ? { input: PROMPT } : { messages: [{ role: "user", content: PROMPT }] }),
});
const ask = (to: { url: string }, model: string, more: Asked = {}): Promise<Got> =>
  visit(to.url + pathOf(model), {
    body: JSON.stringify(questionTo(model)),
    ...more,
    headers: {
      authorization: `Bearer ${KEY}`,
      cookie: `session=${KEY}`,
      "openai-organization": KEY,
      "x-perennial-replay": "1",
      "idempotency-key": `${KEY} ${model}`,
      ...more.headers,
    },
  });
const withoutIds = (body: string): string => body.replaceAll(/^id: .*\n/gm, "").replaceAll(/^: .*\n\n?/gm, "");
const numbersOf = (body: string): number[] => splitEvents(body).map((event) => Number(lastId(event)?.split(":")[1]));
const textOf = (body: string): string =>
  [...body.matchAll(/^data: (\{.*)$/gm)].map(([, json = "{}"]) => JSON.parse(json).choices?.[0]?.delta.content ?? "").join("");

const lineOf = ({ head }: RawRequest): string => head.split("\r\n", 1)[0] ?? "";
const begin = (socket: Socket, count: number): unknown => socket.write(STREAM_HEAD + EVENTS.slice(0, count).join(""));

type Answer = (socket: Socket, request: RawRequest) => unknown;

/** What each upstream does for who asks first, and for who asks again. */
const UPSTREAMS: Record<string, { settings: object; first: Answer; again?: Answer }> = {
  native: {
    settings: { profile: "llamacpp", recovery: "resume" },
    first: (socket) => begin(socket, BEFORE),
    again: (socket) => sendFramed(socket, "chunked", EVENTS),
  },
  background: {
    settings: { recovery: "resume", resume: { background: true } },
    first: (socket) => socket.write(STREAM_HEAD + eventsOf(true).slice(0, BEFORE_IN_BACKGROUND).join("")),
    again: (socket, request) => {
      const after = Number(/responses\/resp_1\?stream=true&starting_after=(\d+)/.exec(request.head)?.[1]);
      sendFramed(socket, "chunked", eventsOf(true).slice(after + 1));
    },
  },
  proved: {
    settings: { recovery: "continue", continuation: "assistant" },
    first: (socket) => begin(socket, BEFORE),
    again: (socket, request) => {
      const rest = TEXT.slice(request.json.messages.at(-1).content.length);
      sendFramed(socket, "chunked", chatEvents([rest.slice(0, 9), rest.slice(9)]));
    },
  },
  another: {
    settings: { recovery: "continue", continuation: "assistant" },
    first: (socket) => begin(socket, BEFORE),
    again: (socket) => sendFramed(socket, "chunked", chatEvents(["Sure", "! Here it is", " again."])),
  },
  again: {
    settings: { recovery: "continue", continuation: "rerun" },
    first: (socket) => begin(socket, BEFORE),
    again: (socket) => sendFramed(socket, "chunked", EVENTS),
  },
  nothing: {
    settings: { recovery: "error" },
    first: (socket) => begin(socket, 1),
    again: (socket) => sendFramed(socket, "chunked", EVENTS),
  },
  refused: {
    settings: { recovery: "error" },
    first: (socket) => begin(socket, 1),
    again: (socket) => socket.end(jsonReply('{"error":{"message":"no"}}', "400 Bad Request")),
  },
  unstreamed: {
    settings: { recovery: "error" },
    first: () => {},
    again: (socket) => socket.end(jsonReply(chatAnswer(TEXT))),
  },
  off: { settings: { recovery: "error" }, first: (socket) => begin(socket, BEFORE) },
};

const PROVED = UPSTREAMS.proved as (typeof UPSTREAMS)[string];

/** One whose first answer goes on when it is told to, with other words than the second. */
function startedTwice() {
  let socket: Socket | undefined;
  return {
    upstream: {
      ...PROVED,
      first: (to: Socket) => {
        socket = to;
        begin(to, BEFORE);
      },
    },
    goOn: () => socket?.write(chatEvents([" and", " other", " words."]).slice(1).join("")),
  };
}

interface Fleet {
  readonly one: SpawnedPerennial;
  readonly other: TestPerennial;
  readonly third: () => Promise<TestPerennial>;
  /** What each upstream was asked. */
  readonly asked: Record<string, RawRequest[]>;
}

/** One replica that is a process of its own, and another; each with all the upstreams, and a model of each one's name. */
async function startFleet(
  {
    startUpstream,
    startPerennial,
    spawnPerennial,
    closing,
  }: Pick<Tools, "startUpstream" | "startPerennial" | "spawnPerennial" | "closing">,
  { kinds = UPSTREAMS, of = url }: { kinds?: typeof UPSTREAMS; of?: string } = {},
): Promise<Fleet> {
  const asked: Record<string, RawRequest[]> = {};
  const list: object[] = [];
  for (const [name, { settings, first, again }] of Object.entries(kinds)) {
    const requests: RawRequest[] = [];
    asked[name] = requests;
    const { baseUrl } = await startUpstream((socket, request) => {
      // What is looked up beside, and by other tests that know this port from before.
      if (!/^POST|^GET \/v1\/(?:stream|responses)/.test(request.head) || !request.head.includes(OURS))
        return socket.end(jsonReply("{}", "404 Not Found"));
      if (requests.push(request) === 1) return first(socket, request);
      return again?.(socket, request);
    });
    list.push({ name, baseUrl, apiKey: OURS, only: [name], ...settings });
  }
  const settings = { upstreams: list, replay: {}, interruptEnd: "clean", retry: { maxAttempts: 1 } };
  const folder = await mkdtemp(join(tmpdir(), "perennial-takeover-"));
  closing({ close: () => rm(folder, { recursive: true }) });
  const file = join(folder, "perennial.yaml");
  await writeFile(file, JSON.stringify({ port: 0, ...settings, store: { url: of, takeover: true } }));
  const one = await spawnPerennial(["--config", file]);
  const other = await startPerennial(undefined, { ...settings, store: { url, takeover: true } });
  const third = (): Promise<TestPerennial> => startPerennial(undefined, { ...settings, store: { url, takeover: true } });
  return { one, other, third, asked };
}

/** All that stands in Redis. */
async function allThatIsKept(): Promise<string> {
  const kept = await keptKeys(client);
  for (const { key, ttlMs } of kept) expect(ttlMs, key).toBeGreaterThan(0);
  return kept.map(({ key, text }) => key + text).join("\n");
}

test("a replica that is killed: another one goes on as recovery allows, for each way back, and nothing is told twice", async ({
  startUpstream,
  startPerennial,
  spawnPerennial,
  closing,
}) => {
  const { one, other, asked } = await startFleet({ startUpstream, startPerennial, spawnPerennial, closing });
  const names = Object.keys(UPSTREAMS);
  const given: Record<string, string> = {};
  const first = names.map((name) =>
    ask(one, name, {
      onData: (text) => {
        given[name] = (given[name] ?? "") + text;
      },
    }).catch(() => undefined),
  );
  const isBroughtTo = (count: number) => Object.values(given).filter((body) => splitEvents(body).length >= count).length;
  await expect.poll(() => isBroughtTo(BEFORE), { timeout: 20_000 }).toBe(names.length - 4);
  await expect.poll(() => splitEvents(given.background ?? "").length).toBe(BEFORE_IN_BACKGROUND);
  await expect
    .poll(() => names.map((name) => asked[name]?.map(lineOf)))
    .toEqual(names.map((name) => [`POST ${pathOf(name)} HTTP/1.1`]));
  const kept = await allThatIsKept();
  expect(kept).toContain(PROMPT);
  expect(kept).not.toMatch(new RegExp(`${KEY}|${OURS}`));
  await one.stop("SIGKILL");
  const left = await Promise.all(first);

  const back = await Promise.all(
    names.map(async (name, index) => {
      const had = left[index]?.body ?? "";
      // Those that have got nothing know their key alone.
      if (lastId(had) === undefined) return { had: "", got: await ask(other, name) };
      const byAddress = visit(`${other.url}/v1/streams/${lastId(had)?.split(":")[0]}`, {
        method: "GET",
        headers: { authorization: `Bearer ${KEY}`, "last-event-id": lastId(had) ?? "" },
      });
      const [got, all] = await Promise.all([
        ask(other, name, { headers: { "last-event-id": lastId(had) ?? "" } }),
        ask(other, name),
      ]);
      // Whatever its way: the same answer.
      expect((await byAddress).body.replaceAll(/^: .*\n/gm, ""), name).toBe(got.body.replaceAll(/^: .*\n/gm, ""));
      expect(withoutIds(had + got.body), name).toBe(withoutIds(all.body));
      return { had, got };
    }),
  );
  const told = Object.fromEntries(names.map((name, index) => [name, (back[index]?.had ?? "") + back[index]?.got.body]));
  for (const name of ["native", "again", "nothing"]) expect(withoutIds(told[name] ?? ""), name).toBe(EVENTS.join(""));
  expect(withoutIds(told.background ?? "")).toBe(eventsOf(false).join(""));
  expect(textOf(told.proved ?? "")).toBe(TEXT);
  expect(told.proved).toContain("[DONE]");
  for (const name of ["off", "another"]) {
    expect(textOf(told[name] ?? ""), name).toBe(WORDS.slice(0, BEFORE - 1).join(""));
    expect(told[name], name).toMatch(/"message":"Incomplete stream: the replica of Perennial that made the answer has ended\./);
    expect(told[name], name).not.toContain("[DONE]");
  }
  expect(told.another).toContain("It could not be continued (tail).");
  expect(back[names.indexOf("refused")]?.got.status).toBe(400);
  expect(told.unstreamed).toBe(chatAnswer(TEXT));
  for (const name of names.filter((name) => name !== "refused" && name !== "unstreamed")) {
    const numbers = numbersOf(told[name] ?? "");
    expect(numbers, name).toEqual(numbers.map((_, at) => at + 1));
  }
  for (const name of names) expect(asked[name]?.map(lineOf).length, name).toBe(name === "off" ? 1 : 2);
  // With a key of ours, and none of the client's.
  for (const requests of Object.values(asked)) {
    for (const { head } of requests.slice(1)) expect(head).not.toContain(KEY);
  }
  await expect.poll(() => other.log.filter(({ takenOver }) => takenOver).length).toBe(names.length);
  const ends = other.log.filter(({ takenOver }) => takenOver).map(({ model, outcome, by }) => [model, outcome, by]);
  expect(Object.fromEntries(ends.map(([model, ...end]) => [model, end.filter(Boolean).join(" ")]))).toEqual({
    native: "resumed native",
    background: "resumed native",
    proved: "resumed answer",
    again: "resumed rerun",
    another: "interrupted",
    nothing: "recovered",
    unstreamed: "recovered",
    refused: "failed",
    off: "interrupted",
  });
  const metrics = (await visit(`${other.url}/metrics`, { method: "GET" })).body;
  expect(metrics).toContain('perennial_takeovers_total{outcome="resumed"} 4');
  // What was asked is of no use any more.
  const after = await allThatIsKept();
  expect(after).not.toMatch(new RegExp(`${PROMPT}|${KEY}|${OURS}`));
});

/** Asks, and waits until the client has so many events. @returns its answer, when that is over; and what it has by now */
async function begun(to: { url: string }, model: string, count = BEFORE) {
  let had = "";
  const got = ask(to, model, {
    onData: (text) => {
      had += text;
    },
  });
  await expect.poll(() => splitEvents(had).length, { timeout: 20_000 }).toBe(count);
  return { got, had, last: lastId(had) ?? "", stream: lastId(had)?.split(":")[0] ?? "" };
}

const journalOf = (stream: string): Promise<unknown> => client.xrange(`perennial:events:${stream}`, "-", "+");

test("a replica that was stopped for a while writes and tells nothing any more: its client is given what the other one made", async ({
  startUpstream,
  startPerennial,
  spawnPerennial,
  closing,
}) => {
  const { upstream, goOn } = startedTwice();
  const tools = { startUpstream, startPerennial, spawnPerennial, closing };
  const { one, other, asked } = await startFleet(tools, { kinds: { stopped: upstream } });
  const { got, had, last, stream } = await begun(one, "stopped");
  one.process.kill("SIGSTOP");
  const rest = await ask(other, "stopped", { headers: { "last-event-id": last } });
  expect(textOf(had + rest.body)).toBe(TEXT);
  const journal = await journalOf(stream);
  goOn();
  one.process.kill("SIGCONT");
  const told = await got;
  expect(withoutIds(told.body)).toBe(withoutIds(had + rest.body));
  expect(numbersOf(told.body)).toEqual(numbersOf(told.body).map((_, at) => at + 1));
  expect(await journalOf(stream)).toEqual(journal);
  // Nor does what it is asked from now on come from before.
  const again = await ask(one, "stopped", { headers: { "last-event-id": last } });
  expect(withoutIds(again.body)).toBe(withoutIds(rest.body));
  expect(asked.stopped).toHaveLength(2);
});

test("a replica that is cut off from Redis goes on by itself, and what only it has told is nobody else's to go on from", async ({
  startUpstream,
  startPerennial,
  spawnPerennial,
  closing,
}) => {
  const way = closing(await startWay(redis.port));
  const { upstream, goOn } = startedTwice();
  const tools = { startUpstream, startPerennial, spawnPerennial, closing };
  const { one, other } = await startFleet(tools, { kinds: { cut: upstream }, of: way.url });
  const { got, had, last, stream } = await begun(one, "cut");
  way.freeze();
  const elsewhere = ask(other, "cut", { headers: { "last-event-id": last } });
  goOn();
  const alone = await got;
  expect(alone.end).toBe("clean");
  expect(textOf(alone.body)).toBe(`${textOf(had)} and other words.`);
  expect(textOf(had + (await elsewhere).body)).toBe(TEXT);
  // What one has told is found there alone, and what the other has told is not.
  const numbers = numbersOf(alone.body);
  expect(numbers.slice(BEFORE)).toEqual(numbers.slice(BEFORE).map((_, at) => 10 ** 12 + BEFORE + at + 1));
  const from = (to: { url: string }, number = 0) =>
    ask(to, "cut", { headers: { "last-event-id": `${stream}:${number}` } }).then(({ status, body }) => [
      status,
      withoutIds(body),
    ]);
  const rest = withoutIds(
    splitEvents(alone.body)
      .slice(BEFORE + 1)
      .join(""),
  );
  expect(await from(one, numbers[BEFORE])).toEqual([200, rest]);
  expect((await from(other, numbers[BEFORE]))[0]).toBe(410);
  expect((await from(one, BEFORE + 1))[0]).toBe(410);
  expect(await from(one, BEFORE)).toEqual([200, withoutIds(splitEvents(alone.body).slice(BEFORE).join(""))]);
  way.thaw();
});

test("several replicas that notice it at once: one of them goes on; and none does for the third time", async ({
  startUpstream,
  startPerennial,
  spawnPerennial,
  closing,
}) => {
  const tools = { startUpstream, startPerennial, spawnPerennial, closing };
  const { one, other, third, asked } = await startFleet(tools, { kinds: { proved: PROVED, again: PROVED, lost: PROVED } });
  const another = await third();
  const [first, second, lost] = [await begun(one, "proved"), await begun(one, "again"), await begun(one, "lost")];
  await client.hset(`perennial:stream:${second.stream}`, "takeovers", 2);
  await one.stop("SIGKILL");
  await Promise.all([first.got, second.got, lost.got]);
  // As a server does that may forget what it has no room for.
  await client.del(`perennial:events:${lost.stream}`);
  const back = (to: { url: string }, model: string, last: string) => ask(to, model, { headers: { "last-event-id": last } });
  const both = [other, another, other, another].map((to) => back(to, "proved", first.last));
  const last = back(other, "again", second.last);
  const anew = back(other, "lost", `${lost.stream}:0`);
  for (const { body } of await Promise.all(both)) expect(textOf(first.had + body)).toBe(TEXT);
  expect(asked.proved).toHaveLength(2);
  expect((await anew).body).not.toContain("word");
  const { body } = await last;
  expect(body).toContain("the replica of Perennial that made the answer has ended");
  expect([asked.again?.length, asked.lost?.length]).toEqual([1, 1]);
  expect([...other.log, ...another.log].filter(({ takenOver }) => takenOver)).toHaveLength(2);
});

test("without takeover no request is kept, not even while its answer is made", async ({ startUpstream, startPerennial }) => {
  const upstream = await startUpstream((socket) => begin(socket, BEFORE));
  const one = await startPerennial(upstream.baseUrl, { store: url, replay: { linger: "10s" } });
  await ask(one, "m", { leaveAfter: BEFORE });
  const kept = await allThatIsKept();
  expect(kept).toContain("promise");
  expect(kept).not.toMatch(new RegExp(`${PROMPT}|${KEY}`));
});

const LONG = Array.from({ length: 400 }, (_, n) => ` word${n}`);

/** Says a word every few milliseconds, and all at once to who asks again. */
const FLOWING: typeof UPSTREAMS = {
  flowing: {
    settings: { recovery: "continue", continuation: "rerun" },
    first: async (socket) => {
      socket.write(STREAM_HEAD);
      for (const event of chatEvents(LONG)) {
        if (!socket.write(event) || socket.destroyed) await new Promise((resolve) => setTimeout(resolve, 20));
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      socket.end();
    },
    again: (socket) => sendFramed(socket, "chunked", chatEvents(LONG)),
  },
};

test.for(["killed", "stopped for a while"] as const)(
  "a replica that is %s while words flow: whatever its clients have by then is followed by the rest, to the letter",
  async (how, { startUpstream, startPerennial, spawnPerennial, closing }) => {
    const kinds = Object.fromEntries(
      [1, 2, 3, 4, 5, 6].map((n) => [`flowing${n}`, FLOWING.flowing] as const),
    ) as typeof UPSTREAMS;
    const { one, other } = await startFleet({ startUpstream, startPerennial, spawnPerennial, closing }, { kinds });
    const hads: Record<string, string> = {};
    const first = Object.keys(kinds).map((model, n) =>
      new Promise((resolve) => setTimeout(resolve, n * 83)).then(() =>
        ask(one, model, {
          onData: (text) => {
            hads[model] = (hads[model] ?? "") + text;
          },
        }),
      ),
    );
    const fewest = (): number => Math.min(...Object.keys(kinds).map((model) => splitEvents(hads[model] ?? "").length));
    await expect.poll(fewest, { timeout: 20_000, interval: 20 }).toBeGreaterThan(3);
    if (how === "killed") await one.stop("SIGKILL");
    else one.process.kill("SIGSTOP");
    const rests = await Promise.all(
      Object.keys(kinds).map((model) => ask(other, model, { headers: { "last-event-id": lastId(hads[model] ?? "") ?? "" } })),
    );
    one.process.kill("SIGCONT");
    const lefts = await Promise.all(first);
    for (const [n, [model, had]] of Object.entries(hads).entries()) {
      const whole = how === "killed" ? (lefts[n]?.body ?? "") + rests[n]?.body : (lefts[n]?.body ?? "");
      expect(textOf(whole), model).toBe(LONG.join(""));
      expect(numbersOf(whole), model).toEqual(numbersOf(whole).map((_, at) => at + 1));
      // What had come by the time at which it was stopped may be less than what was on its way.
      expect(textOf(had + rests[n]?.body).startsWith(textOf(had)), model).toBe(true);
    }
  },
);

test("a request that nobody could have asked is not asked, whoever has written it into the store", async ({
  startUpstream,
  startPerennial,
  spawnPerennial,
  closing,
}) => {
  const tools = { startUpstream, startPerennial, spawnPerennial, closing };
  const { one, other, asked } = await startFleet(tools, { kinds: { off: UPSTREAMS.off as (typeof UPSTREAMS)[string] } });
  const { got, last, stream } = await begun(one, "off");
  await one.stop("SIGKILL");
  await got;
  const meta = `perennial:stream:${stream}`;
  const request = JSON.parse((await client.hget(meta, "asked")) ?? "");
  await client.hset(meta, "asked", JSON.stringify({ ...request, path: "/../admin/chat/completions" }));
  const { body } = await ask(other, "off", { headers: { "last-event-id": last } });
  expect(body).toContain('"code":"invalid_request"');
  expect(asked.off).toHaveLength(1);
});
