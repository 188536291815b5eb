/** What is between the events must not matter: line ends, comments, split reads; `data` comes out as it went in. */

import type { Socket } from "node:net";
import { expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { WHOLE } from "./support/events.ts";
import { chatEvents, frame } from "./support/raw-upstream.ts";
import { atOnce } from "./support/replies.ts";
import { test } from "./support/test.ts";

const EVENTS = chatEvents(["Grüße, ", "细水长流 ", "🌊🏔️ ", "spaces  and \\u00e9 kept"]);
const DATA = EVENTS.map((event) => event.slice("data: ".length, -2));

async function dripped(socket: Socket, bytes: Buffer, step: number): Promise<void> {
  socket.setNoDelay(true);
  for (let at = 0; at < bytes.length; at += step) {
    socket.write(bytes.subarray(at, at + step));
    // One turn of the loop between two writes makes them two reads, most of the time.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const variants: [how: string, events: (string | Buffer)[]][] = [
  ["LF", EVENTS],
  ["CRLF", EVENTS.map((event) => event.replaceAll("\n", "\r\n"))],
  ["CR", EVENTS.map((event) => event.replaceAll("\n", "\r"))],
  ["a byte order mark", [Buffer.from([0xef, 0xbb, 0xbf]), ...EVENTS]],
  ["comments between all events", EVENTS.flatMap((event) => [": ping - 2026\n\n", ":\n", event])],
  ["id and retry fields", EVENTS.flatMap((event) => ["retry: 10\n\n", `id: 7\n${event}`])],
  ["no space after the colon", EVENTS.map((event) => event.replace("data: ", "data:"))],
  ["no blank line after the last event", [...EVENTS.slice(0, -1), "data: [DONE]"]],
];

test.for(variants)("data comes out byte for byte with %s, whole and in reads of one byte", async ([_how, events], { serve }) => {
  const bytes = frame("chunked", events);
  const { perennial } = await serve((socket, { json }) => dripped(socket, bytes, json.model === "drip" ? 1 : bytes.length));
  for (const model of ["whole", "drip"]) {
    const { body } = await chat(perennial.baseUrl, { model });
    expect(readStream(body).data).toEqual(DATA);
    // Nothing but data lines: ids, retries and foreign comments break clients.
    expect(body.split("\n").filter((text) => text !== "" && !text.startsWith("data: "))).toEqual([]);
  }
});

test("data of several lines stays so", async ({ serve }) => {
  const pretty = JSON.stringify(JSON.parse(DATA[1] ?? ""), null, 2);
  const event = `data: ${pretty.replaceAll("\n", "\ndata: ")}\n\n`;
  const { perennial } = await serve((socket) => socket.write(frame("chunked", [EVENTS[0] as string, event, ...EVENTS.slice(2)])));
  expect(readStream((await chat(perennial.baseUrl)).body).data[1]).toBe(pretty);
});

test("pings that are named so are not for the client", async ({ serve }) => {
  const { perennial } = await serve([atOnce(["event: ping\ndata: {}\n\n", ...WHOLE])]);
  expect(readStream((await chat(perennial.baseUrl)).body).data).toHaveLength(WHOLE.length);
});
