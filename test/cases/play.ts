/** Plays a case: an upstream of raw sockets that does its steps, a client that sees every byte, and what is wrong with what came. */
import { setTimeout as sleep } from "node:timers/promises";
import { stepsFor } from "../../src/capture/case-file.ts";
import { doSteps } from "../../src/capture/do-steps.ts";
import { applyProfile } from "../../src/config/profiles.ts";
import { configSchema } from "../../src/config/schema.ts";
import { type Seen, send } from "../support/client.ts";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";
import { type RawUpstream, startRawUpstream } from "../support/raw-upstream.ts";
import type { Case, CheckConfig, Expectation } from "./case.ts";
import { parseJson, whatWasTold } from "./told.ts";

/** One upstream and one Perennial for each set of settings serve all cases side by side: a request names its case as its model. */
export interface CasePlayer {
  /** @returns what is wrong; nothing when the case holds. */
  play(one: Case): Promise<string[]>;
  close(): Promise<void>;
}

interface Play {
  readonly one: Case;
  /** When the upstream requests of this ask came. */
  at: number[];
  count: number;
}

export async function startCasePlayer(): Promise<CasePlayer> {
  const plays = new Map<string, Play>();
  const perennials = new Map<string, Promise<TestPerennial>>();
  const upstream: RawUpstream = await startRawUpstream((socket, { json }) => {
    const play = plays.get(json?.model);
    if (play === undefined) return socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    play.at.push(performance.now());
    play.count++;
    const sinceFirstMs = performance.now() - (play.at[0] ?? 0);
    return doSteps(socket, stepsFor(play.one.responses ?? [], json, { count: play.count, sinceFirstMs }));
  });

  /** With the settings of the case, but quick to try again. */
  function perennialFor({ config = {} }: Case): Promise<TestPerennial> {
    const key = JSON.stringify(config);
    const { retry, ...rest } = config as { retry?: { backoff?: object } };
    const quick = { outage: "8s", ...retry, backoff: { initial: "50ms", ...retry?.backoff } };
    const started = perennials.get(key) ?? startPerennial(upstream.baseUrl, { ...rest, retry: quick });
    perennials.set(key, started);
    return started;
  }

  return {
    async play(one) {
      if (one.checkConfig !== undefined) return checkConfig(one.checkConfig);
      const { url } = await perennialFor(one);
      const play: Play = { one, at: [], count: 0 };
      plays.set(one.id, play);
      const wrong: string[] = [];
      for (const [position, { path = "/v1/chat/completions", body, headers, pause = 0, expect }] of (one.asks ?? []).entries()) {
        await sleep(pause);
        play.at = [];
        if (!one.keepCount) play.count = 0;
        const asked = { model: one.id, messages: [{ role: "user", content: "Hello" }], ...body };
        const got = await ask(url + path, asked, headers);
        wrong.push(...judge(expect, got, body.stream === true, play.at).map((what) => `ask ${position + 1}: ${what}`));
      }
      return wrong;
    },
    async close() {
      for (const perennial of perennials.values()) await (await perennial).close();
      await upstream.close();
    },
  };
}

// --- The client ---

interface Asked extends Seen {
  readonly ms: number;
  /** From the first read of the body to its end. */
  readonly spreadMs: number;
}

async function ask(url: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Asked> {
  const begun = performance.now();
  let firstAt: number | undefined;
  const seen = await send(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    onRead: () => {
      firstAt ??= performance.now();
    },
  });
  const now = performance.now();
  return { ...seen, ms: now - begun, spreadMs: now - (firstAt ?? now) };
}

// --- The judge ---

const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);
const short = (text: string): string => (text.length > 500 ? `${text.slice(0, 300)} … ${text.slice(-200)}` : text);

function judge(expect: Expectation, got: Asked, streamed: boolean, at: readonly number[]): string[] {
  const { word, why, said } = whatWasTold(got, streamed, expect.finish !== "any");
  const wrong: string[] = [];
  const must = (holds: boolean, complaint: string): void => void (holds || wrong.push(complaint));
  const same = (name: string, came: unknown, wanted: unknown): void => {
    if (wanted === undefined) return;
    must(
      JSON.stringify(came) === JSON.stringify(wanted),
      `${name} is ${short(JSON.stringify(came))}, not ${JSON.stringify(wanted)}`,
    );
  };
  must(listOf(expect.told).includes(word), `told ${word}${why && ` (${why})`}, not ${listOf(expect.told).join(" or ")}`);
  if (word === "whole" || word === "error-event") {
    same("text", said.text, expect.text);
    same("reasoning", said.reasoning, expect.reasoning);
    same("tool arguments", [...said.tools.values()], expect.toolArguments);
  }
  if (word === "whole" && expect.minBytes !== undefined)
    must(got.body.length >= expect.minBytes, `only ${got.body.length} bytes`);
  if (word === "http-error" || word === "error-event") {
    const json = parseJson(said.error ?? "");
    const code = json?.error?.code ?? json?.code;
    if (expect.code !== undefined)
      must(listOf(expect.code).includes(code), `code ${code}, not ${listOf(expect.code).join(" or ")}`);
    if (expect.message !== undefined) must(!!said.error?.includes(expect.message), `the error does not say "${expect.message}"`);
  }
  if (word === "http-error" && expect.status !== undefined)
    must(listOf(expect.status).includes(got.status), `status ${got.status}`);
  for (const [name, value] of Object.entries(expect.header ?? {})) same(`header ${name}`, got.headers[name] ?? null, value);
  const { requests } = expect;
  const { min = 0, max = Number.POSITIVE_INFINITY } =
    typeof requests === "number" ? { min: requests, max: requests } : (requests ?? {});
  must(at.length >= min && at.length <= max, `${at.length} upstream requests, not ${JSON.stringify(requests)}`);
  const between = (at[1] ?? 0) - (at[0] ?? 0);
  if (expect.retryAfterAtLeastMs !== undefined) must(between >= expect.retryAfterAtLeastMs, `tried again after ${between} ms`);
  if (expect.spreadAtLeastMs !== undefined) must(got.spreadMs >= expect.spreadAtLeastMs, `held: came within ${got.spreadMs} ms`);
  if (expect.endWithinMs !== undefined) must(got.ms <= expect.endWithinMs, `ended after ${got.ms} ms`);
  return wrong.length === 0 ? [] : [`${wrong.join("; ")}. Came: HTTP ${got.status}, ${at.length} requests, ${short(got.body)}`];
}

/** What the configuration comes to must be at least so long. */
function checkConfig({ config = {}, atLeast }: CheckConfig): string[] {
  const { upstream, ...rest } = config as { upstream?: object };
  const upstreams = [{ baseUrl: "http://127.0.0.1:1/v1", ...upstream }];
  const parsed = configSchema.parse(applyProfile({ upstreams, ...rest }));
  const unit: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const inMs = (span: string): number =>
    [...span.matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce(
      (sum, [, number, name]) => sum + Number(number) * (unit[String(name)] ?? 0),
      0,
    );
  return Object.entries(atLeast).flatMap(([name, least]) => {
    const came = name.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], parsed);
    return Number(came) >= inMs(least) ? [] : [`${name} is ${came} ms, not at least ${least}`];
  });
}
