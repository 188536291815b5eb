/** Comments that keep a waiting client from giving up, and what they change for it. */

import { setTimeout as pause } from "node:timers/promises";
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { choice, WHOLE, WORDS } from "./support/events.ts";
import { chatEvents, jsonReply } from "./support/raw-upstream.ts";
import { atOnce, begin, late } from "./support/replies.ts";
import { test } from "./support/test.ts";

test("heartbeats keep a silent client waiting, and attempts go on behind them", async ({ serve }) => {
  const { perennial } = await serve(
    (socket, { number }) => {
      begin(socket);
      setTimeout(() => socket.end(number < 3 ? "" : chatEvents(WORDS).join("")), 60);
    },
    { heartbeat: { after: "20ms", every: "20ms" } },
  );
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(200);
  expect(seen.body.startsWith(": keep-alive\n\n")).toBe(true);
  expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
});

test("after a heartbeat the final failure is an error event", async ({ serve }) => {
  const { perennial } = await serve(
    (socket) => setTimeout(() => socket.end("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"), 40),
    {
      heartbeat: { after: "20ms", every: "20ms" },
    },
  );
  const seen = await chat(perennial.baseUrl);
  expect(seen.status).toBe(200);
  expect(readStream(seen.body)).toMatchObject({ text: "", errorCode: "upstream_status", done: false });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted", failure: "upstream_status" });
});

test.for([
  ["OpenAI's", '{"error":{"message":"too many tokens","type":"invalid_request_error"}}'],
  ["FastAPI's", '{"detail":"too many tokens"}'],
])("after a heartbeat the upstream's own words are in the error event (%s)", async ([_whose, reply], { serve }) => {
  const { perennial } = await serve(late(60, jsonReply(reply, "400 Bad")), {
    heartbeat: { after: "20ms", every: "20ms" },
  });
  const { body } = await chat(perennial.baseUrl);
  expect(readStream(body)).toMatchObject({ errorCode: "upstream_status", done: false });
  expect(body).toContain("too many tokens");
});

test("with heartbeats off a late answer is whole and has no comments in it", async ({ serve }) => {
  const { perennial } = await serve(late(150, atOnce(WHOLE)), {
    heartbeat: "off",
  });
  const { body } = await chat(perennial.baseUrl);
  expect(body).not.toContain("keep-alive");
  expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
});

describe("heartbeats", () => {
  test("are not sent while text flows, and are when it pauses", async ({ serve }) => {
    const { perennial } = await serve(
      [
        async (socket) => {
          begin(socket);
          for (let i = 0; i < 50; i++) {
            socket.write(choice({ content: "x" }));
            await pause(20);
          }
          socket.write(choice({ content: "pause" }));
          await pause(900);
          socket.end(WHOLE.slice(-2).join(""));
        },
      ],
      { heartbeat: { after: "400ms", every: "400ms" } },
    );
    const seen = await chat(perennial.baseUrl);
    const [flowing = "", pausing = ""] = seen.body.split('"pause"');
    expect([flowing.includes("keep-alive"), pausing.includes("keep-alive")]).toEqual([false, true]);
  });
});
