/** Responses that the upstream makes in the background go on after a break, from one number to the next. */
import { expect } from "vitest";
import { eventsOf } from "./support/background-response.ts";
import { ask } from "./support/client.ts";
import { jsonReply, type RawRequest, SSE_HEAD, sendFramed } from "./support/raw-upstream.ts";
import { type Serve, test } from "./support/test.ts";

const SETTINGS = { recovery: "resume", resume: { background: true } };
const lineOf = ({ head }: RawRequest): string => head.split("\r\n", 1)[0] ?? "";

function serveBackground(
  serve: Serve,
  place: number,
  settings: Record<string, unknown> = SETTINGS,
  again?: (after: number) => string[] | string,
) {
  return serve((socket, request) => {
    const line = lineOf(request);
    const after = Number(/starting_after=(\d+)/.exec(line)?.[1]);
    if (line.includes("/cancel")) socket.write(jsonReply("{}"));
    else if (line.startsWith("GET")) {
      const reply = again?.(after) ?? eventsOf(true).slice(after + 1);
      if (typeof reply === "string") socket.write(reply);
      else sendFramed(socket, "chunked", reply);
    } else {
      const events = eventsOf(request.json.background === true);
      socket.end(`${SSE_HEAD}connection: close\r\n\r\n${events.slice(0, place).join("")}`);
    }
  }, settings);
}

const PLACES = eventsOf(true).map((_, place) => place);

test.for(PLACES.slice(4))(
  "a client that asked for a stream alone gets it whole, and as it asked, broken at event %i",
  async (place, { serve }) => {
    const { perennial, upstream } = await serveBackground(serve, place);
    const { body } = await ask(perennial, "/v1/responses", { input: "hi", messages: undefined });
    expect(body).toBe(eventsOf(false).join(""));
    expect(upstream.requests[0]?.json).toMatchObject({ background: true, store: true, stream: true, input: "hi" });
    expect(upstream.requests.map(lineOf)[1]).toBe(`GET /v1/responses/resp_1?stream=true&starting_after=${place - 1} HTTP/1.1`);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "resumed", by: "native", seams: 1 });
  },
);

test("one that asked for the background itself sees it, and comes back by itself when it has left", async ({ serve }) => {
  const { perennial, upstream } = await serveBackground(serve, 6, { recovery: "resume" });
  const { body } = await ask(perennial, "/v1/responses", { input: "hi", background: true });
  expect(body).toBe(eventsOf(true).join(""));
  expect(upstream.requests).toHaveLength(2);
});

test.for<[string, object, Record<string, unknown>]>([
  ["that will not have its answer stored", { store: false }, SETTINGS],
  ["where it is not set", {}, { recovery: "resume" }],
  ["where recovery is off", {}, { resume: { background: true } }],
])("nothing is asked in the background for a client %s", async ([_what, fields, settings], { serve }) => {
  const { perennial, upstream } = await serveBackground(serve, 6, settings);
  const { body } = await ask(perennial, "/v1/responses", { input: "hi", ...fields });
  expect(body).toContain("stream_truncated");
  expect(upstream.requests.map(({ json }) => json?.background)).toEqual([undefined]);
});

test.for<[string, (after: number) => string[] | string]>([
  [
    "is older than can be streamed",
    () => jsonReply('{"error":{"message":"Response can no longer be streamed"}}', "400 Bad Request"),
  ],
  ["lacks an event", (after) => eventsOf(true).slice(after + 2)],
  ["is told from its beginning, whatever was asked for", () => eventsOf(true)],
  ["says one again", (after) => eventsOf(true).slice(after)],
  [
    "says one again later",
    (after) => eventsOf(true).flatMap((one, n) => (n <= after ? [] : n === after + 1 ? [one, one] : [one])),
  ],
])("a response that %s is not gone on with, and is cancelled", async ([_what, again], { serve }) => {
  const { perennial, upstream } = await serveBackground(serve, 6, SETTINGS, again);
  const { body } = await ask(perennial, "/v1/responses", { input: "hi" });
  expect(body).toContain("stream_truncated");
  expect(body).toContain("could not be continued");
  expect(body).not.toContain("no longer be streamed");
  expect(body).not.toContain("response.completed");
  await expect.poll(() => upstream.requests.map(lineOf).at(-1)).toBe("POST /v1/responses/resp_1/cancel HTTP/1.1");
});

test("a response whose numbers say nothing is not come back for: what is behind 0 may have been told", async ({ serve }) => {
  const zeros = eventsOf(true).map((event) => event.replace(/"sequence_number":\d+/, '"sequence_number":0'));
  const { perennial, upstream } = await serve((socket, request) => {
    if (lineOf(request).includes("/cancel")) socket.write(jsonReply("{}"));
    else if (lineOf(request).startsWith("GET")) sendFramed(socket, "chunked", eventsOf(true).slice(1));
    else socket.end(`${SSE_HEAD}connection: close\r\n\r\n${zeros.slice(0, 6).join("")}`);
  }, SETTINGS);
  const { body } = await ask(perennial, "/v1/responses", { input: "hi" });
  expect(body).toContain("could not be continued");
  expect(upstream.requests.map(lineOf).filter((line) => line.startsWith("GET"))).toEqual([]);
});

test("an upstream that refuses the background is asked as the client asked, and remembered", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket, { json }) => {
    if (json.background === true)
      socket.write(jsonReply('{"error":{"message":"background is not supported"}}', "400 Bad Request"));
    else sendFramed(socket, "chunked", eventsOf(false));
  }, SETTINGS);
  for (let n = 0; n < 2; n++) {
    const { body } = await ask(perennial, "/v1/responses", { input: "hi" });
    expect(body).toBe(eventsOf(false).join(""));
  }
  expect(upstream.requests.map(({ json }) => json.background)).toEqual([true, undefined, undefined]);
});

test("is cancelled when the client leaves", async ({ serve }) => {
  const { perennial, upstream } = await serve((socket, request) => {
    if (lineOf(request).includes("/cancel")) socket.write(jsonReply("{}"));
    else socket.write(`${SSE_HEAD}connection: close\r\n\r\n${eventsOf(true).slice(0, 5).join("")}`);
  }, SETTINGS);
  await ask(perennial, "/v1/responses", { input: "hi" }, { onRead: (_body, abort) => abort() }).catch(() => undefined);
  await expect.poll(() => upstream.requests.map(lineOf).at(-1)).toBe("POST /v1/responses/resp_1/cancel HTTP/1.1");
});
