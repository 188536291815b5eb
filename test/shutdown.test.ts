/** Answers on their way to slow clients, and clients of HTTP/1.0, when Perennial stops or gives up: never cut off in silence. */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect } from "vitest";
import { chat } from "./support/client.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, jsonReply } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;
const TLS = { cert: fixture("server.pem"), key: fixture("server-key.pem") };

/** More than all buffers on the way can hold. */
const MUCH = "x".repeat(20_000_000);

interface Heard {
  readonly bytes: number;
  readonly text: string;
  /** How the connection ended: `FIN`, or an error's code. */
  readonly end: string;
}

/** Takes `first` bytes, pauses until it is told to go on, then takes the rest. */
async function slowly(
  perennial: TestPerennial,
  body: object,
  version = "1.1",
): Promise<{ socket: Socket; rest(): Promise<Heard> }> {
  const { protocol, port } = new URL(perennial.url);
  const socket =
    protocol === "https:" ? connectTls({ port: Number(port), rejectUnauthorized: false }) : connect(Number(port), "127.0.0.1");
  const json = JSON.stringify({ model: "m", messages: [], ...body });
  const chunks: Buffer[] = [];
  const ended = new Promise<string>((resolve) => {
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
    socket.on("end", () => resolve("FIN"));
  });
  socket.write(
    `POST /v1/chat/completions HTTP/${version}\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n${json}`,
  );
  await new Promise<void>((resolve) =>
    socket.once("data", (chunk) => {
      chunks.push(chunk);
      socket.pause();
      resolve();
    }),
  );
  return {
    socket,
    async rest() {
      socket.on("data", (chunk) => chunks.push(chunk));
      socket.resume();
      const end = await ended;
      const all = Buffer.concat(chunks);
      return { bytes: all.length, text: all.toString("latin1"), end };
    },
  };
}

test.for([
  ["a JSON answer", { stream: false }, "1.1"],
  ["a stream made of one", { stream: true }, "1.1"],
  ["a JSON answer", { stream: false }, "1.0"],
  ["a stream made of one", { stream: true }, "1.0"],
])(
  "%s that a slow client is still taking comes whole though Perennial is stopping (%j, HTTP/%s)",
  async ([_what, body, version], { serve }) => {
    const { perennial } = await serve((socket) => socket.write(jsonReply(chatAnswer(MUCH))));
    const client = await slowly(perennial, body, version);
    const closing = perennial.close();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const heard = await client.rest();
    await closing;
    expect(heard.text).toMatch(body.stream ? /data: \[DONE\]\s+(0\s+)?$/ : /"total_tokens":3\}\}$/);
    expect(heard.end).toBe("FIN");
    expect(perennial.log.filter((line) => "outcome" in line)).toMatchObject([{ outcome: body.stream ? "repaired" : "complete" }]);
  },
);

test.for([false, TLS])(
  "a client of HTTP/1.0 that is too slow for the shutdown sees its connection break (tls: %j)",
  async (tls, { serve }) => {
    const { perennial } = await serve((socket) => socket.write(jsonReply(chatAnswer(MUCH))), { drain: { timeout: "50ms" }, tls });
    const client = await slowly(perennial, { stream: true }, "1.0");
    await perennial.close();
    expect(await client.rest()).toMatchObject({ end: "ECONNRESET" });
  },
);

test.for([false, TLS])(
  "with interruptEnd: cut a client of HTTP/1.0 gets the error event, and sees a break (tls: %j)",
  async (tls, { serve }) => {
    const started = chatEvents(["Hello"], { finish: null, done: false }).join("");
    const { perennial } = await serve((socket) => socket.end(`${STREAM_HEAD}${started}`), {
      interruptEnd: "cut",
      tls,
    });
    const client = await slowly(perennial, { stream: true }, "1.0");
    const heard = await client.rest();
    expect(heard.text).toContain("stream_truncated");
    expect(heard.end).toBe("ECONNRESET");
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "interrupted" });
  },
);

test("half a request over TLS does not keep Perennial from ending in order", async ({ serve }) => {
  const { perennial } = await serve(() => {}, { drain: { timeout: "50ms" }, tls: TLS });
  const socket = connectTls({ port: Number(new URL(perennial.url).port), rejectUnauthorized: false });
  socket.on("error", () => {});
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
  await new Promise((resolve) => setTimeout(resolve, 200));
  await perennial.close();
  socket.destroy();
});

test("an exchange that ends with the shutdown before it was answered is told to come back", async ({ serve }) => {
  const { perennial, upstream } = await serve([() => {}], { drain: { timeout: "50ms" } });
  const seen = chat(perennial.baseUrl);
  await expect.poll(() => upstream.requests.length).toBe(1);
  await perennial.close();
  expect(await seen).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
});
