/** Answers that break when their client has some of them: they go on where that is proved, and end with the honest error where not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER, TOKENS } from "../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../src/chaos/chaos-server.ts";
import { send } from "./support/client.ts";
import {
  CONTINUATION_KINDS,
  CONTINUED_DIALECTS as DIALECTS,
  flawsOf,
  type Heard,
  hear as hearFrom,
} from "./support/continuations.ts";
import type { DialectFixture } from "./support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";

let chaos: ChaosServer;
let chaosUrl: string;
let perennial: TestPerennial;
/** Continues an answer more than once. */
let tenacious: TestPerennial;
/** Asks for all of it again. */
let repeating: TestPerennial;

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 0, keepRequests: 100_000 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  chaosUrl = url;
  perennial = await startPerennial(url, {
    recovery: "continue",
    upstream: { continuation: "assistant" },
    timeouts: { firstToken: "20s", idle: "20s" },
  });
  tenacious = await startPerennial(url, {
    recovery: "continue",
    resume: { maxAttempts: 20 },
    upstream: { continuation: "assistant" },
  });
  repeating = await startPerennial(url, { recovery: "continue", upstream: { continuation: "rerun" } });
});

afterAll(async () => {
  await Promise.all([perennial.close(), tenacious.close(), repeating.close()]);
  await chaos.close();
});

/** By what it is proved; the temperature decides. */
const PROOFS = [
  ["answer", 0],
  ["server", 0.8],
] as const;

/** Too early to go on, in the middle, and behind the last word; test/exhaustive tries every one. */
const PLACES = [3, 12, 21, TOKENS.length + 2];

describe.each(PROOFS)("proved by the %s", (_proof, temperature) => {
  test.each(CONTINUATION_KINDS)("%s: wherever it breaks, the text is a beginning of the answer, or all of it", async (kind) => {
    const cases = DIALECTS.flatMap((fixture) => PLACES.map((place) => ({ fixture, place })));
    const heard = await Promise.all(
      cases.map(({ fixture, place }) => hear(fixture, `truncate:${place},ok,${kind}`, { temperature })),
    );
    for (const [index, one] of heard.entries()) {
      const { fixture, place } = cases[index] ?? {};
      expect(flawsOf(one), `${fixture?.name}, broken at ${place}`).toEqual([]);
    }
  });
});

const [CHAT] = DIALECTS as [DialectFixture];

function hear(
  fixture: DialectFixture,
  spec: string,
  fields: object = {},
  { headers = {}, by = perennial }: { headers?: Record<string, string>; by?: TestPerennial } = {},
): Promise<Heard> {
  return hearFrom(by, fixture, spec, fields, headers);
}

test("an upstream that is out when the rest is asked for is waited for, and asked again", async () => {
  for (const fixture of DIALECTS) {
    const heard = await hear(fixture, "truncate:12,continue-503,continue-right");
    expect(heard).toMatchObject({ whole: true, text: ANSWER, errorCode: undefined });
  }
});

test("a rest that falls silent is continued as well", async () => {
  const impatient = await startPerennial(chaosUrl, {
    recovery: "continue",
    resume: { maxAttempts: 2 },
    upstream: { continuation: "assistant" },
    timeouts: { idle: "500ms" },
  });
  try {
    const heard = await hear(CHAT, "truncate:12,continue-stall:8,continue-right", {}, { by: impatient });
    expect(flawsOf(heard)).toEqual([]);
    expect(await impatient.exchangeLog()).toMatchObject({ by: expect.stringContaining("answer") });
  } finally {
    await impatient.close();
  }
});

describe("more than one break", () => {
  test.each(DIALECTS)("an answer that breaks again and again is whole in the end: $name", async (fixture) => {
    for (let events = 9; events < 13; events++) {
      const again = `continue-cut:${events}`;
      const heard = await hear(fixture, `truncate:12,${again},${again},continue-right`, {}, { by: tenacious });
      expect(heard).toMatchObject({ whole: true, text: ANSWER, errorCode: undefined });
      expect(heard.ids).toHaveLength(1);
    }
  });

  test("one that runs out of tokens that the client still has is continued as well", async () => {
    for (const fixture of DIALECTS) {
      const heard = await hear(fixture, "truncate:12,continue-length:6,continue-right", {}, { by: tenacious });
      expect(heard.message).toBe("");
      expect(heard).toMatchObject({ whole: true, text: ANSWER });
    }
  });

  test("each is counted, in the log and in the metrics", async () => {
    const before = tenacious.log.length;
    await hear(CHAT, "truncate:12,continue-cut:6,continue-right", {}, { by: tenacious });
    const line = await tenacious.exchangeLog(tenacious.log.slice(0, before).filter((one) => "outcome" in one).length + 1);
    expect(line).toMatchObject({ outcome: "resumed", by: "answer", seams: 2 });
    // Each leg has read the prompt again, and said the tail again.
    expect(line.paidTwice).toEqual({ tokens: expect.any(Number), from: "estimate" });
    expect(line.paidTwice.tokens).toBeGreaterThan(50);
    const { body } = await send(`${tenacious.url}/metrics`);
    expect(body).toMatch(/perennial_resumed_total\{by="answer"\} [1-9]/);
    expect(body).toMatch(/perennial_paid_twice_tokens_total\{from="estimate"\} [1-9]/);
  });

  test("beyond resume.maxAttempts the client is told why the answer broke, and that no more was tried", async () => {
    const heard = await hear(CHAT, "truncate:12,continue-cut:6");
    expect(heard).toMatchObject({ whole: false, errorCode: "stream_truncated" });
    expect(heard.message).toContain("It could not be continued (attempts).");
    expect(heard.text.length).toBeGreaterThan(TOKENS.slice(0, 11).join("").length);
  });
});

describe("what the client is told when it cannot go on", () => {
  test.each([
    ["continue-restart", "tail"],
    ["continue-reasoning", "kind"],
    ["continue-tools", "kind"],
    ["continue-empty", "tail"],
  ])("of the break, not of the leg, and the rule: %s", async (kind, rule) => {
    const { errorCode, message } = await hear(CHAT, `truncate:12,${kind}`);
    expect(errorCode).toBe("stream_truncated");
    expect(message).toContain("closed the connection in the middle of its answer");
    expect(message).toContain(`It could not be continued (${rule}).`);
    const { body } = await send(`${perennial.url}/metrics`);
    expect(body).toMatch(new RegExp(`perennial_seams_refused_total\\{rule="${rule}"\\} [1-9]`));
  });

  test("never of the upstream's refusal, which is remembered", async () => {
    const before = chaos.requests.length;
    const told = [await hear(CHAT, "truncate:12,continue-400-flags"), await hear(CHAT, "truncate:12,continue-400-flags")];
    for (const { errorCode, message } of told) {
      expect(errorCode).toBe("stream_truncated");
      expect(message).toContain("It could not be continued (refused).");
      expect(message).not.toContain("add_generation_prompt");
    }
    expect(chaos.requests.slice(before).map(({ fault }) => fault)).toEqual(["truncate:12", "continue-400-flags", "truncate:12"]);
  });

  test("that a sampled answer needs a server that goes on", async () => {
    const { message } = await hear(CHAT, "truncate:12,continue-restart", { temperature: 0.8 });
    expect(message).toContain("It could not be continued (sampled).");
  });
});

describe("a client that wants less", () => {
  test.each(["error", "resume"])("x-perennial-recovery: %s", async (recovery) => {
    const before = chaos.requests.length;
    const { errorCode, message } = await hear(
      CHAT,
      "truncate:12,continue-right",
      {},
      { headers: { "x-perennial-recovery": recovery } },
    );
    expect(errorCode).toBe("stream_truncated");
    expect(message.includes("could not be continued")).toBe(recovery !== "error");
    expect(chaos.requests).toHaveLength(before + 1);
  });

  test("may not want more than is allowed, nor what does not exist", async () => {
    const cautious = await startPerennial(chaosUrl, { upstream: { continuation: "assistant" } });
    try {
      const more = await hear(
        CHAT,
        "truncate:12,continue-right",
        {},
        { by: cautious, headers: { "x-perennial-recovery": "continue" } },
      );
      expect(more).toMatchObject({ whole: false, errorCode: "stream_truncated" });
      expect(more.message).not.toContain("continued");
    } finally {
      await cautious.close();
    }
    const { status, body } = await send(`${perennial.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-perennial-recovery": "always" },
      body: JSON.stringify({ model: "m", stream: true, messages: [] }),
    });
    expect({ status, code: JSON.parse(body).error.code }).toEqual({ status: 400, code: "invalid_request" });
  });
});

describe("all of it again", () => {
  test.each(DIALECTS)("must begin with what was sent, and goes on: $name", async (fixture) => {
    for (const place of [6, 12, 20, 26]) {
      const heard = await hear(fixture, `truncate:${place},ok`, { seed: 1 }, { by: repeating });
      expect(heard).toMatchObject({ whole: true, text: ANSWER });
      expect(heard.ids).toHaveLength(1);
    }
  });

  test("that begins otherwise is refused", async () => {
    const heard = await hear(CHAT, "truncate:12,long:30", {}, { by: repeating });
    expect(heard).toMatchObject({ whole: false, errorCode: "stream_truncated" });
    expect(heard.message).toContain("It could not be continued (tail).");
    expect(ANSWER.startsWith(heard.text)).toBe(true);
  });

  test("is not asked for where it would be another", async () => {
    const heard = await hear(CHAT, "truncate:12,ok", { temperature: 1 }, { by: repeating });
    expect(heard.message).toContain("It could not be continued (sampled).");
  });
});

test("the client's own idempotency key is not sent with the request for the rest", async () => {
  const before = chaos.requests.length;
  await hear(CHAT, "truncate:12,continue-right", {}, { headers: { "idempotency-key": "k" } });
  expect(chaos.requests.slice(before).map(({ headers }) => headers["idempotency-key"])).toEqual(["k", undefined]);
});
