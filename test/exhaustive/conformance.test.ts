/** The conformance run in small: it must find what a plain byte proxy lets through, and nothing in Perennial. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAULTS } from "../../src/chaos/registry.ts";
import { startByteProxies } from "../conformance/byte-proxy.ts";
import { type CaseFraming, listCases } from "../conformance/cases.ts";
import { DIALECTS } from "../conformance/dialects.ts";
import { type Result, runCases } from "../conformance/run-cases.ts";
import { isServing, keepsContract, resultsIn, scoreOf, wholeOf } from "../conformance/score.ts";
import { listSetupCases } from "../conformance/setup-cases.ts";
import { givenTarget, startUpstreams, type Target } from "../conformance/targets.ts";
import { startHttpServer } from "../support/http-server.ts";
import { startPerennial, UNBOUND } from "../support/perennial.ts";

const FRAMINGS: readonly CaseFraming[] = ["chunked", "close-delimited"];
const SUBSET = [
  "ok",
  "truncate",
  "eof",
  "reset",
  "500",
  "null",
  "html",
  "empty",
  "done-without-finish",
  "half-json",
  "stall",
  "error-event",
  "error-fastchat",
  "no-done",
  "two-choices",
  "tools",
  "tools-cut",
  "reasoning-cut",
  "flood",
];
const OPTIONS = { concurrency: 12, key: "sk-test", patienceMs: 10_000 };

const cases = listCases({ only: SUBSET, framings: FRAMINGS });

/** Perennial in this process: one for each upstream. */
async function startPerennialsHere(upstreams: Target): Promise<Target> {
  const timeouts = { firstToken: "800ms", idle: "800ms", alive: "2s", total: "4s", unstreamed: "4s" };
  const started = await Promise.all(
    [...upstreams.urls].map(
      async ([framing, url]) =>
        [
          framing,
          await startPerennial(url, {
            timeouts,
            drain: { timeout: 0 },
            retry: { backoff: { initial: "1ms", jitter: false }, budget: UNBOUND },
          }),
        ] as const,
    ),
  );
  return {
    name: "perennial",
    urls: new Map(started.map(([framing, { baseUrl }]) => [framing, baseUrl])),
    async stop() {
      await Promise.all(started.map(([, perennial]) => perennial.close()));
      return "";
    },
  };
}

const targets: Target[] = [];
let proxied: Result[];
let perennial: Result[];

beforeAll(async () => {
  const upstreams = await startUpstreams(FRAMINGS);
  const proxy = await startByteProxies(upstreams);
  const ours = await startPerennialsHere(upstreams);
  targets.push(ours, proxy, upstreams);
  [proxied, perennial] = await Promise.all([runCases(proxy, cases, OPTIONS), runCases(ours, cases, OPTIONS)]);
}, 60_000);

afterAll(() => Promise.all(targets.map((target) => target.stop())));

describe("a plain byte proxy", () => {
  test.each([
    ["ok streamed chunked", "whole"],
    ["tools streamed chunked", "whole"],
    ["flood:256KiB streamed chunked", "whole"],
    ["500 streamed chunked", "typed error"],
    ["error-event streamed chunked", "typed error"],
    ["truncate streamed chunked", "transport error"],
    ["reset plain chunked", "transport error"],
    ["truncate streamed close-delimited", "silent truncation"],
    ["tools-cut streamed close-delimited", "silent truncation"],
    ["reasoning-cut streamed close-delimited", "silent truncation"],
    ["eof streamed chunked", "silent truncation"],
    ["empty streamed chunked", "silent truncation"],
    ["empty plain chunked", "silent truncation"],
    ["null plain chunked", "silent truncation"],
    ["html streamed chunked", "silent truncation"],
    ["done-without-finish streamed chunked", "silent truncation"],
    ["error-fastchat streamed chunked", "silent truncation"],
    ["two-choices streamed chunked", "silent truncation"],
    ["eof:0+ok streamed chunked", "silent truncation"],
    ["half-json streamed chunked", "torn event"],
    ["eof plain chunked", "torn event"],
    ["stall streamed chunked", "hang"],
    ["stall plain chunked", "hang"],
  ])("%s: %s", (id, verdict) => {
    expect(proxied.find((result) => result.case.id === id)?.verdict).toBe(verdict);
  });

  test("scores far below Perennial, and recovers nothing", () => {
    const score = scoreOf("byte proxy", proxied);
    expect(score.percent).toBeLessThan(70);
    expect(score.recovered).toBe(0);
    expect(proxied.filter((result) => !keepsContract(result)).length).toBeGreaterThan(30);
  });
});

describe("a target that answers everything with an error", () => {
  test("is no service: not one of its errors counts", async () => {
    const refusing = await startHttpServer((_request, response) => {
      response.writeHead(503, { "content-type": "application/json" }).end('{"error":{"message":"no","code":"no"}}');
    });
    const results = await runCases(
      givenTarget("refusing", refusing.baseUrl),
      listCases({ only: ["ok", "eof"], framings: ["default"] }),
      OPTIONS,
    );
    refusing.close();
    expect(new Set(results.map(({ verdict }) => verdict))).toEqual(new Set(["no service"]));
    const score = scoreOf("refusing", results);
    expect(score).toMatchObject({ percent: 0, deliveredPercent: 0, typed: 0 });
    expect(isServing(score)).toBe(false);
  }, 40_000);
});

describe("the other APIs", () => {
  const spoken = listCases({
    only: ["ok", "eof", "error-event", "tools", "tools-cut", "json"],
    framings: ["chunked"],
    dialects: DIALECTS.slice(1),
  });

  test("Perennial misleads no client in them either", async () => {
    const results = await runCases(targets[0] as Target, spoken, OPTIONS);
    expect(
      results
        .filter((result) => !keepsContract(result))
        .map(({ case: { id }, verdict, breaches }) => ({ id, verdict, breaches })),
    ).toEqual([]);
    for (const dialect of DIALECTS.slice(1))
      expect(scoreOf("perennial", resultsIn(dialect, results))).toMatchObject({ percent: 100, deliveredPercent: 100 });
  });

  test.each([
    ["messages eof streamed chunked", "silent truncation"],
    ["responses eof streamed chunked", "silent truncation"],
    ["completions eof streamed chunked", "silent truncation"],
    ["messages error-event streamed chunked", "typed error"],
    ["responses tools streamed chunked", "whole"],
    ["messages tools plain chunked", "whole"],
    ["responses json streamed chunked", "silent truncation"],
  ])("a byte proxy: %s is %s", async (id, verdict) => {
    const one = spoken.filter((each) => each.id === id);
    expect((await runCases(targets[1] as Target, one, OPTIONS)).map((result) => result.verdict)).toEqual([verdict]);
  });
});

test("Perennial misleads no client, and keeps its contract in every case", () => {
  expect(
    perennial
      .filter((result) => !keepsContract(result))
      .map(({ case: { id }, verdict, breaches }) => ({ id, verdict, breaches })),
  ).toEqual([]);
  expect(scoreOf("perennial", perennial)).toMatchObject({ percent: 100, misled: 0, noticed: 0 });
});

test("Perennial asks the second of two upstreams, and goes on after a break only with what belongs to the answer", async () => {
  const setups = await startUpstreams([], ["two upstreams", "continuing"]);
  const [a, b, going] = [setups.urls.get("two upstreams"), setups.second, setups.urls.get("continuing")];
  const settings = {
    timeouts: { firstToken: "800ms", idle: "800ms", alive: "2s", total: "4s", unstreamed: "4s" },
    retry: { backoff: { initial: "1ms", jitter: false }, budget: UNBOUND },
  };
  const two = await startPerennial(undefined, {
    ...settings,
    upstreams: [a, b].map((baseUrl, at) => ({ name: "ab"[at], baseUrl })),
  });
  const one = await startPerennial(going, { ...settings, recovery: "continue", upstream: { continuation: "assistant" } });
  targets.push(setups, { name: "", urls: new Map(), stop: () => Promise.all([two.close(), one.close()]).then(() => "") });
  const urls = new Map([["two upstreams", two.baseUrl] as const, ["continuing", one.baseUrl] as const]);
  const cases = listSetupCases({
    only: ["close", "404", "401", "stall", "empty", "tools-cut", "continue-right", "continue-restart", "continue-echo"],
    dialects: DIALECTS,
  });
  const results = await runCases({ name: "perennial", urls, stop: async () => "" }, cases, OPTIONS);
  expect(results.filter((result) => !keepsContract(result)).map(({ case: { id }, verdict }) => ({ id, verdict }))).toEqual([]);
  expect(wholeOf("perennial", "failover", results)).toEqual({ whole: 9, can: 9, misled: 0, all: 12 });
  expect(wholeOf("perennial", "resumed", results)).toEqual({ whole: 3, can: 3, misled: 0, all: 9 });
}, 40_000);

describe("the list of cases", () => {
  const all = listCases();

  test("has every fault, streamed and not", () => {
    for (const streamed of [true, false]) {
      const names = all.filter((one) => one.kind === "fault" && one.streamed === streamed).map(({ fault }) => fault);
      expect([...new Set(names)]).toEqual(FAULTS.map(({ name }) => name));
    }
  });

  test("has no case twice, and knows the right answer to each", () => {
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(all.filter(({ rights }) => rights.length === 0 || rights.some(({ finish }) => finish.size === 0))).toEqual([]);
  });

  test("asks for recovery from everything that breaks before its first content", () => {
    const asked = all.filter(({ kind, must }) => kind === "recovery" && must === "whole").map(({ id }) => id);
    expect(asked).toEqual(
      expect.arrayContaining([
        "close+ok streamed chunked",
        "stall:0+ok streamed chunked",
        "truncate:0+ok plain chunked",
        "429+ok plain chunked",
      ]),
    );
    expect(all.find(({ id }) => id === "400+ok streamed chunked")?.must).toBe("whole or error");
    expect(all.find(({ id }) => id === "tools-cut+ok streamed chunked")?.must).toBe("whole or error");
  });
});
