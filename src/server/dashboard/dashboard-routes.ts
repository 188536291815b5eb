/** The dashboard's paths: the page, its feed, one stream by its id, "Try it", and the form that takes a key. All of it only shows. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Failure } from "../../core/failure.ts";
import { readBody } from "../body-limit.ts";
import { createFeed, type Feed } from "./feed.ts";
import { type Page, readPage } from "./page-files.ts";
import { readCookie, type Sessions } from "./sessions.ts";
import { isTryable, tryStream } from "./try-stream.ts";

/** What there is to show. */
export interface Dashboard {
  /** A promise where several processes have something to show. */
  view(): unknown;
  /** One stream; undefined for an id that is not known; a promise as well. */
  find(id: string): unknown;
  readonly sessions: Sessions;
  /** Where the sandbox listens, if it is there and anybody who may look may ask it. */
  readonly tryUrl: string | undefined;
}

export interface DashboardRoutesOptions {
  /** Asked anew for each request; undefined where it is off. */
  readonly current: () => Dashboard | undefined;
  /** @throws Failure for a request without a key, or from a page from elsewhere. */
  readonly checkKey: (request: FastifyRequest) => void;
  /** What its paths mean where it is off. */
  readonly otherwise: (request: FastifyRequest, reply: FastifyReply) => unknown;
  /** @defaultValue that of the build */
  readonly page?: Page | undefined;
}

const SAFE = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};
const NOT_BUILT = "The dashboard's page is not built here: npm run build\n";
const STREAMS: ReadonlySet<string> = new Set(["/dashboard/feed", "/dashboard/try"]);
const MAX_FORM_BYTES = 8 * 1024;
const COOKIE_SECONDS = 7 * 24 * 60 * 60;

/** Whether it is a browser that shows pages, and not a program that asks whether anything is there. */
export function wantsPage({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes("text/html") ?? false;
}

export function registerDashboard(app: FastifyInstance, options: DashboardRoutesOptions): void {
  const { current } = options;
  const page = "page" in options ? options.page : readPage();
  const feed = createFeed(() => current()?.view());
  // A feed would keep a server that closes waiting.
  app.addHook("preClose", async () => feed.close());

  app.register((routes, _options, done) => {
    // Where the dashboard is off its paths may be the upstream's, whose bodies are not ours to parse.
    routes.removeAllContentTypeParsers();
    routes.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
    const route = (method: "GET" | "POST", url: string, show: Show): void => {
      routes.route({
        method,
        url,
        // A stream without its body would never end.
        exposeHeadRoute: !STREAMS.has(url),
        handler(request, reply) {
          const dashboard = current();
          if (dashboard === undefined) return options.otherwise(request, reply);
          const access = (): void => checkAccess(request, options);
          return show({ request, reply, dashboard, hasKey: () => isAllowed(access), checkAccess: access });
        },
      });
    };
    route("GET", "/dashboard", (asked) => sendPage(asked, page));
    route("GET", "/dashboard/feed", (asked) => sendFeed(asked, feed));
    route("GET", "/dashboard/streams/:id", sendStream);
    route("GET", "/dashboard/try", sendTry);
    route("POST", "/dashboard/login", login);
    route("POST", "/dashboard/logout", logout);
    route("GET", "/dashboard/*", (asked) => sendFile(asked, page));
    done();
  });
}

interface Asked {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly dashboard: Dashboard;
  /** By a key or by its cookie, or because none is needed here. */
  readonly hasKey: () => boolean;
  /** The same, and why not. @throws Failure */
  readonly checkAccess: () => void;
}

type Show = (asked: Asked) => unknown;

/** The page itself tells nothing, so that everybody may have it: it asks for a key where one is needed. */
function sendPage({ reply, dashboard, hasKey }: Asked, page: Page | undefined): FastifyReply {
  reply.headers({ ...SAFE, "cache-control": "no-store" });
  if (page === undefined) return reply.code(503).type("text/plain; charset=utf-8").send(NOT_BUILT);
  const isLocked = dashboard.sessions.needed && !hasKey();
  return reply.type("text/html; charset=utf-8").send(isLocked ? page.locked : page.open);
}

function sendFile({ request, reply }: Asked, page: Page | undefined): unknown {
  const { "*": name } = request.params as { "*": string };
  if (name === "") return reply.redirect("../dashboard");
  const file = page?.files.get(name);
  if (file === undefined) return reply.callNotFound();
  return reply
    .headers({ ...SAFE, "cache-control": "public, max-age=31536000, immutable" })
    .type(file.type)
    .send(file.body);
}

function sendFeed(asked: Asked, feed: Feed): void {
  refuseStrangers(asked);
  const { reply, hasKey } = asked;
  reply.hijack();
  if (!feed.add({ response: reply.raw, mayLook: hasKey })) reply.raw.writeHead(503, { "retry-after": "10" }).end();
}

async function sendStream(asked: Asked): Promise<unknown> {
  refuseStrangers(asked);
  const stream = await asked.dashboard.find((asked.request.params as { id: string }).id);
  // Not an error: a page that looks for it is told that it is not there.
  return asked.reply.headers({ ...SAFE, "cache-control": "no-store" }).send(stream ?? { unknown: true });
}

function sendTry(asked: Asked): void {
  refuseStrangers(asked);
  const { request, reply, dashboard } = asked;
  const { model = "", way = "" } = request.query as { model?: string; way?: string };
  if (dashboard.tryUrl === undefined) throw new Failure("not_found", "There is no sandbox to try it with.");
  if (!isTryable(model)) throw new Failure("invalid_request", "Name a fault of the sandbox, such as chaos/empty,ok.");
  reply.hijack();
  tryStream(way === "direct" ? dashboard.tryUrl : ownUrl(request), model, reply.raw);
}

async function login({ request, reply, dashboard }: Asked): Promise<FastifyReply> {
  if (isForeign(request)) throw foreign();
  const form = new URLSearchParams((await readBody(request.raw, MAX_FORM_BYTES)).toString("utf8"));
  const token = dashboard.sessions.open((form.get("key") ?? "").trim());
  if (token !== undefined) reply.header("set-cookie", cookie(request, token, COOKIE_SECONDS));
  return reply
    .code(303)
    .header("location", token === undefined ? "../dashboard?key=wrong" : "../dashboard")
    .send();
}

function logout({ request, reply }: Asked): FastifyReply {
  if (isForeign(request)) throw foreign();
  return reply
    .code(303)
    .header("set-cookie", cookie(request, "", 0))
    .header("location", "../dashboard")
    .send();
}

/** @throws Failure */
function refuseStrangers({ request, checkAccess }: Asked): void {
  if (isForeign(request)) throw foreign();
  checkAccess();
}

/** By the cookie, or as any other request. @throws Failure */
function checkAccess(request: FastifyRequest, { current, checkKey }: DashboardRoutesOptions): void {
  if (!current()?.sessions.isOpen(readCookie(request.headers.cookie, cookieName(request)))) checkKey(request);
}

function isAllowed(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

/** Other pages have no business with it, not even those of this machine: browsers say whose a request is. */
function isForeign({ headers }: FastifyRequest): boolean {
  const site = headers["sec-fetch-site"];
  return site !== undefined && site !== "same-origin" && site !== "none";
}

function foreign(): Failure {
  return new Failure("unauthorized", "Only the dashboard's own page may ask for this.", { status: 403 });
}

function cookie(request: FastifyRequest, value: string, maxAge: number): string {
  const secure = request.protocol === "https" ? "; Secure" : "";
  return `${cookieName(request)}=${value}; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`;
}

/** Cookies do not tell ports apart, and there may be several on one machine. */
function cookieName({ socket }: FastifyRequest): string {
  return `perennial-dashboard-${socket.localPort}`;
}

/** Where this request has reached us: the sandbox is asked through the front door, as a client would. */
function ownUrl({ protocol, socket }: FastifyRequest): string {
  const address = socket.localAddress ?? "127.0.0.1";
  return `${protocol}://${address.includes(":") ? `[${address}]` : address}:${socket.localPort}/v1`;
}
