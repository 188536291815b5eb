/** Whether a request is to be answered by a run of its own, or by an answer that is kept, or being made, for the same client. */
import { createHash } from "node:crypto";
import type { ComeBackWay, Exchange, Headers } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { KeptAnswer } from "../run/kept-answer.ts";
import type { KeptStream } from "../run/kept-stream.ts";
import type { KeepOptions, RequestName, StreamStore } from "../run/stream-store.ts";
import { storedRequest } from "./stored-request.ts";

/** `replay`, as it is configured. */
export interface ReplaySettings extends KeepOptions {
  /** A retry that an SDK makes by itself joins the request before it, without a key that says that they are one. */
  readonly joinRetries: boolean;
}

export type Arrival =
  /** It starts a run whose answer is kept. */
  | { readonly kind: "starts"; readonly stream: KeptStream; readonly hasIds: boolean }
  /** It is given what follows event number `after`. */
  | {
      readonly kind: "joins";
      readonly stream: KeptAnswer;
      readonly after: number;
      readonly hasIds: boolean;
      readonly way: ComeBackWay;
    };

export interface ComeBackContext {
  readonly kept: StreamStore;
  readonly observer: Observer;
}

const ID = "[0-9a-f]{32}";
/** What other servers have under the same path, such as llama.cpp's `/v1/streams/lookup`, is theirs. */
const STREAM_PATH = new RegExp(`^(?:/v1)?/streams/(${ID})$`);
const EVENT_ID = new RegExp(`^(${ID}):(\\d{1,15})$`);
/** An SDK asks again after 8 s at most, if its server does not say otherwise; in milliseconds. */
const RETRY_WITHIN_MS = 10_000;

/** The stream that a path names; undefined for a path that is not ours. @param route under the mount */
export function streamOfPath(route: string): string | undefined {
  return STREAM_PATH.exec(route)?.[1];
}

/** @throws Failure `stream_gone`, `not_found`, `invalid_request` */
export async function arrive(exchange: Exchange, replay: ReplaySettings, context: ComeBackContext): Promise<Arrival | undefined> {
  const { api, request } = exchange;
  if (api === undefined) return undefined;
  const { headers } = request;
  const facts = {
    client: clientOf(exchange.key, headers),
    request: digest(request.path, request.plain ?? asBytes(request.body)),
    api,
  };
  const isAsked = headers["x-perennial-replay"] === "1";
  const asked = readEventId(headers);
  if (asked !== undefined) {
    return joined("last-event-id", context, async () => {
      const stream = await findStream(asked.stream, facts.client, context);
      refuseOther(stream, facts);
      return joinAt(stream, asked.after, { way: "last-event-id", hasIds: true });
    });
  }
  const name = nameOfRequest(facts, headers, replay);
  if (!isAsked && name === undefined) return undefined;
  const claim = await context.kept.claim(facts, replay, name, () => storedRequest(request, replay.maxStreamBytes));
  if (claim.kind === "new") return { kind: "starts", stream: claim.stream, hasIds: isAsked };
  return joined(name?.kind ?? "retry", context, async () => {
    refuseForeign(claim.stream, facts.client);
    refuseOther(claim.stream, facts);
    return joinAt(claim.stream, 0, { way: name?.kind ?? "retry", hasIds: isAsked });
  });
}

/** For a client that asks for a stream by its id. @param after the query's, where it has one. @throws Failure as {@link arrive} does */
export async function comeBack(
  id: string,
  { key, headers, after }: { key: string; headers: Headers; after: string | null },
  context: ComeBackContext,
): Promise<Extract<Arrival, { kind: "joins" }>> {
  return joined("get", context, async () => {
    const stream = await findStream(id, clientOf(key, headers), context);
    const asked = readEventId(headers);
    // EventSource asks again at the same address, and says in its header how far it has come.
    if (asked !== undefined && asked.stream !== id) {
      throw new Failure("invalid_request", "The Last-Event-ID is that of another stream.");
    }
    if (after !== null && !/^\d{1,15}$/.test(after)) {
      throw new Failure("invalid_request", "The parameter after must be the number of an event.");
    }
    return joinAt(stream, asked?.after ?? Number(after ?? 0), { way: "get", hasIds: true });
  });
}

/** @throws Failure `stream_gone`, or `not_found` for an answer that is another client's. */
export function findKept(id: string, key: string, headers: Headers, context: ComeBackContext): Promise<KeptAnswer> {
  return findStream(id, clientOf(key, headers), context);
}

async function joined<Joined extends Arrival>(
  way: ComeBackWay,
  { observer }: ComeBackContext,
  find: () => Promise<Joined>,
): Promise<Joined> {
  try {
    const arrival = await find();
    observer.onComeBack?.(way, arrival.stream.isOver ? "over" : "running");
    return arrival;
  } catch (refusal) {
    observer.onComeBack?.(way, "refused");
    throw refusal;
  }
}

function joinAt(
  stream: KeptAnswer,
  after: number,
  more: { way: ComeBackWay; hasIds: boolean },
): Extract<Arrival, { kind: "joins" }> {
  // To begin anew in silence would repeat what the client has.
  if (!stream.canGiveAfter(after)) throw gone("What follows there is not kept any more.");
  return { kind: "joins", stream, after, ...more };
}

async function findStream(id: string, client: string, { kept }: ComeBackContext): Promise<KeptAnswer> {
  const stream = await kept.find(id);
  if (stream === undefined) throw gone("This stream is not kept, or not any more.");
  refuseForeign(stream, client);
  return stream;
}

/** Its id, or its key, alone does not open it. */
function refuseForeign(stream: KeptAnswer, client: string): void {
  if (stream.client !== client) throw new Failure("not_found", "There is no such stream for this client.");
}

function refuseOther(stream: KeptAnswer, { request }: { request: string }): void {
  if (stream.request === request) return;
  const message = "This is another request than the one whose answer is asked for: its path and its body must be the same.";
  throw new Failure("invalid_request", message, { status: 422 });
}

function gone(what: string): Failure {
  return new Failure("stream_gone", `${what} Ask again from the beginning, as a new request.`);
}

function readEventId(headers: Headers): { stream: string; after: number } | undefined {
  const [, stream, number] = EVENT_ID.exec(String(headers["last-event-id"] ?? "")) ?? [];
  return stream === undefined ? undefined : { stream, after: Number(number) };
}

function nameOfRequest(
  { client, request }: { client: string; request: string },
  headers: Headers,
  { joinRetries }: ReplaySettings,
): RequestName | undefined {
  const key = headers["idempotency-key"];
  if (key !== undefined && key !== "") {
    return { kind: "idempotency-key", value: digest(String(key)), mayJoin: ({ isPiped }) => !isPiped };
  }
  const retries = headers["x-stainless-retry-count"];
  if (!joinRetries || retries === undefined) return undefined;
  // Two requests that are alike may well be two: only one that says that it is a retry, and soon, is the same.
  const mayJoin = ({ isPiped, quietMs }: KeptAnswer): boolean => !isPiped && Number(retries) > 0 && quietMs <= RETRY_WITHIN_MS;
  return { kind: "retry", value: digest(client, request), mayJoin };
}

/** Where no key of ours is needed clients are told apart by those of their upstream, if they bring one. */
function clientOf(key: string | undefined, headers: Headers): string {
  if (key !== undefined && key !== "") return key;
  return digest(...["authorization", "x-api-key", "api-key"].map((name) => String(headers[name] ?? "")));
}

function asBytes(body: Exchange["request"]["body"]): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function digest(...parts: (string | Buffer)[]): string {
  const hash = createHash("sha256");
  // A zero byte stands in no header and no path, and no body comes before another part.
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("base64url");
}
