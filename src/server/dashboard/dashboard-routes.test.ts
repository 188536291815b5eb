/** What each path of the dashboard answers, to the last header. */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import Fastify, { type FastifyInstance } from "fastify";
import { expect, it, onTestFinished } from "vitest";
import { type Dashboard, registerDashboard } from "./dashboard-routes.ts";
import type { Page } from "./page-files.ts";
import { createSessions } from "./sessions.ts";

const KEY = "k-0123456789";
const SAFE = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};
const file = (type: string) => ({ type, body: Buffer.from("file") });
const PAGE: Page = {
  open: Buffer.from("open"),
  locked: Buffer.from("locked"),
  files: new Map([["a.js", file("text/javascript; charset=utf-8")]]),
};

interface Setup {
  readonly keys?: readonly string[];
  readonly page?: Page | undefined;
  readonly dashboard?: Partial<Dashboard>;
  readonly server?: object;
}

function open({ keys = [], dashboard = {}, server = {}, ...more }: Setup = {}): FastifyInstance {
  const app = Fastify({ ...server, forceCloseConnections: true });
  onTestFinished(() => app.close());
  app.setErrorHandler((error: Error & { code?: string; status?: number }, _request, reply) => {
    reply.code(error.status ?? 500).send({ code: error.code, message: error.message });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send("nothing"));
  const shown = {
    view: () => ({ n: 1 }),
    find: () => undefined,
    sessions: createSessions(keys),
    tryUrl: undefined,
    ...dashboard,
  };
  registerDashboard(app, {
    current: () => shown,
    checkKey({ headers }) {
      if (keys.length > 0 && headers.authorization !== `Bearer ${KEY}`) throw Object.assign(new Error("no key"), { status: 401 });
    },
    otherwise: () => "",
    page: "page" in more ? more.page : PAGE,
  });
  return app;
}

/** Status, headers but for those of every answer, and the body. */
async function ask(app: FastifyInstance, url: string, headers: Record<string, string> = {}, payload?: string) {
  const method = payload === undefined ? "GET" : "POST";
  const answer = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
  const framing = ["date", "connection", "content-length", "transfer-encoding"];
  const others = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !framing.includes(name)));
  return [answer.statusCode, others, answer.body];
}

it("gives the page to everybody, locked where a key is needed, and says how it is built where it is not there", async () => {
  const html = { ...SAFE, "cache-control": "no-store", "content-type": "text/html; charset=utf-8" };
  expect(await ask(open(), "/dashboard")).toEqual([200, html, "open"]);
  const keyed = open({ keys: [KEY] });
  expect(await ask(keyed, "/dashboard")).toEqual([200, html, "locked"]);
  expect(await ask(keyed, "/dashboard", { authorization: `Bearer ${KEY}` })).toEqual([200, html, "open"]);
  expect(await ask(open({ page: undefined }), "/dashboard")).toEqual([
    503,
    { ...html, "content-type": "text/plain; charset=utf-8" },
    "The dashboard's page is not built here: npm run build\n",
  ]);
});

it("gives its files for good, since their names change with what is in them", async () => {
  const app = open();
  const kept = { ...SAFE, "cache-control": "public, max-age=31536000, immutable" };
  expect(await ask(app, "/dashboard/a.js")).toEqual([200, { ...kept, "content-type": "text/javascript; charset=utf-8" }, "file"]);
  expect(await ask(app, "/dashboard/b.js")).toMatchObject([404, {}, "nothing"]);
  expect(await ask(open({ page: undefined }), "/dashboard/a.js")).toMatchObject([404, {}, "nothing"]);
  expect(await ask(app, "/dashboard/")).toEqual([302, { location: "../dashboard" }, ""]);
});

it("tells of a stream what is known, also where it is only promised", async () => {
  const headers = { ...SAFE, "cache-control": "no-store", "content-type": "application/json; charset=utf-8" };
  const app = open({ dashboard: { find: (id) => (id === "s 1" ? Promise.resolve({ id }) : undefined) } });
  expect(await ask(app, "/dashboard/streams/s%201")).toEqual([200, headers, '{"id":"s 1"}']);
  expect(await ask(app, "/dashboard/streams/s2")).toEqual([200, headers, '{"unknown":true}']);
});

it("takes a key out of a form, and sends the browser back to the page", async () => {
  const app = open({ keys: [KEY] });
  const token = createSessions([KEY]).open(KEY);
  const set = (value: string, age: number): object => ({
    "set-cookie": `perennial-dashboard-undefined=${value}; Max-Age=${age}; HttpOnly; SameSite=Strict`,
  });
  const back = { location: "../dashboard" };
  const login = (form: string) => ask(app, "/dashboard/login", { "content-type": "application/x-www-form-urlencoded" }, form);
  expect(await login(`key=+${KEY}%0A`)).toEqual([303, { ...back, ...set(String(token), 604_800) }, ""]);
  for (const form of ["key=no", "key=", "other=1"]) {
    expect(await login(form)).toEqual([303, { location: "../dashboard?key=wrong" }, ""]);
  }
  expect((await login(`key=${"k".repeat(8 * 1024)}`))[0]).toBe(413);
  expect(await ask(app, "/dashboard/logout", {}, "")).toEqual([303, { ...back, ...set("", 0) }, ""]);
  const cookie = `other=1; perennial-dashboard-undefined=${token}`;
  expect((await ask(app, "/dashboard/streams/x", { cookie }))[0]).toBe(200);
  expect((await ask(app, "/dashboard/streams/x", { cookie: `${cookie}x` }))[0]).toBe(401);
});

it("answers no page but its own", async () => {
  const app = open();
  const foreign = JSON.stringify({ code: "unauthorized", message: "Only the dashboard's own page may ask for this." });
  const asked = [
    ["/dashboard/feed"],
    ["/dashboard/streams/x"],
    ["/dashboard/try"],
    ["/dashboard/login", ""],
    ["/dashboard/logout", ""],
  ];
  for (const [path = "", payload] of asked) {
    for (const site of ["same-site", "cross-site"]) {
      const [status, , body] = await ask(app, path, { "sec-fetch-site": site }, payload);
      expect([path, status, body]).toEqual([path, 403, foreign]);
    }
  }
  for (const site of ["same-origin", "none"])
    expect((await ask(app, "/dashboard/streams/x", { "sec-fetch-site": site }))[0]).toBe(200);
});

it("says what there is to try, and where nothing is", async () => {
  const why = async (dashboard: Partial<Dashboard>, query: string): Promise<unknown[]> => {
    const [status, , body] = await ask(open({ dashboard }), `/dashboard/try${query}`);
    return [status, JSON.parse(String(body)).message];
  };
  expect(await why({}, "?model=chaos/ok")).toEqual([404, "There is no sandbox to try it with."]);
  const tryUrl = "http://127.0.0.1:1/v1";
  for (const query of ["", "?model=gpt-4", "?model=xchaos/ok", "?model=chaos/OK", `?model=chaos/${"a".repeat(81)}`])
    expect(await why({ tryUrl }, query)).toEqual([400, "Name a fault of the sandbox, such as chaos/empty,ok."]);
  // Nobody listens there: what it was told is the end alone.
  const stream = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store, no-transform" };
  expect(await ask(open({ dashboard: { tryUrl } }), "/dashboard/try?model=chaos/ok&way=direct")).toEqual([
    200,
    { ...stream, "x-content-type-options": "nosniff" },
    'data: {"end":"cut"}\n\n',
  ]);
});

it("lets so many pages look at a time, and tells one more when to come again", async () => {
  const app = open();
  const look = () => app.inject({ url: "/dashboard/feed", payloadAsStream: true });
  const [page] = await Promise.all(Array.from({ length: 64 }, look));
  expect(await ask(app, "/dashboard/feed")).toEqual([503, { "retry-after": "10" }, ""]);
  await app.close();
  expect(String(Buffer.concat((await page?.stream().toArray()) ?? []))).toBe('data: {"n":1}\n\n');
  expect(page?.headers).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
  });
});

it("over TLS its cookie goes nowhere else, and the front door is asked over TLS as well", async () => {
  const pem = (name: string): Buffer => readFileSync(new URL(`../../../test/fixtures/${name}.pem`, import.meta.url));
  const app = open({
    dashboard: { tryUrl: "http://127.0.0.1:1/v1" },
    server: { https: { cert: pem("server"), key: pem("server-key") } },
  });
  app.post("/v1/chat/completions", (asked, reply) => {
    const { model, stream, messages } = asked.body as { model: string; stream: boolean; messages: { content: string }[] };
    const question = messages[0]?.content.replace(/\([\w-]{36}\)/, "(id)");
    reply.headers({ "x-perennial-id": "7", "x-perennial-attempts": "2" }).code(201).send({ model, stream, question });
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const get = (path: string, method = "GET") =>
    new Promise<{ cookie: string; body: string }>((resolve, reject) => {
      request(`${url}${path}`, { method, rejectUnauthorized: false, agent: false }, async (answer) => {
        let body = "";
        for await (const chunk of answer) body += chunk;
        resolve({ cookie: String(answer.headers["set-cookie"]), body });
      })
        .on("error", reject)
        .end();
    });
  expect((await get("/dashboard/logout", "POST")).cookie).toBe(
    `perennial-dashboard-${new URL(url).port}=; Max-Age=0; HttpOnly; SameSite=Strict; Secure`,
  );
  const read = JSON.stringify({ model: "chaos/ok", stream: true, question: "Why do streams break? (id)" });
  expect((await get("/dashboard/try?model=chaos/ok")).body).toBe(
    [{ head: { status: 201, id: "7", attempts: 2 } }, { read }, { end: "clean" }]
      .map((event) => `data: ${JSON.stringify(event)}\n\n`)
      .join(""),
  );
});
