/** A real model server is killed in mid-answer and started again: the answer goes on, proved, or its client is told; nothing else. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chat, readStream } from "../support/client.ts";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";
import { type LlamaServer, startLlamaServer } from "./llama-server.ts";

/** Killed behind each of so many events: `npm run test:llama -- --every` for each single one. */
const STEP = Number(process.env.PERENNIAL_LLAMA_STEP ?? 9);
/** As many as the tail has, so that early events count as well. */
const MIN_CHARS = 24;
const SETTINGS = {
  recovery: "continue",
  resume: { minChars: MIN_CHARS, tail: MIN_CHARS },
  retry: { outage: "60s" },
  timeouts: { firstToken: "2m", idle: "2m" },
};
const LLAMA = { upstream: { profile: "llamacpp", continuation: "llamacpp" } };
/** What counts as one token, of those that are compared behind the seam. */
const COMPARED = 8;

/** Some of these answers have no end: their client leaves some words behind the seam. */
const LEAVES_BEHIND = 16;
const LAST_PLACE = 40;

const QUESTIONS = {
  prose: "Tell me about rivers in three sentences.",
  code: "Write a short Python function that adds two numbers.",
  "a list": "List the months of the year.",
  Chinese: "请用中文写一首关于春天的诗",
  emoji: "Write one sentence with emoji 🎉🌊🎈.",
  "JSON text": 'Repeat this JSON exactly: {"name": "Ann", "age": 30, "city": "Paris", "tags": ["a", "b"]}',
} as const;

interface Told {
  readonly text: string;
  /** Where each event's text ended. */
  readonly ends: readonly number[];
  readonly done: boolean;
  readonly errorCode: string | undefined;
}

const bodyOf = (content: string, fields: object): object => ({
  model: "smollm2",
  temperature: 0,
  messages: [{ role: "user", content }],
  ...fields,
});

/** @param onEvent is given the number of events with text so far, and the way to leave. */
async function ask(
  baseUrl: string,
  content: string,
  fields: object = {},
  onEvent: (count: number, leave: () => void) => unknown = () => undefined,
): Promise<Told> {
  const pieces = (body: string): string[] =>
    [...body.matchAll(/"content":("(?:[^"\\]|\\.)+")/g)].map(([, text]) => JSON.parse(text ?? '""'));
  let told = 0;
  const { body } = await chat(baseUrl, bodyOf(content, fields), {
    onRead(soFar, leave) {
      const count = pieces(soFar).length;
      while (told < count) onEvent(++told, leave);
    },
  });
  const { text, done, errorCode } = readStream(body.slice(0, body.lastIndexOf("\n\n") + 2));
  let at = 0;
  const ends = pieces(body).map((piece) => {
    at += piece.length;
    return at;
  });
  return { text, ends, done, errorCode };
}

let server: LlamaServer;
beforeAll(async () => {
  server = await startLlamaServer();
});
afterAll(async () => {
  await server?.kill();
});

async function perennialAt(of: LlamaServer, settings: Record<string, unknown>): Promise<TestPerennial> {
  const app = await startPerennial(of.baseUrl, settings);
  onTestFinished(() => app.close());
  return app;
}

/** Kills the server behind this event, and starts it again. @returns what the client was told, and what it had been told by then. */
async function killedAt(of: LlamaServer, app: TestPerennial, content: string, place: number, fields: object = {}) {
  const before = app.log.filter((each) => "outcome" in each).length;
  let restarted: Promise<void> | undefined;
  const told = await ask(app.baseUrl, content, fields, (count, leave) => {
    if (count === place) restarted ??= of.kill().then(() => of.start());
    if (count >= place + LEAVES_BEHIND) leave();
  });
  await restarted;
  const line = await app.exchangeLog(before + 1);
  return { told, line, given: told.ends[place - 1] ?? 0 };
}

describe("killed behind an event, at temperature 0", () => {
  test.each(Object.entries(QUESTIONS))(
    "%s goes on, with no character lost or repeated",
    async (what, content) => {
      const whole = await ask(server.baseUrl, content, { max_tokens: LAST_PLACE + LEAVES_BEHIND + COMPARED });
      expect(whole.done).toBe(true);
      const app = await perennialAt(server, { ...SETTINGS, ...LLAMA });
      const counts = { asked: 0, goneOn: 0, early: 0, refused: 0, finished: 0, equal: 0, compared: 0 };
      for (let place = STEP === 1 ? 1 : 5; place < Math.min(whole.ends.length, LAST_PLACE); place += STEP) {
        const { told, line, given } = await killedAt(server, app, content, place);
        counts.asked++;
        // What the client had by then is what the model says, and stays.
        expect(told.text.slice(0, given)).toBe(whole.text.slice(0, given));
        if (line.by === undefined && line.seam === undefined) counts.finished++;
        else if (line.by !== undefined) {
          expect(told).toMatchObject({ done: line.outcome === "resumed", errorCode: undefined });
          expect(line).toMatchObject({ by: "answer", outcome: expect.stringMatching(/resumed|cancelled/) });
          counts.goneOn++;
          const until = whole.ends[Math.min(whole.ends.length, place + COMPARED) - 1] ?? whole.text.length;
          counts.compared++;
          if (told.text.slice(0, until) === whole.text.slice(0, until)) counts.equal++;
        } else {
          expect(told).toMatchObject({ done: false, errorCode: "stream_truncated" });
          expect(whole.text.startsWith(told.text)).toBe(true);
          if (line.seam === "too-short") counts.early++;
          else counts.refused++;
        }
      }
      process.stdout.write(`llama: ${what}: ${JSON.stringify(counts)}\n`);
      expect(counts.refused).toBe(0);
      expect(counts.equal / Math.max(1, counts.compared)).toBeGreaterThanOrEqual(0.95);
    },
    1_800_000,
  );
});

describe("sampled at 0.8, by a server that has proved that it goes on", () => {
  test("answers are whole, and say nothing twice", async () => {
    const app = await perennialAt(server, { ...SETTINGS, ...LLAMA });
    const outcomes: string[] = [];
    for (const place of [14, 18, 22, 25]) {
      const { told, line, given } = await killedAt(server, app, QUESTIONS.code, place, { temperature: 0.8 });
      outcomes.push(`${line.by ?? line.seam ?? line.outcome}`);
      // The answer had come to its end before the server was killed.
      if (line.by === undefined && line.failure === undefined) continue;
      if (line.by === undefined) {
        // A rule that looks at the words may refuse, never the server: it goes on.
        expect(["repetition", "shape", "chatter", "restart", "too-short"]).toContain(line.seam);
        continue;
      }
      expect(line.by).toBe("server");
      expect(told).toMatchObject({ done: line.outcome === "resumed", errorCode: undefined });
      const before = told.text.slice(Math.max(0, given - MIN_CHARS), given);
      expect(told.text.slice(given).startsWith(before)).toBe(false);
    }
    process.stdout.write(`llama: sampled: ${outcomes.join(", ")}\n`);
    expect(outcomes.filter((by) => by === "server").length).toBeGreaterThan(0);
  }, 300_000);
});

describe("a server that closes the turn of the assistant's message", () => {
  let closing: LlamaServer;
  beforeAll(async () => {
    closing = await startLlamaServer(["--no-prefill-assistant"]);
  });
  afterAll(async () => {
    await closing?.kill();
  });

  test.each([
    ["at temperature 0", 0, "tail"],
    ["sampled", 0.8, "sampled"],
  ])(
    "%s: each rest is refused, and none of it is shown",
    async (_what, temperature, rule) => {
      const app = await perennialAt(closing, { ...SETTINGS, upstream: { continuation: "assistant" } });
      for (const [what, content] of Object.entries(QUESTIONS)) {
        for (const place of [14, 20]) {
          const { told, line, given } = await killedAt(closing, app, content, place, { temperature });
          if (line.failure === undefined || line.seam === "too-short") continue;
          expect({ what, outcome: line.outcome, seam: line.seam }).toEqual({ what, outcome: "interrupted", seam: rule });
          expect(told.done).toBe(false);
          expect(given).toBeGreaterThan(0);
        }
      }
      expect(app.log.filter((line) => line.seam === rule).length).toBeGreaterThan(4);
    },
    600_000,
  );
});
