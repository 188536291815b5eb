/** Answers that break when their client has some of them: they go on where that is proved, and end with the honest error where not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER, TOKENS } from "../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../src/chaos/chaos-server.ts";
import { CONTINUATIONS } from "../src/chaos/registry.ts";
import { send } from "./support/client.ts";
import { type DialectFixture, FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
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

const DIALECTS = FIXTURES.filter(({ name }) => ["openai-chat", "openai-completions", "anthropic-messages"].includes(name));
const KINDS = CONTINUATIONS.faults.map(({ name }) => name);
/** Each place at which the answer can break: before each of its words, and behind the last. */
const PLACES = Array.from({ length: TOKENS.length + 3 }, (_, index) => index);
const MIN_CHARS = 40;

interface Heard {
  readonly text: string;
  readonly whole: boolean;
  readonly errorCode: string | undefined;
  readonly message: string;
  /** Every id that names the answer. */
  readonly ids: readonly string[];
  readonly speakers: number;
}

async function hear(
  fixture: DialectFixture,
  spec: string,
  fields: object = {},
  { headers = {}, by = perennial }: { headers?: Record<string, string>; by?: TestPerennial } = {},
): Promise<Heard> {
  const { body } = await send(by.url + fixture.path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: `chaos/${spec}`, stream: true, temperature: 0, ...questionOf(fixture), ...fields }),
  });
  return {
    ...readDialectStream(fixture, body),
    message: /"message":"((?:[^"\\\\]|\\\\.)*)","(?:type|code)/.exec(body)?.[1] ?? "",
    ids: [...new Set([...body.matchAll(/"id":"([^"]+)"/g)].map(([, id]) => id ?? ""))],
    speakers: [...body.matchAll(/"role":/g)].length,
  };
}

/** A question that is no beginning of an answer. */
function questionOf({ name }: DialectFixture): object {
  const limit = { max_tokens: 4_000 };
  if (name === "openai-completions") return { prompt: "Why do streams break?", ...limit };
  return { messages: [{ role: "user", content: "Why do streams break?" }], ...limit };
}

/** By what it is proved; the temperature decides. */
const PROOFS = [
  ["answer", 0],
  ["server", 0.8],
] as const;

describe.each(PROOFS)("proved by the %s", (_proof, temperature) => {
  describe.each(DIALECTS)("$name", (fixture) => {
    test.each(KINDS)("%s: at whatever event it breaks, the text is a beginning of the answer, or all of it", async (kind) => {
      const heard = await Promise.all(PLACES.map((place) => hear(fixture, `truncate:${place},ok,${kind}`, { temperature })));
      for (const [place, { text, whole, errorCode, ids, speakers }] of heard.entries()) {
        const where = `${kind}, broken at ${place}: ${JSON.stringify(text)}`;
        expect(ANSWER.startsWith(text), where).toBe(true);
        expect({ whole, told: !whole }, where).toEqual({ whole: whole && text === ANSWER, told: errorCode !== undefined });
        expect(ids.length, where).toBeLessThanOrEqual(1);
        expect(speakers, where).toBeLessThanOrEqual(1);
        // What breaks before its first word is asked again, as ever.
        if (kind === "continue-right" && text.length >= MIN_CHARS) expect(whole, where).toBe(true);
      }
    });
  });
});

const [CHAT] = DIALECTS as [DialectFixture];

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
