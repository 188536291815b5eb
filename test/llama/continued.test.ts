/** A real model server is killed in mid-answer and started again: the answer goes on, proved, or its client is told; nothing else. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";
import { type AnswerName, chooseAnswers, type Ending, KeptEndings, QUESTIONS } from "./answers.ts";
import { ask, killedAt, LEAVES_BEHIND, type Told } from "./killed.ts";
import { type LlamaServer, startLlamaServer } from "./llama-server.ts";

/** Killed behind each of so many events: `npm run test:llama -- --every` for each single one, of the answers that are chosen. */
const STEP = Number(process.env.PERENNIAL_LLAMA_STEP ?? 9);
const ANSWERS = chooseAnswers(process.env.PERENNIAL_LLAMA_ANSWERS ?? "");
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

const LAST_PLACE = 40;
/** Tokens that are asked for where an answer has no end: an emoji is three. */
const LONGEST = (LAST_PLACE + LEAVES_BEHIND + COMPARED) * 3;

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

describe("killed behind an event, at temperature 0", () => {
  let app: TestPerennial;
  beforeAll(async () => {
    app = await startPerennial(server.baseUrl, { ...SETTINGS, ...LLAMA });
  });
  afterAll(async () => {
    await app?.close();
  });

  /** @throws where the client was told anything but a beginning of one answer, or all of it. */
  async function endingAt(name: AnswerName, place: number, whole: Told): Promise<Ending> {
    const hasEnd = whole.finish === "stop";
    const { told, line, given } = await killedAt(server, app, QUESTIONS[name], place, {}, hasEnd);
    // What the client had by then is what the model says, and stays.
    expect(told.text.slice(0, given)).toBe(whole.text.slice(0, given));
    if (line.by === undefined && line.seam === undefined) return { kind: "finished" };
    if (line.by === undefined) {
      expect(told).toMatchObject({ done: false, errorCode: "stream_truncated" });
      expect(whole.text.startsWith(told.text)).toBe(true);
      return { kind: line.seam === "too-short" ? "early" : "refused" };
    }
    expect(told).toMatchObject({ done: line.outcome === "resumed", errorCode: undefined });
    expect(line).toMatchObject({ by: "answer", outcome: hasEnd ? "resumed" : expect.stringMatching(/resumed|cancelled/) });
    const until = whole.ends[Math.min(whole.ends.length, place + COMPARED) - 1] ?? whole.text.length;
    return { kind: "goneOn", isEqual: told.text.slice(0, until) === whole.text.slice(0, until) };
  }

  test.each(ANSWERS)(
    "%s goes on, with no character lost or repeated",
    async (name) => {
      const whole = await ask(server.baseUrl, QUESTIONS[name], { max_tokens: LONGEST });
      expect(whole.done).toBe(true);
      const kept = STEP === 1 ? new KeptEndings(name) : undefined;
      const counts = { asked: 0, goneOn: 0, early: 0, refused: 0, finished: 0, equal: 0 };
      for (let place = STEP === 1 ? 1 : 5; place < Math.min(whole.ends.length, LAST_PLACE); place += STEP) {
        const known = kept?.get(place);
        const ending = known ?? (await endingAt(name, place, whole));
        if (known === undefined) kept?.add(place, ending);
        counts.asked++;
        counts[ending.kind]++;
        if (ending.isEqual === true) counts.equal++;
      }
      process.stdout.write(`llama: ${name}: ${JSON.stringify(counts)}\n`);
      expect(counts.refused).toBe(0);
      expect(counts.equal / Math.max(1, counts.goneOn)).toBeGreaterThanOrEqual(0.95);
    },
    3_600_000,
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
