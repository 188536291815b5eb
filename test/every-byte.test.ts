/** A stream cut at every byte offset, in every framing, by FIN and by RST: whole or an error event, always. */
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import {
  chatEvents,
  FRAMINGS,
  type Framing,
  frame,
  type RawUpstream,
  SSE_HEAD,
  startRawUpstream,
} from "./support/raw-upstream.ts";

const WORDS = ["Streams ", "break 🌊 ", "细水", "长流."];
const TEXT = WORDS.join("");
const HEAD_BYTES = SSE_HEAD.length;
const PARALLEL = 32;

/** By FIN: what was written arrives, then the end. By RST: the kernel may drop what was not read yet, so it is given time. */
function sendCut(socket: Socket, bytes: Buffer, how: "FIN" | "RST"): void {
  socket.write(bytes, () => {
    if (how === "FIN") socket.end();
    else setTimeout(() => socket.resetAndDestroy(), 2);
  });
}

let upstream: RawUpstream;
let perennial: TestPerennial;

beforeAll(async () => {
  const attempts = new Map<string, number>();
  upstream = await startRawUpstream((socket, { json }) => {
    const [framing, how, offset] = (json.model as string).split("/") as [Framing, "FIN" | "RST", string];
    const whole = frame(framing, chatEvents(WORDS));
    const attempt = (attempts.get(json.model) ?? 0) + 1;
    attempts.set(json.model, attempt);
    // The second attempt is whole, so that a cut behind the gate must never be noticed.
    if (attempt > 1) socket.end(frame("chunked-close", chatEvents(WORDS)));
    else sendCut(socket, whole.subarray(0, Number(offset)), how);
  });
  perennial = await startPerennial(upstream.baseUrl, { log: { level: "silent" } });
});

afterAll(async () => {
  await perennial.close();
  await upstream.close();
});

describe.each(FRAMINGS)("%s", (framing) => {
  test.each(["FIN", "RST"] as const)("cut at every byte by %s, the client gets a whole answer or an error event", async (how) => {
    const whole = frame(framing, chatEvents(WORDS));
    const finishAt = whole.indexOf('"finish_reason":"stop"');
    const firstContentAt = whole.indexOf(WORDS[0] as string);
    const tally = { whole: 0, interrupted: 0 };

    async function cutAt(offset: number): Promise<void> {
      const where = `${framing}, ${how} at byte ${offset}: …${JSON.stringify(whole.subarray(Math.max(0, offset - 40), offset).toString())}`;
      const seen = await chat(perennial.baseUrl, { model: `${framing}/${how}/${offset}` });
      expect(seen.status, where).toBe(200);
      expect(seen.end, where).toBe("clean");
      const stream = readStream(seen.body);
      if (stream.errorCode === undefined) {
        tally.whole++;
        expect(stream, where).toMatchObject({ text: TEXT, done: true, finish: "stop" });
        // Whole, though cut: before the first content by a retry, after the finish by repair.
        expect(offset < firstContentAt + HEAD_BYTES || offset > finishAt, where).toBe(true);
      } else {
        tally.interrupted++;
        expect(stream.errorCode, where).toBe("stream_truncated");
        expect(stream.done, where).toBe(false);
        expect(stream.finish, where).toBeNull();
        expect(TEXT.startsWith(stream.text), where).toBe(true);
      }
    }

    const offsets = Array.from({ length: whole.length + 1 }, (_, offset) => offset);
    await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        for (let offset = offsets.pop(); offset !== undefined; offset = offsets.pop()) await cutAt(offset);
      }),
    );
    expect(tally.whole + tally.interrupted).toBe(whole.length + 1);
    expect(tally.interrupted).toBeGreaterThan(300);
  });
});
