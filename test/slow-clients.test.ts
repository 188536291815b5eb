/** A client that reads slowly: it makes the upstream wait, and pays for nothing that it did not ask for. */

import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { askSlowly, chat, readStream } from "./support/client.ts";
import { choice } from "./support/events.ts";
import { chatEvents, SSE_HEAD } from "./support/raw-upstream.ts";
import { atOnce, begin, open } from "./support/replies.ts";
import { test } from "./support/test.ts";

test("an upstream that waits for a slow client is not stalled", async ({ serve }) => {
  const big = "x".repeat(16_000);
  const words = Array.from({ length: 400 }, () => big);
  const { perennial } = await serve(
    (socket) => {
      begin(socket);
      socket.end(chatEvents(words).join(""));
    },
    { timeouts: { idle: "150ms" } },
  );
  const response = await fetch(`${perennial.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [] }),
  });
  // Long enough for every buffer on the way to be full, and for the idle time to pass several times.
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(readStream(await response.text())).toMatchObject({ done: true, errorCode: undefined, text: words.join("") });
});

describe("a client that reads slowly", () => {
  const big = choice({ content: "x".repeat(60_000) });

  /** Writes for as long as somebody reads, up to 64 MB. @returns how much was taken. */
  function pour(socket: Socket, piece: string, head: string): () => number {
    socket.write(`${head}connection: close\r\n\r\n`);
    let taken = 0;
    const more = (): void => {
      if (taken > 64_000_000 || socket.destroyed) return;
      taken += piece.length;
      socket.write(piece, more);
    };
    more();
    return () => taken;
  }

  test.for([
    ["/v1/chat/completions", SSE_HEAD, big],
    ["/v1/files", "HTTP/1.1 200 OK\r\n", big],
  ])("makes the upstream wait, so that no memory is filled (%s)", async ([path, head, piece], { serve }) => {
    let taken = (): number => 0;
    const { perennial } = await serve([
      (socket) => {
        taken = pour(socket, piece, head);
      },
    ]);
    const response = await askSlowly(perennial, path);
    await pause(700);
    expect(taken()).toBeGreaterThan(100_000);
    expect(taken()).toBeLessThan(40_000_000);
    await response.body?.cancel();
  });

  test("gets no comments into a connection that is full already", async ({ serve }) => {
    const { perennial } = await serve([(socket) => pour(socket, big, SSE_HEAD)], {
      heartbeat: { after: "20ms", every: "20ms" },
      interruptEnd: "clean",
      timeouts: { stream: "1s" },
    });
    const response = await askSlowly(perennial, "/v1/chat/completions");
    await pause(900);
    expect((await response.text()).split(": keep-alive").length).toBeLessThan(12);
  });

  test("does not hide that the upstream has fallen silent since", async ({ serve }) => {
    const { perennial } = await serve([open(choice({ content: "x".repeat(300_000) }))], {
      timeouts: { idle: "150ms", total: "4s" },
    });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_stalled" });
  });

  test("costs no connection when its answer is whole", async ({ serve }) => {
    const whole = chatEvents(["x".repeat(300_000)]);
    const { perennial, upstream } = await serve([atOnce(whole)]);
    await chat(perennial.baseUrl);
    await chat(perennial.baseUrl);
    expect(upstream.connections).toBe(1);
  });
});
