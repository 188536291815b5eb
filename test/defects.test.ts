/** A defect of ours while a failure is told: the client sees its connection break, and the log says what happened. */
import pino from "pino";
import { expect, test } from "vitest";
import { configSchema } from "../src/config/schema.ts";
import type { Dialect } from "../src/core/dialect.ts";
import { openAiChat } from "../src/dialect/openai-chat.ts";
import { RouteTable } from "../src/dialect/route-table.ts";
import { openRuntime } from "../src/runtime/runtime.ts";
import { createServer } from "../src/server/create-server.ts";
import { chat } from "./support/client.ts";
import { chatEvents, frame, jsonReply, startRawUpstream } from "./support/raw-upstream.ts";

const fail = (): never => {
  throw new TypeError("a defect in an error's encoding");
};

interface Line {
  readonly outcome?: string;
  readonly failure?: string;
}

/** What the log says of a chat whose dialect has a defect, and whether its client got a whole HTTP response. */
async function chatWith(
  defect: Partial<Dialect>,
  reply: string | Buffer,
): Promise<{ line: Line | undefined; answered: boolean }> {
  const lines: Line[] = [];
  const upstream = await startRawUpstream((socket) => void socket.end(reply));
  const config = configSchema.parse({ upstreams: [{ baseUrl: upstream.baseUrl }], retry: { maxAttempts: 1 } });
  const logger = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const runtime = await openRuntime(config, logger);
  const routes = new RouteTable([{ path: "/chat/completions", dialect: { ...openAiChat, ...defect } }]);
  const server = createServer({
    open: runtime.open,
    tls: undefined,
    current: () => ({ ...runtime.current().settings, routes }),
  });
  try {
    const url = await server.listen({ host: "127.0.0.1", port: 0 });
    const seen = await chat(`${url}/v1`).catch(() => undefined);
    await expect.poll(() => lines.some(({ outcome }) => outcome !== undefined)).toBe(true);
    return { line: lines.find(({ outcome }) => outcome !== undefined), answered: seen?.end === "clean" };
  } finally {
    await server.close();
    await runtime.drain();
    await runtime.close();
    await upstream.close();
  }
}

test("an error event that cannot be made ends the stream with a cut, an outcome and a log line", async () => {
  const cut = frame("chunked", chatEvents(["Hello"]).slice(0, 2));
  expect(await chatWith({ encodeError: fail }, cut)).toEqual({
    line: expect.objectContaining({ outcome: "interrupted", failure: "internal_error" }),
    answered: false,
  });
});

test("an error body that cannot be made ends the request with a cut, an outcome and a log line", async () => {
  const broken = jsonReply("{", "200 OK");
  expect(await chatWith({ errorBody: fail }, broken)).toEqual({
    line: expect.objectContaining({ outcome: "failed", failure: "internal_error" }),
    answered: false,
  });
});
