/**
 * Sequences of whole events in every dialect (two finishes, two calls, a piece behind an end, an event lost, doubled or moved), judged by the
 * fuzz's strict reader, which shares no code with `src/`. Another seed: PROPERTY_SEED=random or a number; more: PROPERTY_RUNS.
 */
import { describe, expect, test } from "vitest";
import type { Dialect } from "../src/core/dialect.ts";
import { anthropicMessages } from "../src/dialect/anthropic-messages.ts";
import { chatchat, chatchatCompletions } from "../src/dialect/chatchat.ts";
import { openAiChat } from "../src/dialect/openai-chat.ts";
import { openAiCompletions } from "../src/dialect/openai-completions.ts";
import { openAiResponses } from "../src/dialect/openai-responses.ts";
import type { Case, DialectName } from "./fuzz/case.ts";
import { createRandom, type Random } from "./fuzz/random.ts";
import { readStrictly } from "./fuzz/strict-reading.ts";
import { readSse } from "./fuzz/strict-sse.ts";
import { validStream } from "./fuzz/valid-streams.ts";
import { readStream } from "./support/read-stream.ts";

const { PROPERTY_SEED = "20261126", PROPERTY_RUNS = "400" } = process.env;
const SEED = PROPERTY_SEED === "random" ? Date.now() % 1_000_000 : Number(PROPERTY_SEED);

const DIALECTS: readonly (readonly [DialectName, Dialect])[] = [
  ["chat", openAiChat],
  ["completions", openAiCompletions],
  ["messages", anthropicMessages],
  ["responses", openAiResponses],
  ["chatchat", chatchat],
  ["chatchat-completions", chatchatCompletions],
];

/** One thing that happens to the events of a stream. */
function change(events: string[], dialect: DialectName, random: Random): void {
  const at = random.int(0, Math.max(0, events.length - 1));
  switch (random.pick(["lost", "doubled", "moved", "another's", "another's end"])) {
    case "lost":
      events.splice(at, 1);
      return;
    case "doubled":
      events.splice(at, 0, ...events.slice(at, at + 1));
      return;
    case "moved": {
      const moved = events.splice(at, 1);
      events.splice(random.int(0, events.length), 0, ...moved);
      return;
    }
    case "another's":
      events.splice(at, 0, random.pick(validStream(dialect, 1, random)));
      return;
    default:
      // A second finish, a second terminator, and whatever came before them.
      events.push(...validStream(dialect, 1, random).slice(-random.int(1, 4)));
  }
}

function dataOf(text: string): string[] {
  return readSse(Buffer.from(text)).items.flatMap((item) => ("odd" in item || item.data === undefined ? [] : [item.data]));
}

describe.each(DIALECTS)("%s", (name, dialect) => {
  test("what a sequence of events is called is what a strict reader calls it", () => {
    let whole = 0;
    let broken = 0;
    for (let number = 0; number < Number(PROPERTY_RUNS); number++) {
      const random = createRandom(SEED, number);
      const events = validStream(name, 1, random);
      for (let left = random.int(0, 3); left > 0; left--) change(events, name, random);
      const body = Buffer.from(events.join(""));
      const played: Case = { dialect: name, choices: 1, body, splits: [], framing: "chunked", end: "clean", done: [] };
      const readings = readStrictly(played);
      const odd = readings.flatMap((reading) => reading.odd).join("; ");
      const shown = `seed ${SEED}, number ${number}: ${odd}\n${body.toString()}`;
      const { text, failure } = readStream(dialect, body);
      const given = dataOf(text);
      const isPrefix = (kept: readonly string[]): boolean => given.every((data, i) => data === kept[i]);
      if (failure === undefined) {
        whole++;
        const good = readings.filter(
          ({ verdict, kept, least }) => verdict !== "broken" && given.length >= least && isPrefix(kept),
        );
        expect(good.length, `called whole: ${shown}`).toBeGreaterThan(0);
      } else {
        broken++;
        expect(
          readings.some(({ verdict }) => verdict !== "whole"),
          `refused (${failure}): ${shown}`,
        ).toBe(true);
        expect(
          readings.some(({ kept }) => isPrefix(kept)),
          `not the beginning: ${shown}`,
        ).toBe(true);
      }
      expect(readStream(dialect, body, random.int(1, 40)), shown).toEqual({ text, failure });
    }
    expect(whole).toBeGreaterThan(20);
    // A native stream has no end of its own, so that what is lost of it as a whole event is not seen.
    if (name !== "chatchat") expect(broken).toBeGreaterThan(5);
  });
});
