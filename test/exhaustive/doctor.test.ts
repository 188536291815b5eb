/** The doctor before every stand-in and every fault, and that what it proposes holds: then clients get whole answers. */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { beforeAll, describe, expect } from "vitest";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { FAULTS } from "../../src/chaos/registry.ts";
import { configSchema } from "../../src/config/schema.ts";
import type { Verdict } from "../../src/doctor/report.ts";
import { runDoctor } from "../../src/doctor/run-doctor.ts";
import { chat, readStream } from "../support/client.ts";
import { examine, ills, isStreamed, models, routes, saidOf } from "../support/doctor.ts";
import { choice, DONE, STARTED, WHOLE } from "../support/events.ts";
import { chatAnswer, jsonReply, type RawRequest } from "../support/raw-upstream.ts";
import { atOnce, late } from "../support/replies.ts";
import { test } from "../support/test.ts";

const KEY = "S3CRET-key";

describe("before every fault", () => {
  /** Those that are whole, or that Perennial makes whole as it is. */
  const GOOD =
    "ok slow drip wrong-length gzip continue-first json filtered no-done big-event crlf cr bom comments null-events azure tools reasoning long flood".split(
      " ",
    );
  /** Those that a setting mends. */
  const MENDED: Readonly<Record<string, object>> = {
    "done-without-finish": { finish: "done", nonStreaming: "viaStream" },
    // Its JSON would wait for the end of its body.
    "hold-open": { nonStreaming: "viaStream" },
  };
  /** What is wrong with the streamed answer of the others: no setting helps there. */
  const BROKEN: Readonly<Record<string, string>> = {
    upstream_unreachable: "close reset-before-headers garbage",
    upstream_status: "500 502 503 504 408 409 400 422 429 429-ms 429-date no-retry retry-400",
    first_token_timeout: "stall-first stall-headers",
    stream_stalled: "stall stall-comments stall-error",
    empty_stream: "null empty role-only done-only comments-only whole-empty metas",
    stream_truncated: "reset truncate truncate-event cut cut-reset eof error-ollama goes-on two-choices tools-cut reasoning-cut",
    stream_corrupted: "html half-json raw-text stray-part debris bad-utf8 many-choices",
    upstream_error_event:
      "json-error error-event error-string error-vllm error-vllm-flat error-fastchat error-sglang error-lmstudio error-named error-field error-text error-pretty error-base-resp error-finish error-abort",
  };
  /** A fault of the key, or of the model's name. */
  const ELSEWHERE: Readonly<Record<string, string>> = { "401": "key", "404": "models" };
  const broken = Object.entries(BROKEN).flatMap(([code, names]) => names.split(" ").map((name) => [name, code] as const));
  const SMALLER: Readonly<Record<string, string>> = {
    slow: "5",
    flood: "200000",
    "big-event": "65536",
    long: "50",
    metas: "200000",
  };
  /** Silent for ever: no more patience than is needed. */
  const isSilent = (name: string): boolean => name.startsWith("stall") || name === "hold-open";
  const modelOf = (name: string): string => `chaos/${SMALLER[name] === undefined ? name : `${name}:${SMALLER[name]}`}`;

  const chaos = createChaosServer({ tokenDelayMs: 0 });
  const verdicts = new Map<string, Verdict>();
  beforeAll(async () => {
    const { url } = await chaos.listen();
    const names = FAULTS.map(({ name }) => name);
    const next = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        verdicts.set(name, await examine(url, { model: modelOf(name), ...(isSilent(name) ? { patienceMs: 3_000 } : {}) }));
      }
    };
    await Promise.all(Array.from({ length: 8 }, next));
    return () => chaos.close();
  }, 180_000);
  const verdictOn = (name: string): Verdict => verdicts.get(name) as Verdict;

  test("there is a verdict on each", () => {
    const known = [...GOOD, ...Object.keys(MENDED), ...broken.map(([name]) => name), ...Object.keys(ELSEWHERE)];
    expect(known.sort()).toEqual(FAULTS.map(({ name }) => name).sort());
  });

  test.for(broken)("%s is ✖ %s", ([name, code]) => {
    expect(ills(verdictOn(name))).toMatchObject({ streamed: "fault" });
    expect(saidOf(verdictOn(name), "streamed")).toContain(`(${code})`);
  });

  test.for(Object.entries(ELSEWHERE))("%s is ✖ at %s, and said once", ([name, check]) => {
    expect(ills(verdictOn(name))).toEqual({ [check]: "fault" });
  });

  test.for([...GOOD, ...Object.keys(MENDED)])(
    "%s is no ✖, and with what is proposed clients get whole answers",
    async (name, { startPerennial }) => {
      const verdict = verdictOn(name);
      expect(Object.values(ills(verdict))).not.toContain("fault");
      const { baseUrl, ...upstream } = verdict.proposal;
      expect(upstream).toEqual(MENDED[name] ?? {});
      const perennial = await startPerennial(String(baseUrl), { upstream });
      const streamed = await chat(perennial.baseUrl, { model: modelOf(name) });
      expect(readStream(streamed.body)).toMatchObject({ done: true, errorCode: undefined });
      const unstreamed = await chat(perennial.baseUrl, { model: modelOf(name), stream: false });
      expect([unstreamed.status, unstreamed.end]).toEqual([200, "clean"]);
      expect(JSON.parse(unstreamed.body.replace("\uFEFF", "")).choices).toHaveLength(1);
    },
    30_000,
  );
});

describe("before each stand-in", () => {
  test("ChatGLM3 is known, and with its profile its short answers are streamed", async ({ closing, startPerennial }) => {
    const chaos = closing(createChaosServer({ as: "chatglm3", firstRequestMs: 50, tokenDelayMs: 0 }));
    const verdict = await examine((await chaos.listen()).url);
    expect(ills(verdict)).toEqual({ profile: "note", streamed: "note" });
    const { baseUrl, ...upstream } = verdict.proposal;
    expect(upstream).toEqual({ profile: "chatglm3" });
    const perennial = await startPerennial(String(baseUrl), { upstream });
    const seen = await chat(perennial.baseUrl, { model: "chatglm3-6b", messages: [{ role: "user", content: "1+1=?" }] });
    expect(readStream(seen.body)).toMatchObject({ text: "2", done: true });
  });

  test.for(["chatchat-0.2", "chatchat-0.3"] as const)(
    "%s is known, and its routes are watched",
    async (as, { closing, startPerennial }) => {
      const chaos = closing(createChaosServer({ as, tokenDelayMs: 0 }));
      const verdict = await examine((await chaos.listen()).url);
      expect(ills(verdict)).toEqual({ profile: "note" });
      const { baseUrl, ...upstream } = verdict.proposal;
      expect(upstream).toEqual({ profile: "chatchat" });
      const perennial = await startPerennial(String(baseUrl), { upstream });
      const [path, fields] =
        as === "chatchat-0.2"
          ? ["/chat/chat", { query: "x" }]
          : ["/chat/chat/completions", { messages: [{ role: "user", content: "x" }] }];
      const reply = await fetch(perennial.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...fields, stream: true }),
      });
      await reply.text();
      expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", dialect: expect.stringContaining("chatchat") });
    },
  );

  test("the sandbox has nothing to mend", async ({ closing }) => {
    const chaos = closing(createChaosServer({ tokenDelayMs: 0 }));
    const { url } = await chaos.listen();
    const verdict = await examine(url);
    expect(ills(verdict)).toEqual({});
    expect(verdict.proposal).toEqual({ baseUrl: url });
    expect(verdict.spent).toMatchObject({ questions: 2, tokens: expect.any(Number) });
  });
});

const refusal = (status: number, body: object): string => {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} No\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
};

describe("of a server with one ill", () => {
  const CHAT = "POST /v1/chat/completions";
  const answered = (): string | Buffer => jsonReply(chatAnswer("2"));
  const rows: [ill: string, table: Parameters<typeof routes>[0], upstream: object, found: object, proposed: object][] = [
    [
      "that streams nothing, and answers whole",
      { [CHAT]: (request) => (isStreamed(request) ? atOnce([]) : answered()) },
      {},
      { streamed: "note" },
      { emptyFallback: "next" },
    ],
    [
      "that cuts what is not streamed",
      { [CHAT]: (request) => (isStreamed(request) ? atOnce(WHOLE) : jsonReply('{"choices":[{"ind')) },
      {},
      { unstreamed: "note" },
      { nonStreaming: "viaStream" },
    ],
    [
      "without [DONE], under requireDone",
      { [CHAT]: (request) => (isStreamed(request) ? atOnce([...STARTED, choice({}, "stop")]) : answered()) },
      { requireDone: true },
      { streamed: "note" },
      { requireDone: false },
    ],
    [
      "without a finish",
      { [CHAT]: (request) => (isStreamed(request) ? atOnce([...STARTED, DONE]) : answered()) },
      {},
      { streamed: "note" },
      { finish: "done" },
    ],
  ];
  test.for(rows)(
    "%s, the setting that mends it is proposed",
    async ([_ill, table, upstream, found, proposed], { startUpstream, startPerennial }) => {
      const server = await startUpstream(routes({ "GET /v1/models": models, ...table }));
      const verdict = await examine(server.baseUrl, { upstream });
      expect(ills(verdict)).toEqual(found);
      const { baseUrl, ...settings } = verdict.proposal;
      expect(settings).toEqual(proposed);
      const perennial = await startPerennial(String(baseUrl), { upstream: settings });
      expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, errorCode: undefined });
      expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
    },
  );

  test("that redirects, the address is proposed", async ({ startUpstream, startPerennial }) => {
    const server = await startUpstream(routes({ [CHAT]: (request) => (isStreamed(request) ? atOnce(WHOLE) : answered()) }));
    const moved = (path: string) => (): string =>
      `HTTP/1.1 308 Moved\r\nlocation: ${server.baseUrl}${path}\r\ncontent-length: 0\r\n\r\n`;
    const old = await startUpstream(routes({ "GET /v1/models": moved("/models"), [CHAT]: moved("/chat/completions") }));
    const verdict = await examine(old.baseUrl);
    expect(ills(verdict)).toMatchObject({ redirect: "fault" });
    expect(verdict.proposal).toEqual({ baseUrl: server.baseUrl });
    const perennial = await startPerennial(String(verdict.proposal.baseUrl));
    expect(readStream((await chat(perennial.baseUrl)).body).done).toBe(true);
  });

  test("whose /v1 is missing in baseUrl, it is proposed", async ({ startUpstream, startPerennial }) => {
    const chats = (request: RawRequest) => (isStreamed(request) ? atOnce(WHOLE) : answered());
    const server = await startUpstream(routes({ "GET /v1/models": models, [CHAT]: chats }));
    const verdict = await examine(server.baseUrl.replace("/v1", ""));
    expect(ills(verdict)).toEqual({ baseUrl: "fault" });
    expect(verdict.proposal).toEqual({ baseUrl: server.baseUrl });
    const perennial = await startPerennial(String(verdict.proposal.baseUrl));
    expect(readStream((await chat(perennial.baseUrl)).body).done).toBe(true);
  });

  test("that is nearly too late, a longer timeouts.firstToken is proposed", async ({ startUpstream, startPerennial }) => {
    let waitMs = 1_600;
    const chats = (request: RawRequest) =>
      late(waitMs, isStreamed(request) ? atOnce(WHOLE) : (socket) => socket.write(answered()));
    const server = await startUpstream(routes({ "GET /v1/models": models, [CHAT]: chats }));
    const verdict = await examine(server.baseUrl, { upstream: { timeouts: { firstToken: "2s" } } });
    expect(ills(verdict)).toEqual({ firstToken: "note" });
    const { baseUrl, ...upstream } = verdict.proposal;
    expect(upstream).toEqual({ timeouts: { firstToken: "1m" } });
    // A longer question.
    waitMs = 2_500;
    const perennial = await startPerennial(String(baseUrl), { upstream });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true, errorCode: undefined });
    expect(await perennial.exchangeLog()).toMatchObject({ attempts: [{ n: 1 }] });
  });

  const keys: [what: string, reply: string, upstream: object, says: string][] = [
    ["refused", refusal(401, { error: { message: `no ${KEY}` } }), { apiKey: KEY }, "the key is refused (401)"],
    ["missing", refusal(401, { error: { message: "no" } }), {}, "has got none"],
    ["empty", refusal(402, { error: { message: "Insufficient Balance" } }), { apiKey: KEY }, "account of the key is empty"],
    [
      "empty, as a rate limit",
      refusal(429, { error: { code: "insufficient_quota", message: "You exceeded your current quota" } }),
      { apiKey: KEY },
      "account of the key is empty",
    ],
  ];
  test.for(keys)(
    "whose key is %s, it is said once, and never the key",
    async ([_what, reply, upstream, says], { startUpstream }) => {
      const server = await startUpstream(routes({ "GET /v1/models": models, [CHAT]: () => reply }));
      const verdict = await examine(server.baseUrl, { upstream });
      expect(ills(verdict)).toEqual({ key: "fault" });
      expect(saidOf(verdict, "key")).toContain(says);
      expect(JSON.stringify(verdict)).not.toContain(KEY);
    },
  );

  test.for([
    [{ balance: 0 }, "fault"],
    [{ balance: "-0.2" }, "fault"],
    [{ data: { available_balance: 12.5 } }, undefined],
    [{ balance_infos: [{ total_balance: "0.00" }] }, "fault"],
    [{ object: "list" }, undefined],
  ])("whose account says %j, the balance is %s", async ([usage, mark], { startUpstream }) => {
    const server = await startUpstream(
      routes({
        "GET /v1/models": models,
        "GET /v1/usage": () => jsonReply(JSON.stringify(usage)),
        [CHAT]: (request) => (isStreamed(request) ? atOnce(WHOLE) : answered()),
      }),
    );
    expect(ills(await examine(server.baseUrl, { upstream: { apiKey: KEY } })).balance).toBe(mark);
  });

  test("the first model that can chat is asked", async ({ startUpstream }) => {
    const server = await startUpstream(routes({ "GET /v1/models": models }));
    await examine(server.baseUrl);
    expect(server.requests.at(-1)?.json).toMatchObject({ model: "m" });
  });
});

describe("on the way to a server", () => {
  test("an unknown name, a closed port and a proxy that is none are told apart", async ({ startUpstream }) => {
    expect(ills(await examine("http://nowhere.invalid/v1"))).toEqual({ resolves: "fault" });
    const gone = await startUpstream(() => {});
    await gone.close();
    expect(ills(await examine(gone.baseUrl))).toEqual({ connects: "fault" });
    const env = { http_proxy: "socks5://user:S3CRET@proxy.example" };
    const proxied = await examine("http://server.example/v1", { env });
    expect(ills(proxied)).toEqual({ proxy: "fault" });
    expect(JSON.stringify(proxied)).not.toContain("S3CRET");
  });

  test("a certificate of an unknown authority is ✖, and with ca it is not", async ({ closing }) => {
    const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname;
    const tls = { cert: readFileSync(fixture("server.pem")), key: readFileSync(fixture("server-key.pem")) };
    const server = createServer(tls, (_request, response) => response.end("{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing({ close: () => void server.close() });
    const baseUrl = `https://localhost:${(server.address() as AddressInfo).port}/v1`;
    expect(ills(await examine(baseUrl))).toMatchObject({ tls: "fault", connects: "fault" });
    expect(ills(await examine(baseUrl, { upstream: { ca: fixture("ca.pem") } }))).not.toHaveProperty("tls");
  });
});

test("the list, the proposal and the exit code are for people; --json is for programs", async ({ closing }) => {
  const chaos = closing(createChaosServer({ as: "chatglm3", firstRequestMs: 0, tokenDelayMs: 0 }));
  const { url } = await chaos.listen();
  const config = configSchema.parse({ upstreams: [{ baseUrl: url, apiKey: KEY }] });
  const written: string[] = [];
  const write = (text: string): unknown => written.push(text);
  expect(await runDoctor({ config, env: {}, patienceMs: 3_000 }, write)).toBe(0);
  const text = written.join("");
  expect(text).toContain("▲ profile");
  expect(text).toContain("profile: chatglm3\n");
  expect(text).toMatch(/This cost: 2 small questions, \d+ tokens\./);
  expect(text).not.toContain(KEY);
  const broken = configSchema.parse({ upstreams: [{ baseUrl: "http://nowhere.invalid/v1" }] });
  expect(await runDoctor({ config: broken, env: {}, json: true }, write)).toBe(1);
  expect(JSON.parse(written.at(-1) ?? "")).toMatchObject({
    upstreams: [{ findings: expect.arrayContaining([expect.objectContaining({ check: "resolves", mark: "fault" })]) }],
    proposal: { upstreams: [{ baseUrl: "http://nowhere.invalid/v1" }] },
  });
});
