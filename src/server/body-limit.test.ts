import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { type BodyAccount, passBody, readBody } from "./body-limit.ts";

const incoming = (headers: Record<string, string> = {}) => {
  const stream = Object.assign(new PassThrough(), { headers });
  return { stream, request: stream as unknown as IncomingMessage };
};
const BROKE_OFF = { code: "invalid_request", message: "The request body broke off." };
const TOO_LARGE = { code: "body_too_large", message: "The request body is larger than limits.maxBodyBytes allows." };

it("waits for no body of a client that has left before it was read", async () => {
  const { stream, request } = incoming();
  stream.destroy();
  await once(stream, "close");
  await expect(readBody(request, 10)).rejects.toMatchObject(BROKE_OFF);
});

it("reads a body whole, as large as it may be, and leaves nothing that listens for its end", async () => {
  for (const headers of [{}, { "content-length": "4" }] as Record<string, string>[]) {
    const { stream, request } = incoming(headers);
    const body = readBody(request, 4);
    stream.write("ab");
    stream.end("cd");
    expect(String(await body)).toBe("abcd");
    expect(stream.listenerCount("close")).toBe(0);
  }
});

it("reads none that says that it is larger, and no more of one that turns out to be", async () => {
  const announced = incoming({ "content-length": "5" });
  await expect(readBody(announced.request, 4)).rejects.toMatchObject(TOO_LARGE);
  expect(announced.stream.listenerCount("data")).toBe(0);
  const { stream, request } = incoming();
  const body = readBody(request, 4);
  stream.write("abcde");
  await expect(body).rejects.toMatchObject(TOO_LARGE);
  expect(stream.listenerCount("data")).toBe(0);
});

it("says that one broke off, by an error or without an end", async () => {
  for (const error of [new Error("reset"), undefined]) {
    const { stream, request } = incoming();
    const body = readBody(request, 4);
    stream.write("ab");
    stream.destroy(error);
    const refusal = await body.catch((thrown) => thrown);
    expect([refusal, refusal.cause]).toEqual([expect.objectContaining(BROKE_OFF), error]);
  }
});

it("counts each piece where it comes, and ends with what the account says", async () => {
  const taken: number[] = [];
  const full = new Failure("overloaded", "full");
  let evict: (failure: Failure) => void = () => {};
  const account: BodyAccount = {
    take(bytes) {
      taken.push(bytes);
      if (taken.length === 3) throw full;
    },
    onEvicted(listener) {
      evict = listener;
    },
  };
  const filled = incoming();
  const body = readBody(filled.request, 99, account);
  for (const piece of ["a", "bc", "d", "e"]) filled.stream.write(piece);
  await expect(body).rejects.toBe(full);
  expect(taken).toEqual([1, 2, 1]);
  const { stream, request } = incoming();
  const evicted = readBody(request, 99, account);
  const gone = new Failure("overloaded", "gone");
  evict(gone);
  stream.end("a");
  await expect(evicted).rejects.toBe(gone);
  expect(taken).toHaveLength(3);
});

it("passes a body on unread, and its breaking off with it", async () => {
  const whole = incoming();
  const passed = passBody(whole.request);
  whole.stream.end("abc");
  expect(String(Buffer.concat(await passed.toArray()))).toBe("abc");
  const broken = incoming();
  const cut = passBody(broken.request);
  const error = new Error("reset");
  broken.stream.destroy(error);
  await new Promise((closed) => cut.once("close", closed));
  expect(cut.errored).toBe(error);
});
