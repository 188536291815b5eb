/** A client's HTTP request as an Exchange: what was asked, and the client's own policy for it. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Dialect } from "../core/dialect.ts";
import {
  type Api,
  type ClientKey,
  createExchangeStats,
  type Exchange,
  type ExchangeRequest,
  type PolicyOverrides,
  RECOVERIES,
  type Recovery,
} from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import { DURATION_UNITS, readQuantity } from "../core/quantity.ts";
import { checkJsonShape } from "./json-shape.ts";

export interface ExchangeInput {
  readonly id: string;
  /** On the clock of `performance.now()`, which no change of the time of day moves. */
  readonly arrivedAt: number;
  /** The digest of the key that opened our door; empty where none is needed. */
  readonly key?: string;
  readonly dialect: Dialect | undefined;
  readonly client?: ClientKey | undefined;
  /** What is asked for, where the request itself does not say it. @defaultValue what it says in its dialect */
  readonly api?: Api;
  readonly request: ExchangeRequest;
}

/** @throws Failure `invalid_request` for a body that is not JSON, or holds absurdly much, or a policy header that makes no sense. */
export function createExchange({ id, arrivedAt, key = "", dialect, api, client, request }: ExchangeInput): Exchange {
  const controller = new AbortController();
  return {
    // First of all: making sense of the request is part of what Perennial adds.
    readAt: performance.now(),
    arrivedAt,
    id,
    key,
    request,
    client,
    api: api ?? (dialect && { dialect, request: dialect.parseRequest(parseBody(request)) }),
    overrides: readOverrides(request),
    startedAt: timeOfDay(arrivedAt),
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    attempts: [],
    stats: createExchangeStats(),
  };
}

/** What a reading of `performance.now()` was in Unix time, in milliseconds. */
export function timeOfDay(at: number): number {
  return Date.now() - (performance.now() - at);
}

/** The client's leaving ends the exchange at once. */
export function abortWhenClientLeaves(exchange: Exchange, incoming: IncomingMessage, response: ServerResponse): void {
  const onClose = (): void => {
    if (!response.writableFinished) exchange.abort(new Failure("client_gone", "the client left"));
  };
  response.once("close", onClose);
  if (incoming.socket.destroyed) onClose();
}

function parseBody({ body, plain }: ExchangeRequest): unknown {
  const bytes = plain ?? (Buffer.isBuffer(body) ? body : Buffer.alloc(0));
  // The upstream gets these bytes as they are, and would read them otherwise than we do.
  if (!isUtf8(bytes)) throw new Failure("invalid_request", "The request body is not valid UTF-8.");
  checkJsonShape(bytes);
  return parseJson(bytes.toString("utf8"));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("invalid_request", "The request body is not valid JSON.");
  }
}

function readOverrides({ headers }: ExchangeRequest): PolicyOverrides {
  const maxAttempts = readPositive(headers, "x-perennial-max-attempts", "a whole number, 1 or more");
  const firstTokenMs = readDuration(headers, "x-perennial-first-token-timeout");
  const idleMs = readDuration(headers, "x-perennial-idle-timeout");
  const totalMs = readDuration(headers, "x-perennial-total-timeout");
  const recovery = readRecovery(headers);
  const gateOpen = readGate(headers);
  return {
    ...(gateOpen === undefined ? {} : { gateOpen }),
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
    ...(totalMs === undefined ? {} : { totalMs }),
    ...(recovery === undefined ? {} : { recovery }),
  };
}

function readRecovery(headers: ExchangeRequest["headers"]): Recovery | undefined {
  const text = headers["x-perennial-recovery"];
  if (text === undefined) return undefined;
  const recovery = RECOVERIES.find((known) => known === text);
  if (recovery === undefined) {
    throw new Failure("invalid_request", "The header x-perennial-recovery must be error, resume or continue.");
  }
  return recovery;
}

function readGate(headers: ExchangeRequest["headers"]): "content" | "whole" | undefined {
  const gate = headers["x-perennial-gate"];
  if (gate === undefined || gate === "content" || gate === "whole") return gate;
  throw new Failure("invalid_request", "The header x-perennial-gate must be content or whole.");
}

/** Longer units would name times that no request may take. */
const SHORT_DURATION = /^\d{1,9}(ms|s|m)$/;

function readDuration(headers: ExchangeRequest["headers"], name: string): number | undefined {
  const text = headers[name];
  if (text === undefined) return undefined;
  const ms = SHORT_DURATION.test(String(text)) ? readQuantity(String(text), DURATION_UNITS) : undefined;
  if (!ms) throw new Failure("invalid_request", `The header ${name} must be a duration such as 500ms, 30s or 10m.`);
  return ms;
}

function readPositive(headers: ExchangeRequest["headers"], name: string, expected: string): number | undefined {
  const text = headers[name];
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(String(text))) throw new Failure("invalid_request", `The header ${name} must be ${expected}.`);
  return Number(text);
}
