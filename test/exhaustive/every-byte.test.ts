/** A stream cut at every byte offset, in every framing and every dialect: whole or an error event, always. */
import { Agent } from "node:http";
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { send } from "../support/client.ts";
import { type DialectFixture, FIXTURES, readDialectStream } from "../support/dialect-fixtures.ts";
import { startPerennial, type TestPerennial, UNBOUND } from "../support/perennial.ts";
import { FRAMINGS, type Framing, frame, type RawUpstream, SSE_HEAD, startRawUpstream } from "../support/raw-upstream.ts";

const PARALLEL = 32;
const agent = new Agent({ keepAlive: true });

/** By FIN: what was written arrives, then the end. By RST: the kernel may drop what was not read yet, so it is given time. */
function sendCut(socket: Socket, bytes: Buffer, how: "FIN" | "RST"): void {
  socket.write(bytes, () => {
    if (how === "FIN") socket.end();
    else setTimeout(() => socket.resetAndDestroy(), 2);
  });
}

describe.each(FIXTURES)("$name", (fixture) => {
  let upstream: RawUpstream;
  let perennial: TestPerennial;

  beforeAll(async () => {
    const attempts = new Map<string, number>();
    upstream = await startRawUpstream((socket, { json }) => {
      const [framing, how, offset] = (json.model as string).split("/") as [Framing, "FIN" | "RST", string];
      const attempt = (attempts.get(json.model) ?? 0) + 1;
      attempts.set(json.model, attempt);
      // The second attempt is whole, so that a cut behind the gate must never be noticed.
      if (attempt > 1) socket.end(frame("chunked-close", fixture.events));
      else sendCut(socket, frame(framing, fixture.events).subarray(0, Number(offset)), how);
    });
    // Chatchat's base URL has no /v1.
    const baseUrl = fixture.path.startsWith("/v1/") ? upstream.baseUrl : upstream.baseUrl.replace("/v1", "");
    perennial = await startPerennial(baseUrl, {
      log: { level: "silent" },
      upstream: fixture.upstream,
      retry: { backoff: { initial: "1ms", jitter: false }, budget: UNBOUND },
    });
  });

  afterAll(async () => {
    agent.destroy();
    await perennial.close();
    await upstream.close();
  });

  const cuts = FRAMINGS.flatMap((framing) =>
    (fixture.name === "openai-chat" ? ["FIN", "RST"] : ["FIN"]).map((how) => ({ framing, how: how as "FIN" | "RST" })),
  );

  test.each(cuts)(
    "cut at every byte by $how, $framing: the client gets a whole answer or an error event",
    async ({ framing, how }) => {
      const bytes = frame(framing, fixture.events);
      const tally = { whole: 0, interrupted: 0 };
      await forEachOffset(bytes.length, async (offset) => {
        const where = `${framing}, ${how} at byte ${offset}: …${JSON.stringify(bytes.subarray(Math.max(0, offset - 40), offset).toString())}`;
        const seen = await send(perennial.url + fixture.path, {
          method: "POST",
          agent,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: `${framing}/${how}/${offset}`, stream: true, ...fixture.request }),
        });
        expect({ status: seen.status, end: seen.end }, where).toEqual({ status: 200, end: "clean" });
        const stream = readDialectStream(fixture, seen.body);
        // Without length or chunks a cut between two events is an end, and an end is all that Chatchat's native routes have.
        const isUnframed = framing === "close-delimited" && fixture.wholeAfter === undefined;
        if (isUnframed && stream.errorCode === undefined && stream.text !== fixture.text) {
          tally.whole++;
          expect(bytes.subarray(0, offset).toString(), where).toMatch(/\}\n{0,2}$/);
        } else judge(fixture, bytes, offset, stream, where, tally);
      });
      expect(tally.whole + tally.interrupted).toBe(bytes.length + 1);
      expect(tally.interrupted).toBeGreaterThan(50);
    },
    // Hundreds of exchanges, which a machine that is busy with others takes its time for.
    60_000,
  );
});

function judge(
  fixture: DialectFixture,
  bytes: Buffer,
  offset: number,
  stream: ReturnType<typeof readDialectStream>,
  where: string,
  tally: { whole: number; interrupted: number },
): void {
  if (stream.errorCode !== undefined) {
    tally.interrupted++;
    expect(stream, where).toMatchObject({ errorCode: "stream_truncated", whole: false });
    expect(fixture.text.startsWith(stream.text), where).toBe(true);
    return;
  }
  tally.whole++;
  expect(stream.text, where).toBe(fixture.text);
  expect(stream.whole, where).toBe(fixture.wholeAfter !== undefined);
  // Whole, though cut: before the first content by a retry, after the last that matters by repair.
  const firstContentAt = bytes.indexOf(fixture.events.find((event) => event.includes("Hé ")) as string) + SSE_HEAD.length;
  const wholeAt = fixture.wholeAfter === undefined ? bytes.length - 1 : bytes.indexOf(fixture.wholeAfter);
  expect(offset < firstContentAt + 200 || offset > wholeAt, where).toBe(true);
}

async function forEachOffset(last: number, visit: (offset: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (next <= last) await visit(next++);
    }),
  );
}
