/** Answers that break when their client has some of them: they go on where that is proved, and end with the honest error where not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER, TOKENS } from "../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../src/chaos/chaos-server.ts";
import { CONTINUATIONS } from "../src/chaos/registry.ts";
import { send } from "./support/client.ts";
import { type DialectFixture, FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";

let chaos: ChaosServer;
let perennial: TestPerennial;

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 0 });
  const { url } = await chaos.listen(0, "127.0.0.1");
  perennial = await startPerennial(url, {
    recovery: "continue",
    upstream: { continuation: "assistant" },
    timeouts: { firstToken: "20s", idle: "20s" },
  });
});

afterAll(async () => {
  await perennial.close();
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

async function hear(fixture: DialectFixture, spec: string, fields: object = {}, headers = {}): Promise<Heard> {
  const { body } = await send(perennial.url + fixture.path, {
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
  if (name === "openai-completions") return { prompt: "Why do streams break?" };
  return {
    messages: [{ role: "user", content: "Why do streams break?" }],
    ...(name === "anthropic-messages" ? { max_tokens: 4_000 } : {}),
  };
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
