/** A store behind TLS, a private authority, a user of its own: what it takes, and what is said where that is wrong. */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect } from "vitest";
import { RedisLink } from "../../src/store/redis-link.ts";
import { WHOLE } from "../support/events.ts";
import { visit } from "../support/returning-client.ts";
import { test } from "../support/test.ts";
import { freePort, type RedisProcess, startRedis } from "./redis-process.ts";

const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname;
const CA = fixture("ca.pem");
/** What docs/replay.md says that its user needs. */
const RULES =
  "~perennial:* &perennial:* +@read +@write +@scripting +@pubsub +@transaction +@connection -@dangerous +info +time".split(" ");

let redis: RedisProcess;
let tlsPort: number;
beforeAll(async () => {
  tlsPort = await freePort();
  redis = await startRedis([
    ...["--tls-port", String(tlsPort), "--tls-auth-clients", "no", "--tls-ca-cert-file", CA],
    ...["--tls-cert-file", fixture("server.pem"), "--tls-key-file", fixture("server-key.pem")],
    ...["--user", "app", "on", ">pass", ...RULES],
    ...["--user", "default", "off"],
  ]);
});
afterAll(() => redis.close());

const at = ({ host = "127.0.0.1", password = "pass", protocol = "rediss", port = tlsPort } = {}): string =>
  `${protocol}://app:${password}@${host}:${port}/0`;

test("answers are kept there, and shared, by a user that may do no more than it needs", async ({ serve, startPerennial }) => {
  const settings = { replay: {}, store: { url: at(), ca: CA } };
  const { perennial: one, upstream } = await serve([WHOLE], settings);
  const other = await startPerennial(upstream.baseUrl, { ...settings, store: { url: at({ host: "localhost" }), ca: CA } });
  const body = JSON.stringify({ model: "m", stream: true, messages: [] });
  const got = await visit(`${one.baseUrl}/chat/completions`, { body, headers: { "x-perennial-replay": "1" } });
  const back = await visit(`${other.baseUrl}/streams/${got.headers["x-perennial-stream"]}`, { method: "GET" });
  expect(back.body).toBe(got.body);
  expect([...one.log, ...other.log].filter(({ level }) => level === 40)).toEqual([]);
  const client = new Redis(at(), { tls: { ca: readFileSync(CA, "utf8") } });
  await expect(client.get("elsewhere")).rejects.toThrow(/NOPERM/);
  await expect(client.flushall()).rejects.toThrow(/NOPERM/);
  client.disconnect();
});

test.for<[string, { url: () => string; ca?: string }, RegExp]>([
  ["no authority that is trusted has signed it", { url: () => at() }, /not trusted here: name .* store\.ca \(self-signed/],
  ["another one has", { url: () => at(), ca: fixture("renewed.pem") }, /not trusted here: name .* store\.ca/],
  [
    "its password is another",
    { url: () => at({ password: "wrong" }), ca: CA },
    /does not take the user or the password of store\.url \(WRONGPASS/,
  ],
  ["it wants TLS", { url: () => at({ protocol: "redis" }) }, /ECONNRESET|closed/],
])("says why there is no connection: %s", async ([, { url, ca }, reason]) => {
  const pem = ca === undefined ? undefined : readFileSync(ca, "utf8");
  const told: [boolean, string][] = [];
  const link = new RedisLink({ url: url(), ca: pem, onChange: (isUp, why) => told.push([isUp, why]), onRefusal() {} });
  await link.open();
  await link.close();
  expect(told).toEqual([[false, expect.stringMatching(reason)]]);
  expect(told[0]?.[1]).not.toMatch(/pass@|wrong@/);
});
