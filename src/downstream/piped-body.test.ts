/** Bodies that pass through: which are event streams, where ours may go between, and the heads of all replies. */
import { expect, test } from "vitest";
import { sendReply } from "./client-reply.ts";
import { PipedBody } from "./piped-body.ts";
import { writeResponseHead } from "./response-head.ts";

const SSE = "text/event-stream";

test.each<[method: string, status: number, headers: Record<string, string>, first: string, isEvents: boolean]>([
  ["GET", 200, { "content-type": SSE }, "x", true],
  ["GET", 200, { "content-type": ` TEXT/Event-Stream ; charset=utf-8`, "content-length": "9" }, "x", true],
  ["HEAD", 200, { "content-type": SSE }, "data: {}\n\n", false],
  ["GET", 204, { "content-type": SSE }, "data: {}\n\n", false],
  ["GET", 304, { "content-type": SSE }, "data: {}\n\n", false],
  ["GET", 200, { "content-type": SSE, "content-encoding": "gzip" }, "data: {}\n\n", false],
  ["GET", 200, { "content-type": SSE, "content-encoding": "identity" }, "x", true],
  ["GET", 200, { "content-type": `${SSE}x` }, "data: {}\n\n", false],
  ["GET", 200, {}, "data: {}\n\n", true],
  ["GET", 200, {}, "data:[1]\n\n", true],
  ["GET", 200, {}, "\uFEFFevent: a.b\n", true],
  ["GET", 200, {}, "event: a\r\n", true],
  ["GET", 200, {}, "data: x\n\n", false],
  ["GET", 200, {}, " data: {}\n\n", false],
  ["GET", 200, { "content-length": "10" }, "data: {}\n\n", false],
  ["GET", 200, { "content-type": "text/plain; charset=x" }, "data: {}\n\n", true],
  ["GET", 200, { "content-type": "application/octet-stream" }, "data: {}\n\n", true],
  ["GET", 200, { "content-type": "text/plain2" }, "data: {}\n\n", false],
  ["GET", 200, { "content-type": "application/json" }, "data: {}\n\n", false],
  ["GET", 200, { "content-type": "application/json; like=text/plain" }, "data: {}\n\n", false],
])("%s %i %o that begins with %j", (method, status, headers, first, isEvents) => {
  const body = new PipedBody(method, status, headers);
  body.append(Buffer.alloc(0));
  body.append(Buffer.from(first));
  expect(body.isEventStream).toBe(isEvents);
});

test("what a client gets of the headers", () => {
  const got = (headers: Record<string, string>, method = "GET") => new PipedBody(method, 200, headers).headers;
  const fresh = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" };
  expect(got({ "content-type": SSE, "content-length": "9", "cache-control": "x" })).toEqual({ "content-type": SSE, ...fresh });
  const packed = { "content-type": SSE, "content-encoding": "br", "content-length": "9" };
  expect(got(packed)).toEqual({ ...packed, ...fresh });
  expect(got({ "content-type": "a/b" })).toEqual({ "content-type": "a/b", "x-accel-buffering": "no" });
  expect(got({ "x-accel-buffering": "yes" })).toEqual({ "x-accel-buffering": "yes" });
  expect(got({ "content-length": "9" })).toEqual({ "content-length": "9" });
  expect(got({ "content-type": SSE }, "HEAD")).toEqual({ "content-type": SSE });
});

test.each(["\n\n", "\r\r", "\r\n\r\n", "\n\r\n", "\r\n\n", "\n\r"])("something may go between events behind %j alone", (end) => {
  const text = `data: 1${end}`;
  for (const step of [1, 2, 3, 99]) {
    const body = new PipedBody("GET", 200, { "content-type": SSE });
    expect(body.isBetweenEvents).toBe(true);
    for (let at = 0; at < text.length; at += step) body.append(Buffer.from(text.slice(at, at + step)));
    expect([step, body.isBetweenEvents]).toEqual([step, true]);
    body.append(Buffer.from(": x"));
    expect(body.isBetweenEvents).toBe(false);
    body.append(Buffer.from("\n"));
    expect(body.isBetweenEvents).toBe(false);
  }
  const other = new PipedBody("GET", 200, { "content-type": "a/b" });
  other.append(Buffer.from(text));
  expect(other.isBetweenEvents).toBe(false);
});

test("an id is seen at the start of a line, however it is cut", () => {
  for (const [text, carriesIds] of [
    ["id: 1\ndata: 1\n\n", true],
    ["data: 1\nid: 1\n\n", true],
    ["data: 1\r\rid:1\r\r", true],
    ["data: id: 1\n\n", false],
    ["data: 1\n\nidle\n", false],
  ] as const)
    for (const step of [1, 2, 3, 5, 99]) {
      const body = new PipedBody("GET", 200, { "content-type": SSE });
      for (let at = 0; at < text.length; at += step) body.append(Buffer.from(text.slice(at, at + step)));
      expect([text, step, body.carriesIds]).toEqual([text, step, carriesIds]);
    }
});

function raw(method = "GET", exposed?: string) {
  const heads: [number, Record<string, string>][] = [];
  const bodies: Buffer[] = [];
  const response = {
    req: { method },
    writableFinished: true,
    getHeader: () => exposed,
    writeHead: (status: number, headers: Record<string, string>) => void heads.push([status, headers]),
    flushHeaders() {},
    end: (body: Buffer) => void bodies.push(body),
  };
  return { response: response as never, heads, bodies };
}

test("a reply says how long it is, in bytes; one without a body as its upstream said", () => {
  for (const [method, status, body, length] of [
    ["GET", 200, "é", "2"],
    ["GET", 200, Buffer.from("é"), "2"],
    ["GET", 200, "", "0"],
    ["HEAD", 200, "", "77"],
    ["GET", 304, "", "77"],
    ["HEAD", 200, "x", "1"],
  ] as const) {
    const { response, heads, bodies } = raw(method);
    const exchange = { id: "ex1", attempts: [{ upstream: "a" }, { upstream: "b" }], stats: { bytes: 0 } };
    sendReply(response, exchange as never, { status, headers: { "content-length": "77" }, body });
    expect(heads).toEqual([
      [status, { "content-length": length, "x-perennial-id": "ex1", "x-perennial-attempts": "2", "x-perennial-upstream": "b" }],
    ]);
    expect([bodies.length, exchange.stats.bytes, String(bodies[0])]).toEqual([1, Buffer.byteLength(body), String(body)]);
  }
});

test("a head names who answered, where somebody did, and what is kept is nobody else's to keep", () => {
  const head = (exchange: object, answeredBy?: string, exposed?: string) => {
    const { response, heads } = raw("GET", exposed);
    writeResponseHead(response, { id: "ex1", attempts: [], ...exchange } as never, 200, { "cache-control": "x" }, answeredBy);
    return heads[0]?.[1];
  };
  const bare = { "cache-control": "x", "x-perennial-id": "ex1", "x-perennial-attempts": "0" };
  const kept = { kept: { stream: "s" } };
  expect(head({})).toEqual(bare);
  expect(head({}, "a")).toEqual({ ...bare, "x-perennial-upstream": "a" });
  const own = { ...bare, "x-perennial-stream": "s", "cache-control": "no-store, no-transform" };
  expect(head(kept)).toEqual(own);
  expect(head(kept, undefined, "y")).toEqual({ ...own, "access-control-expose-headers": "y, x-perennial-stream" });
});
