import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, it, vi } from "vitest";
import { openAiChat } from "../dialect/openai-chat.ts";
import { abortWhenClientLeaves, createExchange, timeOfDay } from "./exchange-factory.ts";

const BODY = Buffer.from('{"model":"m","stream":true,"messages":[]}');

function made(headers: Record<string, string> = {}, body: Buffer | null = BODY, plain?: Buffer) {
  const request = { method: "POST", path: "/chat/completions", headers, body, ...(plain && { plain }) };
  return createExchange({ id: "1", arrivedAt: performance.now(), dialect: openAiChat, request });
}

it.each<[Record<string, string>, object]>([
  [{}, {}],
  [{ "x-perennial-max-attempts": "999999" }, { maxAttempts: 999_999 }],
  [{ "x-perennial-first-token-timeout": "500ms" }, { firstTokenMs: 500 }],
  [{ "x-perennial-idle-timeout": "30s" }, { idleMs: 30_000 }],
  [{ "x-perennial-total-timeout": "10m" }, { totalMs: 600_000 }],
  [{ "x-perennial-total-timeout": "999999999ms" }, { totalMs: 999_999_999 }],
  [{ "x-perennial-recovery": "error" }, { recovery: "error" }],
  [{ "x-perennial-recovery": "resume" }, { recovery: "resume" }],
  [{ "x-perennial-recovery": "continue" }, { recovery: "continue" }],
  [{ "x-perennial-gate": "content" }, { gateOpen: "content" }],
  [
    { "x-perennial-gate": "whole", "x-perennial-max-attempts": "1" },
    { gateOpen: "whole", maxAttempts: 1 },
  ],
])("reads the client's own policy from %j", (headers, expected) => {
  expect(made(headers).overrides).toEqual(expected);
});

const DURATION = (name: string): string => `The header ${name} must be a duration such as 500ms, 30s or 10m.`;

it.each<[Record<string, string>, Buffer | null, string]>([
  [{ "x-perennial-max-attempts": "0" }, BODY, "The header x-perennial-max-attempts must be a whole number, 1 or more."],
  [{ "x-perennial-max-attempts": "1x" }, BODY, "The header x-perennial-max-attempts must be a whole number, 1 or more."],
  [{ "x-perennial-first-token-timeout": "0s" }, BODY, DURATION("x-perennial-first-token-timeout")],
  [{ "x-perennial-idle-timeout": "1h" }, BODY, DURATION("x-perennial-idle-timeout")],
  [{ "x-perennial-total-timeout": "x1s" }, BODY, DURATION("x-perennial-total-timeout")],
  [{ "x-perennial-recovery": "none" }, BODY, "The header x-perennial-recovery must be error, resume or continue."],
  [{ "x-perennial-gate": "late" }, BODY, "The header x-perennial-gate must be content or whole."],
  [{}, Buffer.from([0x22, 0xff, 0x22]), "The request body is not valid UTF-8."],
  [{}, Buffer.from("{"), "The request body is not valid JSON."],
  [{}, null, "The request body is not valid JSON."],
  [{}, Buffer.from("[".repeat(201)), "The request body is nested more than 200 levels deep."],
])("refuses %j with the body %s by a word that says why", (headers, body, message) => {
  expect(() => made(headers, body)).toThrow(expect.objectContaining({ code: "invalid_request", status: 400, message }));
});

it("reads what a compressed body says, and keeps the bytes as they came", () => {
  const packed = Buffer.from("packed");
  const { api, request } = made({}, packed, BODY);
  expect([api?.request.model, api?.request.stream, request.body]).toEqual(["m", true, packed]);
});

it("knows of a request that is in no dialect only what it was told", () => {
  const request = { method: "GET", path: "/models", headers: {}, body: null };
  const { api, key, client } = createExchange({ id: "1", arrivedAt: 0, dialect: undefined, request });
  expect({ api, key, client }).toEqual({ api: undefined, key: "", client: undefined });
});

it("began when it arrived, in the time of day as it is now", () => {
  vi.useFakeTimers({ now: 1_000_000 });
  try {
    vi.advanceTimersByTime(50);
    const at = performance.now();
    vi.advanceTimersByTime(300);
    expect(timeOfDay(at)).toBe(1_000_050);
  } finally {
    vi.useRealTimers();
  }
});

/** @returns why the exchange was ended, if it was. */
function leave(writableFinished: boolean, destroyed = false, closes = true): unknown {
  const exchange = made();
  const response = Object.assign(new EventEmitter(), { writableFinished });
  const incoming = { socket: { destroyed } } as IncomingMessage;
  abortWhenClientLeaves(exchange, incoming, response as unknown as ServerResponse);
  if (closes) response.emit("close");
  return exchange.signal.reason;
}

it("ends when its client leaves before the answer is whole, also where it had left before", () => {
  const gone = expect.objectContaining({ code: "client_gone", message: "the client left" });
  expect([leave(false), leave(false, true, false)]).toEqual([gone, gone]);
  expect([leave(true), leave(false, false, false)]).toEqual([undefined, undefined]);
});
