/** What was expected, and what was there; never a secret. */
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { configFrom } from "./config-from.ts";
import { ownedRates } from "./owned-rates.ts";
import { readPemFiles } from "./pem-files.ts";
import { configSchema } from "./schema.ts";

const problemsOf = (settings: object): readonly string[] => {
  try {
    configFrom(settings as never);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
};

test.each<[settings: object, ...problems: (string | RegExp)[]]>([
  [{}],
  [{ port: "x" }, /^port: expected .*, got "x"$/],
  [{ port: null }, /^port: expected .*, got nothing$/],
  [{ port: [] }, /got a list$/],
  [{ port: {} }, /got a mapping$/],
  [{ port: "" }, /got empty text$/],
  [{ port: "y".repeat(59) }, /got "y{59}…$/],
  [{ port: "y".repeat(58) }, /got "y{58}"$/],
  [{ port: "sk-123" }, /got some text \(not shown\)$/],
  [{ port: "Bearer x" }, /got some text \(not shown\)$/],
  [{ port: "task-123" }, /got "task-123"$/],
  [{ port: "redis://u:p@h" }, /got some text \(not shown\)$/],
  [{ port: "http://h" }, /got "http:\/\/h"$/],
  [{ limits: "sk" }, /^limits: expected a mapping, got some text \(not shown\)$/],
  [{ limits: 5 }, /^limits: expected a mapping, got a number$/],
  [{ upstreams: "x" }, /^upstreams: expected a list, got some text \(not shown\)$/],
  [{ auth: { maxStreamsPerKey: "s3cret" } }, /^auth\.maxStreamsPerKey: .*not shown/],
  [{ open: "yes" }, /^open: expected true or false, got "yes"$/],
  [{ interruptEnd: "x" }, /^interruptEnd: expected auto, clean or cut, got "x"$/],
  [{ upstreams: [{}] }, /^upstreams\.0\.baseUrl: is missing/],
  [{ prot: 1 }, "prot: unknown key; did you mean port?"],
  [{ limits: { max_streams: 1 } }, "limits.max_streams: unknown key; did you mean maxStreams?"],
  [{ drain: { zzz: 1 } }, "drain.zzz: unknown key; known here: timeout"],
  [{ auth: { "sk-123": 1 } }, /^auth: unknown key; known here: keys/],
  [{ auth: { key: ["x"] } }, "auth.key: unknown key; did you mean keys?"],
  [{ heartbeat: { after: "x" } }, /^heartbeat\.after: /],
  [{ heartbeat: "x" }, /^heartbeat: /],
  [{ prot: 1, open: 1 }, /^open: /, /^prot: /],
  [{ timeouts: { tota: 1 } }, "timeouts.tota: unknown key; did you mean total?"],
  [{ upstreams: [{ baseUrl: "http://a", apikeys2: 1 }] }, "upstreams.0.apikeys2: unknown key; did you mean apiKeys?"],
  [
    { upstreams: [{ baseUrl: "http://a", apiKey: "a", apiKeys: ["b"] }] },
    "upstreams.0.apiKeys: apiKey stands beside it: put that one into the list, or leave one of the two out",
  ],
  [
    { upstreams: [{ baseUrl: "http://a", apiKey: "a", clientKey: true }] },
    "upstreams.0.clientKey: a key of yours is sent in place of the client's own key: leave one of the two out",
  ],
  [{ upstreams: [{ baseUrl: "http://a", clientKey: true }] }],
  [
    { upstreams: [{ baseUrl: "http://a", finish: "done", requireDone: true }] },
    "upstreams.0.finish: done takes [DONE] alone for a finish, and requireDone wants it beside one: set one of the two",
  ],
  [{ upstreams: [{ baseUrl: "http://a", finish: "done" }] }],
  [{ upstreams: [{ baseUrl: "http://a", requireDone: true }] }],
  ...[{ open: true }, { auth: { open: true } }].map((open): [object, string] => [
    { ...open, dashboard: { text: true } },
    "dashboard.text: everybody could read what others ask and are answered: add a key to auth.keys, or take open: true away",
  ]),
  [{ open: true, dashboard: { text: true }, auth: { keys: ["k"] } }],
  [{ open: true, dashboard: { text: false } }],
  [{ open: true, dashboard: true }],
  [{ dashboard: { text: true } }],
  [{ gate: { lag: "1m" } }],
  [{ gate: { lag: "60001ms" } }, 'gate.lag: expected a duration of at most 1m, such as 400ms, got "60001ms"'],
  [{ tls: { cert: "a", key: "b", kxx: 1 } }, "tls.kxx: unknown key; known here: cert, key"],
  [
    { workers: 8, limits: { maxClientConnections: 7 } },
    "limits.maxClientConnections: expected at least 8, one for each worker (workers), got 7",
  ],
  [{ warmup: { path: "/v1/messages" } }],
  [
    { warmup: { path: "/x" } },
    /^warmup\.path: expected a path at which this upstream is asked \(\/v1\/chat\/completions, \/v1\//,
  ],
  [
    { upstreams: [{ baseUrl: "http://a", warmup: { path: "/x" } }] },
    /^upstreams\.0\.warmup\.path: expected a path at which this upstream is asked \(/,
  ],
  [
    { upstreams: [{ baseUrl: "http://a", api: "chatchat", mount: "/" }], warmup: { path: "/v1/messages" } },
    /^warmup\.path: expected a path at which this upstream is asked \(\/chat/,
  ],
  [{ cors: { origins: ["https://a.b", "app://x", "HTTP://A:80/"] } }],
  ...["a.b", "https://a.b/c", "https://a b", "//a", "https://"].map((origin): [object, string] => [
    { cors: { origins: [origin] } },
    `cors.origins.0: expected the origin of a page, such as https://chat.example or https://chat.example:8443, got ${JSON.stringify(origin)}`,
  ]),
  [{ cors: { origins: ["https://u@a"] } }, /^cors\.origins\.0: .* got some text \(not shown\)$/],
  [{ auth: { keys: ["a", { key: "b", name: "key-1" }] } }, "auth.keys.1.name: this name is used twice"],
  [{ auth: { keys: [{ key: "b", name: "key-2" }, "a"] } }, "auth.keys.1.name: this name is used twice"],
])("%j", (settings, ...problems) => {
  expect([...problemsOf(settings)].sort()).toEqual(
    problems.map((problem) => (typeof problem === "string" ? problem : expect.stringMatching(problem))),
  );
});

test("files that settings name are looked at as well", () => {
  expect(problemsOf({ tls: { cert: "/nowhere.pem", key: "/" } })).toEqual([
    "tls.cert: /nowhere.pem: there is no such file",
    "tls.key: /: is not a regular file",
  ]);
  const [cert, key] = ["/nowhere.pem", "/"];
  expect(() => readPemFiles(configSchema.parse({ tls: { cert, key } }))).toThrow(
    new ConfigError(["tls.cert: /nowhere.pem: there is no such file", "tls.key: /: is not a regular file"]),
  );
  expect(configFrom({ upstreams: [{ baseUrl: "http://a", ca: "" }] }).upstreams[0]).toMatchObject({ ca: undefined });
  expect(problemsOf({ upstreams: [{ baseUrl: "http://a", ca: import.meta.filename }] })).toEqual([
    `upstreams.0.ca: ${import.meta.filename}: holds no certificate in PEM form`,
  ]);
});

test("rates are those of upstreams and of keys that have some", () => {
  const rate = { requests: "2/m" };
  const config = configFrom({
    upstreams: [
      { baseUrl: "http://a", name: "a", rate },
      { baseUrl: "http://b", name: "b" },
    ],
    auth: { keys: [{ key: "1", name: "k", rate }, { key: "2", name: "l" }, "3"] },
  });
  expect(ownedRates(config).map(({ scope, name, policy }) => [scope, name, policy.requests?.amount])).toEqual([
    ["upstream", "a", 2],
    ["key", "k", 2],
  ]);
});

test("origins are kept as browsers write them", () => {
  const origins = ["https://Chat.Example:443/", "HTTP://a:8080", "App://Some.Thing/", "vscode-webview://x"];
  expect(configFrom({ cors: { origins } }).cors.origins).toEqual([
    "https://chat.example",
    "http://a:8080",
    "app://some.thing",
    "vscode-webview://x",
  ]);
});

test.each<[path: string, value: unknown, resolved: unknown]>([
  ["hedge.after", "800ms", 800],
  ["hedge.after", "p95", "p95"],
  ["breaker", { failures: 7 }, { failures: 7, window: 30_000, rest: 10_000 }],
  ["health.every", "20s", 20_000],
  ["timeouts.stream", "30m", 1_800_000],
  ["gate.lag", "400ms", 400],
  ["heartbeat", { after: "5s" }, { after: 5_000, every: 15_000 }],
  ["replay", { ttl: "7m" }, expect.objectContaining({ ttl: 420_000, linger: 0, joinRetries: false })],
  ["warmup", { on: "idle" }, { on: "idle", after: 300_000, request: {} }],
  ["record", { dir: "a" }, { dir: "a", texts: false, maxFiles: 100, maxFileBytes: 4_194_304 }],
])("%s may be off, or %j", (path, value, resolved) => {
  const come = (to: unknown): unknown => {
    const config = configFrom(path.split(".").reduceRight((inner, key) => ({ [key]: inner }), to) as object);
    return path.split(".").reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], config);
  };
  expect([come("off"), come(false), come(value)]).toEqual([false, false, resolved]);
});

test("a store is an address, or more of it; memory is none", () => {
  const store = (value: unknown) => configFrom({ store: value } as never).store;
  const url = "redis://h:6379/1";
  expect([store("memory"), store(url), store({ url, prefix: "p" })]).toEqual([
    false,
    { url, prefix: "perennial", takeover: false },
    { url, prefix: "p", takeover: false },
  ]);
});
