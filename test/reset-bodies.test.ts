/** A body that only the end of its connection ends: a reset is not that end, and no client is told that it was. */
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { send } from "./support/client.ts";
import { chatSpeaker } from "./support/speakers.ts";
import { test } from "./support/test.ts";

const head = (type: string): string => `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\nconnection: close\r\n\r\n`;
const ENDS = [
  ["end", "clean"],
  ["resetAndDestroy", "cut"],
] as const;

describe("a body without a length", () => {
  test.for(ENDS)("that is passed through ends as it ended: %s is %s", async ([how, told], { serve }) => {
    const { perennial } = await serve((socket) => {
      socket.write(`${head("application/octet-stream")}half of it`, async () => {
        await pause(50);
        socket[how]();
      });
    });
    const seen = await send(`${perennial.baseUrl}/files/1/content`);
    expect(seen.body).toBe("half of it");
    expect(seen.end).toBe(told);
  });

  test.for(ENDS)("of a dialect that ends with its body is judged by that end: %s is %s", async ([how, told], { serve }) => {
    const { perennial } = await serve(
      (socket) => {
        socket.write(`${head("text/event-stream")}data: {"text":"Hello","message_id":"1"}\n\n`, async () => {
          await pause(50);
          socket[how]();
        });
      },
      { upstream: { profile: "chatchat" }, retry: { maxAttempts: 1 } },
    );
    const seen = await send(`${perennial.url}/chat/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "q", stream: true }),
    });
    expect(seen.body.includes("stream_truncated") ? "cut" : "clean").toBe(told);
  });

  test.for(ENDS)("of an answer that had finished is whole, however it ends: %s", async ([how], { serve }) => {
    const { perennial } = await serve((socket) => {
      const events = [...chatSpeaker.begin, chatSpeaker.text("Hello"), ...chatSpeaker.finish()].join("");
      socket.write(`${head("text/event-stream")}${events}`, async () => {
        await pause(50);
        socket[how]();
      });
    });
    const seen = await send(`${perennial.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", stream: true, messages: [] }),
    });
    expect(seen.body.endsWith(chatSpeaker.terminator)).toBe(true);
    expect(seen.body).not.toContain('"error"');
  });
});
