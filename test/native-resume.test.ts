/** The same generation after a break, from servers that keep it: llama.cpp's conversations. */
import type { Socket } from "node:net";
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { chatEvents, jsonReply, type RawRequest, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { type Serve, test } from "./support/test.ts";

const WORDS = ["A", " stream", " is", " a", " small", " promise", ": the", " first", " word", " comes", " before", " the last."];
const EVENTS = chatEvents(WORDS);
const SETTINGS = { recovery: "resume", upstream: { profile: "llamacpp" } };

interface Kept {
  /** What the conversation holds, asked for again. */
  readonly again?: (socket: Socket) => unknown;
  /** After how many events the answer breaks. */
  readonly place: number;
}

const lineOf = ({ head }: RawRequest): string => head.split("\r\n", 1)[0] ?? "";
const nameOf = ({ head }: RawRequest): string | undefined => /^x-conversation-id: (.+)$/im.exec(head)?.[1];

/** A server that keeps what it generates, and whose first answer breaks. */
function serveKept(serve: Serve, { place, again }: Kept, settings: object = {}) {
  return serve(
    (socket, request) => {
      const line = lineOf(request);
      if (line.startsWith("DELETE")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      else if (line.startsWith("GET")) (again ?? ((to) => sendFramed(to, "chunked", EVENTS)))(socket);
      else if (request.number > 1) sendFramed(socket, "chunked", EVENTS);
      else {
        socket.write(`${SSE_HEAD}connection: close\r\n\r\n${EVENTS.slice(0, place).join("")}`);
        socket.end();
      }
    },
    { ...SETTINGS, ...settings },
  );
}

test.for(EVENTS.map((_, place) => place).slice(2, -2))(
  "goes on with the same generation, byte for byte, when it breaks at event %i",
  async (place, { serve }) => {
    const { perennial, upstream } = await serveKept(serve, { place });
    const { body } = await chat(perennial.baseUrl, { temperature: 0.8, tools: [{ type: "function", function: { name: "f" } }] });
    expect(body).toBe(EVENTS.join(""));
    const [asked, again] = upstream.requests;
    const name = asked && nameOf(asked);
    expect(name).toMatch(/^[0-9a-f-]{36}$/);
    expect(again && lineOf(again)).toBe(`GET /v1/stream?conv_id=${name}&from=0 HTTP/1.1`);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "resumed", by: "native", seams: 1 });
  },
);

describe("what is kept", () => {
  test.for<[string, (socket: Socket) => unknown]>([
    ["is gone", (socket) => socket.write(jsonReply("{}", "404 Not Found"))],
    ["is another answer", (socket) => sendFramed(socket, "chunked", chatEvents(["Something", " else"]))],
    [
      "has another id",
      (socket) =>
        sendFramed(
          socket,
          "chunked",
          EVENTS.map((event) => event.replace("chatcmpl-1", "chatcmpl-2")),
        ),
    ],
    ["is less than was given", (socket) => sendFramed(socket, "chunked", chatEvents(WORDS.slice(0, 3)))],
  ])("%s: the client is told of the break", async ([_what, again], { serve }) => {
    const { perennial, upstream } = await serveKept(serve, { place: 8, again });
    const told = readStream((await chat(perennial.baseUrl)).body);
    expect(told).toMatchObject({ text: WORDS.slice(0, 7).join(""), done: false, errorCode: "stream_truncated" });
    // Nobody will come back for it.
    await expect.poll(() => upstream.requests.map(lineOf).at(-1)).toMatch(/^DELETE \/v1\/stream\?conv_id=/);
  });

  test("is not asked for where recovery is off", async ({ serve }) => {
    const { perennial, upstream } = await serveKept(serve, { place: 8 }, { recovery: "error" });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ errorCode: "stream_truncated" });
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests.map(nameOf)).toEqual([undefined]);
  });

  test("is thrown away when the client leaves, since the server would generate on", async ({ serve }) => {
    const { perennial, upstream } = await serve((socket, request) => {
      if (lineOf(request).startsWith("DELETE")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      else socket.write(`${SSE_HEAD}connection: close\r\n\r\n${EVENTS.slice(0, 5).join("")}`);
    }, SETTINGS);
    await chat(perennial.baseUrl, {}, { onRead: (_body, abort) => abort() }).catch(() => undefined);
    await expect.poll(() => upstream.requests.map(lineOf).at(-1)).toMatch(/^DELETE/);
    const [asked, thrown] = upstream.requests;
    expect(thrown && lineOf(thrown)).toContain(asked && nameOf(asked));
  });

  test("is thrown away when the request is made again, under another name", async ({ serve }) => {
    const { perennial, upstream } = await serveKept(serve, { place: 1 });
    expect(readStream((await chat(perennial.baseUrl)).body)).toMatchObject({ done: true });
    await expect.poll(() => upstream.requests.length).toBe(3);
    const names = upstream.requests.map(nameOf).filter((name) => name !== undefined);
    expect(new Set(names).size).toBe(2);
    const thrown = upstream.requests.map(lineOf).find((line) => line.startsWith("DELETE"));
    expect(thrown).toContain(names[0]);
  });
});

test("once what is kept is gone, the rest is asked for, with proof", async ({ serve }) => {
  const { perennial, upstream } = await serve(
    (socket, request) => {
      const line = lineOf(request);
      const last = request.json?.messages.at(-1);
      if (line.startsWith("DELETE") || line.startsWith("GET")) socket.write(jsonReply("{}", "404 Not Found"));
      else if (last.role === "user") socket.end(`${SSE_HEAD}connection: close\r\n\r\n${EVENTS.slice(0, 12).join("")}`);
      else sendFramed(socket, "chunked", chatEvents([WORDS.join("").slice(last.content.length)]));
    },
    { ...SETTINGS, recovery: "continue" },
  );
  const told = readStream((await chat(perennial.baseUrl, { temperature: 0 })).body);
  expect(told).toMatchObject({ text: WORDS.join(""), done: true, finish: "stop" });
  expect(await perennial.exchangeLog()).toMatchObject({ outcome: "resumed", by: "answer", seams: 1 });
  expect(upstream.requests.at(-1)?.json).toMatchObject({ continue_final_message: true, add_generation_prompt: false });
});
