/** What /dashboard tells, to whom, and what it keeps to itself; the page itself is seen by a browser in test/browser. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createParser } from "eventsource-parser";
import Fastify from "fastify";
import { expect, onTestFinished } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import { registerDashboard } from "../src/server/dashboard/dashboard-routes.ts";
import { readPage } from "../src/server/dashboard/page-files.ts";
import { createSessions } from "../src/server/dashboard/sessions.ts";
import { chat, codeOf, send } from "./support/client.ts";
import { chatAnswer, chatEvents, frame, jsonReply, NOBODY, sendFramed } from "./support/raw-upstream.ts";
import { open } from "./support/replies.ts";
import { test } from "./support/several-upstreams.ts";

const KEY = "k-0123456789";
const HTML = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const answer = chatEvents(["Hello"]);

interface Feed {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what is told
  readonly told: any[];
  readonly status: number;
  /** Resolves with the server's end of it. */
  readonly ended: Promise<void>;
}

function openFeed(url: string, headers: Record<string, string> = {}): Promise<Feed> {
  return new Promise((resolve, reject) => {
    const outgoing = get(`${url}/dashboard/feed`, { headers, agent: false }, (response) => {
      // biome-ignore lint/suspicious/noExplicitAny: as above
      const told: any[] = [];
      const parser = createParser({ onEvent: ({ data }) => told.push(JSON.parse(data)) });
      response.setEncoding("utf8").on("data", (text: string) => parser.feed(text));
      const ended = new Promise<void>((done) => response.once("close", done));
      resolve({ told, status: response.statusCode ?? 0, ended });
    });
    outgoing.on("error", reject);
    onTestFinished(() => void outgoing.destroy());
  });
}

test("a browser at the root is led to the dashboard, and a program is told what this is", async ({ serve }) => {
  const { perennial } = await serve([answer]);
  const browser = await send(perennial.url, { headers: HTML });
  expect([browser.status, browser.headers.location]).toEqual([302, "dashboard"]);
  for (const headers of [{}, { accept: "*/*" }, { accept: "application/json" }]) {
    const program = await send(perennial.url, { headers: headers as Record<string, string> });
    expect([program.status, JSON.parse(program.body).name]).toEqual([200, "Perennial"]);
  }
});

test("where the root is the upstream's, a browser gets what is the upstream's", async ({ serve }) => {
  const page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\npage";
  const { perennial, upstream } = await serve([page], { upstream: { profile: "chatchat" } });
  expect((await send(perennial.url, { headers: HTML })).body).toBe("page");
  expect(upstream.requests).toHaveLength(1);
  const feed = await openFeed(perennial.url);
  expect(feed.status).toBe(200);
});

test("dashboard: false leaves nothing at its paths but what is the upstream's", async ({ serve }) => {
  const off = await serve([answer], { dashboard: false });
  for (const path of ["/dashboard", "/dashboard/feed", "/dashboard/streams/x"]) {
    expect((await send(off.perennial.url + path)).status).toBe(404);
  }
  expect((await send(off.perennial.url, { headers: HTML })).status).toBe(200);
  const page = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npage";
  const rooted = await serve([page], { dashboard: false, upstream: { profile: "chatchat" } });
  expect((await send(`${rooted.perennial.url}/dashboard`)).body).toBe("page");
  expect((await send(`${rooted.perennial.url}/dashboard/login`, { method: "POST", body: "key=x" })).body).toBe("page");
  expect(rooted.upstream.requests.at(-1)?.body).toBe("key=x");
});

test.for([
  ["nothing set", {}, { text: false }],
  ["keys", { host: "0.0.0.0", auth: { keys: [KEY] } }, { text: false }],
  ["open: true alone", { host: "0.0.0.0", open: true }, false],
  ["open: true in its old place", { host: "0.0.0.0", auth: { open: true } }, false],
  ["open: true, and switched on by hand", { host: "0.0.0.0", open: true, dashboard: true }, { text: false }],
  ["switched on by hand", { dashboard: true }, { text: false }],
  ["nothing in it", { dashboard: {} }, { text: false }],
  ["texts", { dashboard: { text: true } }, { text: true }],
  ["texts, open to those who have a key", { open: true, auth: { keys: [KEY] }, dashboard: { text: true } }, { text: true }],
  ["switched off by hand", { dashboard: false }, false],
] as const)("with %s it is there or not", ([, settings, expected]) => {
  expect(configSchema.parse(settings).dashboard).toEqual(expected);
});

test("what others ask is not shown to everybody", () => {
  for (const settings of [{ open: true }, { auth: { open: true } }]) {
    const { error } = configSchema.safeParse({ ...settings, dashboard: { text: true } });
    expect(error?.issues).toMatchObject([{ path: ["dashboard", "text"], message: expect.stringContaining("auth.keys") }]);
  }
});

test("a stream is seen while it runs, and found by its id when it has ended", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket, request) =>
    request.number === 1
      ? sendFramed(socket, "chunked", [])
      : open(...chatEvents(["Hello"], { finish: null, done: false }))(socket, request),
  );
  const feed = await openFeed(perennial.url);
  const seen = chat(perennial.baseUrl, { model: "qwen", messages: [{ role: "user", content: "S3CRET" }] });
  await expect.poll(() => feed.told.at(-1)?.open).toMatchObject({ count: 1, flowing: 1 });
  const [running] = feed.told.at(-1).open.streams;
  expect(running).toMatchObject({ model: "qwen", upstream: "main", state: { at: "flowing" }, characters: 5 });
  expect(running.attempts).toMatchObject([
    { n: 1, failure: "empty_stream", fault: "upstream" },
    { n: 2, running: true },
  ]);
  for (const socket of upstream.sockets) socket.end();
  const { headers } = await seen;
  expect(headers["x-perennial-id"]).toBe(running.id);
  const found = JSON.parse((await send(`${perennial.url}/dashboard/streams/${running.id}`)).body);
  expect(found.state).toMatchObject({ at: "ended", outcome: "interrupted", failure: "stream_truncated", fault: "upstream" });
  await expect.poll(() => feed.told.at(-1)?.causes).toHaveLength(2);
  const unknown = await send(`${perennial.url}/dashboard/streams/${"0".repeat(36)}`);
  expect([unknown.status, JSON.parse(unknown.body)]).toEqual([200, { unknown: true }]);
  expect(JSON.stringify([feed.told, found])).not.toMatch(/S3CRET|Hello/);
});

test("it tells the limits of upstreams, and of very many keys those of a part", async ({ serve }) => {
  const keys = Array.from({ length: 70 }, (_, n) => ({ key: `S3CRET-${n}`, name: `app-${n}`, rate: { requests: "5/h" } }));
  const { perennial } = await serve([frame("chunked", answer)], { upstream: { rate: { concurrent: 3 } }, auth: { keys } });
  const headers = { authorization: "Bearer S3CRET-1" };
  await chat(perennial.baseUrl, {}, { headers });
  const feed = await openFeed(perennial.url, headers);
  await expect.poll(() => feed.told.length).toBeGreaterThan(0);
  const { rates, limitedKeyCount } = feed.told[0];
  expect(limitedKeyCount).toBe(70);
  expect(rates).toHaveLength(51);
  expect(rates[0]).toMatchObject({ scope: "upstream", name: "main", limits: [{ what: "concurrent", limit: 3, used: 0 }] });
  expect(rates[2]).toMatchObject({ scope: "key", name: "app-1", limits: [{ what: "requests", limit: 5, used: 1 }] });
  expect(JSON.stringify(feed.told)).not.toContain("S3CRET");
});

test("it says of each upstream what rests, why and until when, and nothing of its keys", async ({ inFrontOf }) => {
  const whole = frame("chunked", answer);
  const byKey = (socket: Socket, { head }: { head: string }): unknown =>
    socket.write(head.includes("k1-S3CRET") ? jsonReply("{}", "401 Who") : jsonReply("{}", "500 Oops"));
  const settings = { apiKeys: ["k1-S3CRET", "k2-S3CRET"], maxConnections: 8 };
  const { perennial } = await inFrontOf([NOBODY, { reply: byKey, settings }, whole], {
    breaker: { failures: 1, rest: "1m" },
    retry: { maxAttempts: 5, outage: "9s", backoff: { initial: 0 } },
  });
  // The keys take turns, and each model rests once one of them was answered 500.
  for (const model of ["m", "n", "o", "p", "q"]) {
    expect((await chat(perennial.baseUrl, { model })).headers["x-perennial-upstream"]).toBe("c");
  }
  const feed = await openFeed(perennial.url);
  await expect.poll(() => feed.told.length).toBeGreaterThan(0);
  const { upstreams, upstreamCount, retries } = feed.told[0];
  expect(upstreams).toMatchObject([
    {
      ...{ name: "a", host: "127.0.0.1:1", breaker: "closed", keys: [], open: 0 },
      rests: [{ why: "outage", failure: "upstream_unreachable", waiting: 0 }],
    },
    {
      ...{ name: "b", breaker: "open", maxConnections: 8 },
      counts: { outage: 0, breaker: 5 },
      keys: [{ number: 1, rest: { why: "refused", status: 401 } }, { number: 2 }],
    },
    { name: "c", rests: [], keys: [], breaker: "closed" },
  ]);
  expect(upstreams[1].rests[0]).toMatchObject({
    part: "m",
    why: "breaker",
    failure: "upstream_status",
    status: 500,
    isAsked: false,
  });
  expect(upstreams[1].rests[0].waitMs).toBeGreaterThan(30_000);
  expect([upstreamCount, retries.made > 0]).toEqual([3, true]);
  expect(JSON.stringify(feed.told)).not.toContain("S3CRET");
});

test("a request that nobody can answer now is held, and the upstream says how many wait for it", async ({ startPerennial }) => {
  const retry = { outage: "20s", backoff: { initial: "10s", jitter: false } };
  const perennial = await startPerennial(`${NOBODY}/v1`, { retry, drain: { timeout: "0" } });
  const feed = await openFeed(perennial.url);
  const clients = [chat(perennial.baseUrl), chat(perennial.baseUrl), chat(perennial.baseUrl)].map((each) => each.catch(() => {}));
  await expect.poll(() => feed.told.at(-1)?.upstreams[0].rests[0]?.waiting).toBe(3);
  const { open, upstreams } = feed.told.at(-1);
  expect(upstreams[0]).toMatchObject({ name: "main", breaker: "off", rests: [{ failure: "upstream_unreachable" }] });
  expect(open.held + open.retrying).toBe(3);
  await perennial.close();
  await Promise.all(clients);
});

test.for([
  ["", {}],
  [", of answers that are kept too", { replay: {} }],
])(
  "prompts and answers are shown where dashboard.text has it so, on a stream's own page and nowhere else%s",
  async ([, more], { serve }) => {
    const piece = (...contents: string[]): string[] => chatEvents(contents, { finish: null, done: false });
    const replies = [
      frame("chunked", chatEvents(["S3CRET ", "answer"])),
      jsonReply(chatAnswer("S3CRET whole")),
      piece("S3CRET part"),
    ];
    const { perennial, upstream } = await serve(replies, { dashboard: { text: true }, retry: { maxAttempts: 1 }, ...more });
    const feed = await openFeed(perennial.url);
    const messages = [{ role: "user", content: "S3CRET <b>prompt" }];
    const pageOf = async (stream: boolean) => {
      const { headers } = await chat(perennial.baseUrl, { messages, stream }, { headers: { "x-perennial-replay": "1" } });
      return JSON.parse((await send(`${perennial.url}/dashboard/streams/${headers["x-perennial-id"]}`)).body);
    };
    const pages = [await pageOf(true), await pageOf(false), await pageOf(true)];
    const asked = [{ role: "user", text: "S3CRET <b>prompt", leftOut: 0 }];
    expect(pages.map(({ texts }) => [texts.prompt, texts.answer])).toEqual(
      ["S3CRET answer", "S3CRET whole", "S3CRET part"].map((text) => [asked, [{ kind: "text", text }]]),
    );
    await expect.poll(() => feed.told.at(-1)?.total).toBe(3);
    const metrics = (await send(`${perennial.url}/metrics`)).body;
    expect(JSON.stringify([feed.told, perennial.log, metrics])).not.toContain("S3CRET");
    expect(feed.told.at(-1)).toMatchObject({ showsTexts: true });
    await perennial.reload(configSchema.parse({ port: 0, upstreams: [{ baseUrl: upstream.baseUrl }] }));
    expect((await send(`${perennial.url}/dashboard/streams/${pages[0].id}`)).body).not.toContain("S3CRET");
  },
);

test("heartbeats are counted", async ({ startUpstream, startPerennial }) => {
  const upstream = await startUpstream(async (socket) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    sendFramed(socket, "chunked", answer);
  });
  const perennial = await startPerennial(upstream.baseUrl, { heartbeat: { after: "20ms", every: "20ms" } });
  const { headers } = await chat(perennial.baseUrl);
  const found = JSON.parse((await send(`${perennial.url}/dashboard/streams/${headers["x-perennial-id"]}`)).body);
  expect(found.heartbeats).toBeGreaterThan(0);
});

test("where keys are set, a form takes one into a cookie that opens the dashboard and nothing else", async ({ serve }) => {
  const { perennial } = await serve([answer], { auth: { keys: [KEY, "other-key"] } });
  const { url } = perennial;
  for (const path of ["/dashboard/feed", "/dashboard/streams/x", "/dashboard/try?model=chaos/ok"]) {
    const { status, body } = await send(url + path);
    expect([path, status, codeOf({ body })]).toEqual([path, 401, "unauthorized"]);
  }
  const form = { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } };
  const wrong = await send(`${url}/dashboard/login`, { ...form, body: "key=nonsense" });
  expect([wrong.status, wrong.headers.location, wrong.headers["set-cookie"]]).toEqual([303, "../dashboard?key=wrong", undefined]);
  const right = await send(`${url}/dashboard/login`, { ...form, body: `key=${KEY}` });
  expect([right.status, right.headers.location]).toEqual([303, "../dashboard"]);
  const [set = ""] = right.headers["set-cookie"] as string[];
  expect(set).toMatch(/^perennial-dashboard-\d+=[\w-]{43}; Max-Age=\d+; HttpOnly; SameSite=Strict$/);
  expect(set).not.toContain(KEY);
  const cookie = set.split(";", 1)[0] as string;
  expect((await openFeed(url, { cookie })).status).toBe(200);
  expect((await openFeed(url, { authorization: `Bearer ${KEY}` })).status).toBe(200);
  expect((await openFeed(url, { cookie: cookie.replace(/.$/, "-") })).status).toBe(401);
  expect((await send(`${url}/v1/models`, { headers: { cookie } })).status).toBe(401);
  expect((await send(`${url}/metrics`, { headers: { cookie } })).status).toBe(401);
  const out = await send(`${url}/dashboard/logout`, { ...form, headers: { cookie } });
  expect([out.status, String(out.headers["set-cookie"])]).toEqual([303, expect.stringContaining("Max-Age=0")]);
});

test("a key that is taken away closes the page that was opened with it", async ({ serve }) => {
  const { perennial, upstream } = await serve([answer], { auth: { keys: [KEY] } });
  const feed = await openFeed(perennial.url, { authorization: `Bearer ${KEY}` });
  await perennial.reload(
    configSchema.parse({ port: 0, upstreams: [{ baseUrl: upstream.baseUrl }], auth: { keys: ["another"] } }),
  );
  await feed.ended;
  expect(feed.told.length).toBeLessThan(4);
});

test("no other page may ask, not even one of this machine", async ({ serve }) => {
  const { perennial } = await serve([answer]);
  for (const site of ["cross-site", "same-site"]) {
    for (const path of ["/dashboard/feed", "/dashboard/streams/x", "/dashboard/try?model=chaos/ok"]) {
      expect((await send(perennial.url + path, { headers: { "sec-fetch-site": site } })).status).toBe(403);
    }
    expect((await send(`${perennial.url}/dashboard/login`, { method: "POST", headers: { "sec-fetch-site": site } })).status).toBe(
      403,
    );
  }
  expect((await send(`${perennial.url}/dashboard/feed`, { headers: { host: "evil.example" } })).status).toBe(403);
});

test("what streams answers GET alone, and the page HEAD too", async ({ serve }) => {
  const { perennial } = await serve([answer]);
  for (const path of ["/dashboard/feed", "/dashboard/try?model=chaos/ok"]) {
    expect((await send(perennial.url + path, { method: "HEAD" })).status).toBe(404);
  }
  expect((await send(`${perennial.url}/dashboard`, { method: "HEAD" })).status).not.toBe(404);
});

test("an open page does not keep Perennial from ending", async ({ serve }) => {
  const { perennial } = await serve([answer]);
  const feed = await openFeed(perennial.url);
  const began = performance.now();
  await perennial.close();
  await feed.ended;
  expect(performance.now() - began).toBeLessThan(1_800);
});

test("the sandbox is asked both ways, and what comes is told as it comes", async ({ startPerennial }) => {
  const perennial = await startPerennial(undefined);
  const attempt = async (way: string, model = "chaos/empty,ok") => {
    const { body } = await send(`${perennial.url}/dashboard/try?way=${way}&model=${model}`);
    // biome-ignore lint/suspicious/noExplicitAny: tests look into what is told
    const told: any[] = [];
    createParser({ onEvent: ({ data }) => told.push(JSON.parse(data)) }).feed(body);
    return { told, text: told.map(({ read = "" }) => read).join(""), end: told.at(-1)?.end };
  };
  expect(await attempt("direct")).toMatchObject({ told: [{ head: { status: 200, attempts: 1 } }, { end: "clean" }], text: "" });
  const through = await attempt("through");
  expect(through.told[0]).toMatchObject({ head: { status: 200, attempts: 2, id: expect.any(String) } });
  expect(through.text).toMatch(/\[DONE\]\n\n$/);
  expect((await attempt("direct", "chaos/truncate:3")).end).toBe("cut");
  expect((await send(`${perennial.url}/dashboard/try?way=through&model=gpt-4o`)).status).toBe(400);
});

test("there is nothing to try with an upstream of one's own, or with keys", async ({ serve, startPerennial }) => {
  const { perennial } = await serve([answer]);
  expect((await send(`${perennial.url}/dashboard/try?model=chaos/ok`)).status).toBe(404);
  const keyed = await startPerennial(undefined, { auth: { keys: [KEY] } });
  const headers = { authorization: `Bearer ${KEY}` };
  expect((await send(`${keyed.url}/dashboard/try?model=chaos/ok`, { headers })).status).toBe(404);
});

test("the page and its files come with a strict policy, and say whether a key is needed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "perennial-page-"));
  mkdirSync(join(folder, "dashboard"));
  writeFileSync(join(folder, "index.html"), '<html data-locked="no">');
  writeFileSync(join(folder, "dashboard/index-1.js"), "let a;");
  let hasKey = false;
  const app = Fastify();
  onTestFinished(() => app.close());
  registerDashboard(app, {
    current: () => ({ view: () => ({}), find: () => undefined, sessions: createSessions([KEY]), tryUrl: undefined }),
    checkKey: () => {
      if (!hasKey) throw new Error("no key");
    },
    otherwise: () => "",
    page: readPage(folder),
  });
  const page = await app.inject("/dashboard");
  expect(page.body).toContain('data-locked="yes"');
  hasKey = true;
  expect((await app.inject("/dashboard")).body).toContain('data-locked="no"');
  const policy = String(page.headers["content-security-policy"]);
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:|data:/);
  const script = await app.inject("/dashboard/index-1.js");
  expect(script.headers).toMatchObject({ "content-type": "text/javascript; charset=utf-8", "x-content-type-options": "nosniff" });
  expect((await app.inject("/dashboard/")).headers.location).toBe("../dashboard");
  for (const path of ["/dashboard/nothing.js", "/dashboard/..%2findex.html", "/dashboard/../../package.json"]) {
    expect((await app.inject(path)).statusCode).toBe(404);
  }
});

test("where the page was not built, it says how", async () => {
  const app = Fastify();
  onTestFinished(() => app.close());
  const dashboard = { view: () => ({}), find: () => undefined, sessions: createSessions([]), tryUrl: undefined };
  registerDashboard(app, { current: () => dashboard, checkKey: () => {}, otherwise: () => "", page: readPage("/nowhere") });
  const { statusCode, body } = await app.inject("/dashboard");
  expect([statusCode, body]).toEqual([503, expect.stringContaining("npm run build")]);
});
