/** Every setting: its name, type, default and meaning. The one place to add a setting. */
import { z } from "zod";
import { FAILOVER_CAUSES } from "../attempt/failover.ts";
import { isObject } from "../dialect/json.ts";
import { isLoopback } from "./loopback.ts";
import { presetMaxHeldBytes } from "./max-held-bytes.ts";
import { gate, health, nonStreaming, timeouts, warmup } from "./policy-settings.ts";
import { clientKeys, namedKeysOf } from "./rate-settings.ts";
import { record } from "./record-settings.ts";
import { recovery, resume } from "./recovery-settings.ts";
import { explainTakeover, replay, store } from "./replay-settings.ts";
import { clientPathsOf, isClientPath, SANDBOX_SERVES, type Served } from "./routes.ts";
import { upstreamSchema } from "./upstream-schema.ts";
import { duration, origin, pemFile, size, someTime, text, wholeNumber } from "./values.ts";
import { refuseUnshared, workers } from "./worker-settings.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const upstreams = z
  .array(upstreamSchema)
  .default([])
  .superRefine((list, ctx) => {
    list.forEach(({ name }, index) => {
      if (list.findIndex((other) => other.name === name) < index)
        ctx.addIssue({ code: "custom", path: [index, "name"], message: `the name "${name}" is used twice` });
    });
  })
  .describe(
    "The upstreams, the preferred one first; the next is asked when one fails. Default: none, and the built-in sandbox upstream answers.",
  );

const failover = z
  .strictObject({
    on: z
      .array(z.enum(FAILOVER_CAUSES))
      .default([...FAILOVER_CAUSES])
      .describe(
        "After which failures another upstream is asked: unreachable, status, timeout, empty, truncated, credentials; with [] none ever is. Default: all of these.",
      ),
    codes: z
      .array(wholeNumber(400, 599))
      .default([])
      .describe(
        "HTTP statuses after which another upstream is asked as well, although they blame the request, such as 400. Default: none.",
      ),
  })
  .prefault({})
  .describe("When another upstream is asked in place of one that has failed.");

const backoff = z
  .strictObject({
    initial: duration().prefault("1s").describe("Wait before the second attempt, as a duration; 0 retries at once. Default: 1s."),
    factor: z
      .number({ error: "expected a number of at least 1" })
      .min(1, { error: "expected a number of at least 1" })
      .default(2)
      .describe("By how much each wait is longer than the one before; at least 1. Default: 2."),
    max: duration().prefault("5s").describe("Longest wait between two attempts, as a duration. Default: 5s."),
    jitter: z
      .boolean()
      .default(true)
      .describe("Vary each wait at random, so that clients do not come back all at once. Default: true."),
  })
  .prefault({})
  .describe("How long to wait between two attempts.");

const retry = z
  .strictObject({
    maxAttempts: wholeNumber(1, 20)
      .default(3)
      .describe(
        "Most attempts that may cost something for one request, the first included; 1 to 20. With 1 it is asked once, whatever happens. Default: 3.",
      ),
    outage: duration()
      .prefault("25s")
      .describe(
        "How long requests wait while the upstream is down, restarts or loads, which costs nothing and is not counted as attempts; 0 for not at all. Default: 25s.",
      ),
    backoff,
    budget: z
      .strictObject({
        percent: z
          .number({ error: "expected a number from 0 to 100" })
          .min(0, { error: "expected a number from 0 to 100" })
          .max(100, { error: "expected a number from 0 to 100" })
          .default(20)
          .describe("Most retries that may cost something, per hundred requests of the last 10 s; 100 or less. Default: 20."),
        min: wholeNumber(0).default(20).describe("So many within 10 s are always allowed. Default: 20."),
      })
      .prefault({})
      .describe(
        "Bounds the retries of all requests together, so that trouble is not made larger; waiting out an outage is not counted.",
      ),
    maxRetryAfter: duration()
      .prefault("60s")
      .describe(
        "Longest wait that an upstream may ask for with Retry-After, as a duration; beyond it Perennial gives up. Default: 60s.",
      ),
  })
  .prefault({})
  .describe("When and how often a failed attempt is tried again, as long as the client has seen no content.");

const breaker = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      z.strictObject({
        failures: wholeNumber(1)
          .default(5)
          .describe("So many failures in a row, or so many and more than half of all within the window. Default: 5."),
        window: someTime().prefault("30s").describe("How long a failure counts, as a duration of more than 0. Default: 30s."),
        rest: someTime()
          .prefault("10s")
          .describe("How long it rests before one request looks whether it answers again, as a duration. Default: 10s."),
      }),
    ],
    { error: "expected off, or a mapping with failures, window and rest" },
  )
  .optional()
  .transform((value) => (value === "off" ? false : value))
  .describe(
    "When an upstream that keeps failing is left alone, each model by itself; set, it holds for a single upstream too. Default: failures 5, window 30s, rest 10s where another can be asked in its place.",
  );

const hedge = z
  .strictObject({
    after: z
      .union([z.literal("off"), z.literal(false), z.literal("p95"), someTime()], {
        error: "expected off, p95, or a duration of more than 0, such as 2s",
      })
      .transform((value) => (value === "off" ? false : value))
      .prefault("off")
      .describe(
        "How long a streamed answer may be without content before another upstream is asked as well, as a duration; p95: longer than 95 of 100 of the latest; or off. Default: off.",
      ),
    percent: z
      .number({ error: "expected a number from 0 to 100" })
      .min(0, { error: "expected a number from 0 to 100" })
      .max(100, { error: "expected a number from 0 to 100" })
      .default(5)
      .describe("Most second attempts of this kind per hundred streamed requests; 100 or less. Default: 5."),
  })
  .prefault({})
  .describe("Whether another upstream is asked beside one that is slow; the first to bring content answers, the other is ended.");

const heartbeat = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      z.strictObject({
        after: duration().prefault("15s").describe("Silence before the first comment, as a duration. Default: 15s."),
        every: someTime().prefault("15s").describe("Time between two comments, as a duration of more than 0. Default: 15s."),
      }),
    ],
    { error: "expected off, or a mapping with after and every" },
  )
  .transform((value): Heartbeat | false => (value === "off" ? false : value))
  .prefault({})
  .describe(
    "Comments that keep clients and load balancers waiting while there is no content yet; `off` turns them off. Default: on.",
  );

const limits = z
  .strictObject({
    maxBodyBytes: size()
      .prefault("32MiB")
      .describe("Largest request body that is read, as a size; what is passed through unread may be larger. Default: 32MiB."),
    maxEventBytes: size().prefault("16MiB").describe("Largest single event of a stream, as a size. Default: 16MiB."),
    maxGateBytes: size().prefault("1MiB").describe("Most that is held back before the first content, as a size. Default: 1MiB."),
    maxHeldBytes: size()
      .prefault(presetMaxHeldBytes)
      .describe(
        "Most that is held for all clients together, as a size; beyond it requests are refused, or ended, with 503. Default: 512MiB, or a quarter of what the process may use when that is less.",
      )
      .meta({ default: "512MiB" }),
    maxStreams: wholeNumber(1)
      .default(1000)
      .describe("Most exchanges at one time; further ones are refused with 503. Default: 1000."),
    maxClientConnections: wholeNumber(1)
      .default(4000)
      .describe(
        "Most connections from clients at one time, idle ones included; for further ones those go that have been silent for longest. Default: 4000.",
      ),
  })
  .prefault({})
  .describe("Bounds that keep one client, or one upstream, from using up the memory.");

const OPEN = "Serve everybody, although host is not loopback and there are no auth.keys. Default: false.";

const auth = z
  .strictObject({
    keys: clientKeys.describe(
      "Keys, one of which each client must present; each as text, or as a mapping with key, name, rate, models, priority. Needed when host is not loopback. Default: none.",
    ),
    maxStreamsPerKey: wholeNumber(0)
      .default(0)
      .describe(
        "Most exchanges at one time for each key; further ones are refused with 503. 0: as many as limits.maxStreams allows. Default: 0.",
      ),
    open: z.boolean().optional().describe(`The same as open at the top level. ${OPEN}`),
  })
  .prefault({})
  .describe("Who may use this proxy.");

const cors = z
  .strictObject({
    origins: z
      .array(origin)
      .default([])
      .describe(
        "Web pages from elsewhere, each as its origin (https://chat.example), that may use this proxy without a key. Pages of this machine always may; with auth.keys or open: true, all may. Default: none.",
      ),
  })
  .prefault({})
  .describe("Which web pages may use this proxy from a browser.");

const tls = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      z.strictObject({
        cert: pemFile().describe("PEM file with the certificate, and those between it and its authority. Required."),
        key: pemFile().describe("PEM file with the certificate's private key, not encrypted. Required."),
      }),
    ],
    { error: "expected off, or a mapping with cert and key" },
  )
  .default("off")
  .transform((value) => (value === "off" ? false : value))
  .describe("Serve HTTPS in place of HTTP, with this certificate; the files are read again on a reload. Default: off.");

export const configSchema = z
  .strictObject({
    host: text(/^[A-Za-z0-9._:%-]+$/, "expected an address such as 127.0.0.1, ::1 or localhost")
      .default("127.0.0.1")
      .describe("Address to listen on. One that is not loopback needs auth.keys, or open: true. Default: 127.0.0.1."),
    port: wholeNumber(0, 65_535).default(8787).describe("Port to listen on; 0 picks a free one. Default: 8787."),
    workers,
    upstreams,
    timeouts,
    retry,
    failover,
    hedge,
    breaker,
    health,
    heartbeat,
    progress: z
      .boolean()
      .default(false)
      .describe(
        "Tell clients of streams what they wait for, in comments: attempt 2 of 3, 3 ahead in the queue. The first of them sends the headers, so that what fails later is told as an error event. Default: false.",
      ),
    recovery,
    resume,
    interruptEnd: z
      .enum(["auto", "clean", "cut"])
      .default("auto")
      .describe(
        "How the body ends after an error event: clean, or cut, which clients that only watch the transport notice; auto: clean for clients known to raise the event to their user, cut for all others. Default: auto.",
      ),
    gate,
    replay,
    store,
    record,
    warmup,
    nonStreaming,
    limits,
    auth,
    open: z.boolean().default(false).describe(OPEN),
    cors,
    tls,
    drain: z
      .strictObject({
        timeout: duration()
          .prefault("30s")
          .describe("How long running streams may go on once Perennial is told to stop, as a duration. Default: 30s."),
      })
      .prefault({})
      .describe("What happens on shutdown."),
    log: z
      .strictObject({
        level: z.enum(LOG_LEVELS).default("info").describe("Least important level that is logged. Default: info."),
        format: z
          .enum(["auto", "json", "pretty"])
          .default("auto")
          .describe("json, pretty, or auto: pretty on a terminal and JSON elsewhere. Default: auto."),
      })
      .prefault({})
      .describe("What is logged, and how."),
    metrics: z
      .strictObject({
        enabled: z.boolean().default(true).describe("Serve counters for Prometheus at /metrics. Default: true."),
        public: z
          .boolean()
          .default(false)
          .describe("Serve /metrics without a key, although there are auth.keys. Default: false."),
      })
      .prefault({})
      .describe("What can be measured from outside."),
    dashboard: z
      .union(
        [
          z.boolean(),
          z.strictObject({
            text: z
              .boolean()
              .default(false)
              .describe(
                "Show prompts and answers on the pages of streams, to whoever may look: the last of them, from memory, never in a log. Default: false.",
              ),
          }),
        ],
        { error: "expected true, false, or { text: true }" },
      )
      .optional()
      .describe("Show what happens at /dashboard, to whoever has a key. Default: true; with open: true and no auth.keys, false."),
  })
  .refine(({ auth, open, dashboard }) => !(isTextShown(dashboard) && isOpenToAll({ auth, open })), {
    path: ["dashboard", "text"],
    error: "everybody could read what others ask and are answered: add a key to auth.keys, or take open: true away",
    when: ({ value, issues }) =>
      isObject(value) && isObject(value.auth) && !issues.some((issue) => /^(dashboard|auth|open)$/.test(String(issue.path?.[0]))),
  })
  .refine(({ host, auth, open }) => isLoopback(host) || auth.keys.length > 0 || open || auth.open === true, {
    path: ["host"],
    error: "this host can be reached from other machines: add a key to auth.keys, or set open: true to serve everybody",
    // Also beside other mistakes, so that all are reported at once; not when its own parts are wrong.
    when: ({ value, issues }) =>
      isObject(value) && isObject(value.auth) && !issues.some((issue) => /^(host|auth|open)$/.test(String(issue.path?.[0]))),
  })
  .superRefine(
    ({ warmup, upstreams }, ctx) => {
      const served = upstreams.length > 0 ? upstreams : [SANDBOX_SERVES];
      served.forEach((upstream: Served & { warmup?: typeof warmup | undefined }, index) => {
        const isOwn = upstream.warmup !== undefined;
        const asked = upstream.warmup ?? warmup;
        if (!asked || asked.path === undefined || isClientPath(upstream, asked.path)) return;
        const known = clientPathsOf(upstream);
        const path = [...(isOwn ? ["upstreams", index] : []), "warmup", "path"];
        ctx.addIssue({ code: "custom", path, message: `expected a path at which this upstream is asked (${known.join(", ")})` });
      });
    },
    {
      when: ({ value, issues }) =>
        isObject(value) && !issues.some((issue) => /^(warmup|upstreams)$/.test(String(issue.path?.[0]))),
    },
  )
  .superRefine(explainTakeover, {
    when: ({ value, issues }) =>
      isObject(value) &&
      isObject(value.auth) &&
      !issues.some((issue) => /^(store|replay|auth|upstreams)$/.test(String(issue.path?.[0]))),
  })
  .superRefine(refuseUnshared, {
    when: ({ value, issues }) =>
      isObject(value) && !issues.some((issue) => /^(workers|replay|store|limits|upstreams)$/.test(String(issue.path?.[0]))),
  })
  .transform(({ auth, open, dashboard, ...rest }) => ({
    ...rest,
    auth: {
      keys: auth.keys.map((each) => (typeof each === "string" ? each : each.key)),
      named: namedKeysOf(auth.keys),
      maxStreamsPerKey: auth.maxStreamsPerKey,
    },
    open: open || auth.open === true,
    // Where strangers may come without a key, to be looked at is not something that happens by default.
    dashboard: (dashboard ?? !isOpenToAll({ auth, open })) && { text: isTextShown(dashboard) },
  }))
  .meta({ title: "Perennial configuration", description: "Everything has a default; an empty file is a valid configuration." });

/** Whoever comes is served, and none needs a key. */
function isOpenToAll({ auth, open }: { open: boolean; auth: { keys: readonly unknown[]; open?: boolean | undefined } }): boolean {
  return (open || auth.open === true) && auth.keys.length === 0;
}

function isTextShown(dashboard: boolean | { text: boolean } | undefined): boolean {
  return typeof dashboard === "object" && dashboard.text;
}

/** Times of the keep-alive comments, in milliseconds. */
export interface Heartbeat {
  after: number;
  every: number;
}

/** The resulting configuration: the YAML names, durations in milliseconds, sizes in bytes. */
export type Config = z.output<typeof configSchema>;

export type UpstreamConfig = Config["upstreams"][number];
