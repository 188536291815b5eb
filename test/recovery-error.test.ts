/** `recovery: error`, the default: whatever else is set for going on over breaks, not one byte is another, up or down. */
import { describe, expect } from "vitest";
import { askDialect, byName, serveDialect } from "./support/dialect-client.ts";
import { FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { test } from "./support/test.ts";

const UNSET = {};
/** All that would make an answer go on, if it might. */
const SET = {
  recovery: "error",
  resume: { proof: "answer", maxAttempts: 20, minChars: 1, tail: 8, tools: "ifNoneCalled", background: true },
};
const CONTINUATIONS = ["llamacpp", "assistant", "rerun"] as const;

describe.each(FIXTURES.map(({ name }) => name))("%s", (name) => {
  const fixture = byName(name);

  /** As far as so many words. */
  function beginning(words: number): readonly string[] {
    const ends = fixture.events.flatMap((_, index) => {
      const text = (count: number): string => readDialectStream(fixture, fixture.events.slice(0, count).join("")).text;
      return text(index + 1) === text(index) ? [] : [index + 1];
    });
    return fixture.events.slice(0, ends[words - 1]);
  }

  /** Pings are Perennial's own to send. */
  const asGiven = (events: readonly string[]): string => events.filter((event) => !event.startsWith("event: ping")).join("");

  /** What goes up and what comes down, without what differs from one request to the next. */
  async function exchange(
    serve: Parameters<typeof serveDialect>[0],
    events: readonly string[],
    settings: Record<string, unknown>,
  ) {
    const { perennial, upstream } = await serveDialect(serve, fixture, () => events, settings);
    const { body, status, headers } = await askDialect(perennial, fixture, { temperature: 0, seed: 1 });
    const { date: _date, "x-perennial-id": _id, ...kept } = headers;
    const up = upstream.requests.map((request) => request.head.replace(/^host: .*$/im, "") + request.body);
    const {
      id: _line,
      level,
      time,
      pid,
      hostname,
      attempts,
      durationMs,
      firstTokenMs,
      longestGapMs,
      ...line
    } = await perennial.exchangeLog();
    return { up, down: { body, status, headers: kept }, line };
  }

  test("a break ends as it always has, wherever it is, and whatever is set", async ({ serve }) => {
    for (const breaks of [1, 2]) {
      const events = beginning(breaks);
      const broken = [...events, "data: {"];
      const asEver = await exchange(serve, broken, UNSET);
      // What came, to the byte, and behind it the one error event.
      const told = asEver.down.body.slice(asGiven(events).length);
      expect(asEver.down.body.startsWith(asGiven(events))).toBe(true);
      expect(told.match(/^data: /gm)).toHaveLength(1);
      expect(told).not.toContain("continued");
      expect(readDialectStream(fixture, asEver.down.body).errorCode).toBe("stream_truncated");
      expect(asEver.up).toHaveLength(1);
      expect(asEver.line).not.toHaveProperty("seam");
      for (const continuation of CONTINUATIONS)
        expect(await exchange(serve, broken, { ...SET, upstream: { continuation } })).toEqual(asEver);
    }
  });

  test("a whole answer comes as it was sent", async ({ serve }) => {
    const asEver = await exchange(serve, fixture.events, UNSET);
    expect(asEver.down.body).toBe(asGiven(fixture.events));
    expect(await exchange(serve, fixture.events, { ...SET, upstream: { continuation: "llamacpp" } })).toEqual(asEver);
  });
});
