/** `GET /models` of several upstreams: what any of them has, and the names under which clients may ask for it. */
import type { ServerResponse } from "node:http";
import { candidatesFor, matchesName, type Offer, servesModel } from "../balance/offer.ts";
import { createAnswerReader, parseAnswer } from "../call/answer-reader.ts";
import { callUpstream } from "../call/call-upstream.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import { isObject, type JsonObject, objectsOf } from "../dialect/json.ts";
import { sendReply } from "../downstream/client-reply.ts";

export interface ModelListOptions {
  readonly offers: readonly Offer[];
  readonly observer: Observer;
  readonly propagator: Propagator;
  /** Largest list, in bytes. */
  readonly maxBytes: number;
}

/** How long one upstream may keep the others' models from the client, in milliseconds. */
const LONGEST_MS = 10_000;

/** Undefined for a list that one upstream gives as it is. */
export function offersOfList({ api, request, client }: Exchange, offers: readonly Offer[]): readonly Offer[] | undefined {
  const [path] = request.path.split("?", 1);
  if (api !== undefined || request.method !== "GET" || (path !== "/models" && path !== "/v1/models")) return undefined;
  // Keys alone make no other list.
  const upstreams = offers.filter(({ shared }, index) => offers.findIndex((other) => other.shared === shared) === index);
  const serving = upstreams.filter((offer) => offer.serves.pathOf(path) !== undefined);
  const [first] = serving;
  const isPlain =
    first !== undefined &&
    client?.models === undefined &&
    Object.keys(first.names.map).length === 0 &&
    first.names.only === undefined;
  return serving.length === 0 || (serving.length === 1 && isPlain) ? undefined : serving;
}

/** @throws Failure when none of them has a list. */
export async function sendModelList(exchange: Exchange, raw: ServerResponse, options: ModelListOptions): Promise<void> {
  const attempts: Attempt[] = [];
  exchange.attempts = attempts;
  const asked = options.offers.map((offer, index) => ask(exchange, offer, startAttempt(attempts, index, offer), options));
  const lists = await Promise.all(asked.map((list) => list.catch(toFailure)));
  const failures = lists.filter((list) => list instanceof Failure);
  if (failures.length === lists.length) throw exchange.signal.aborted ? toFailure(exchange.signal.reason) : failures[0];
  const bodies = lists.map((list) => (list instanceof Failure ? {} : list));
  const models = new Map<unknown, JsonObject>();
  const only = exchange.client?.models;
  const mayUse = ({ id }: JsonObject): boolean => only === undefined || only.some((pattern) => matchesName(pattern, String(id)));
  options.offers.forEach((offer, index) => {
    for (const model of modelsOf(offer, bodies[index] ?? {}).filter(mayUse))
      if (!models.has(model.id)) models.set(model.id, model);
  });
  const data = [...models.values()];
  const { data: _data, ...rest } = bodies.find((body) => Array.isArray(body.data)) ?? {};
  const ends = "first_id" in rest ? { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null } : {};
  const body = JSON.stringify({ object: "list", ...rest, ...ends, data });
  sendReply(raw, exchange, { status: 200, headers: { "content-type": "application/json; charset=utf-8" }, body });
}

/** What an upstream lists of what it is asked for, and the other names of that. */
function modelsOf({ names, upstream }: Offer, body: JsonObject): readonly JsonObject[] {
  const listed = objectsOf(body.data).filter(({ id }) => typeof id === "string" && servesModel(names, id));
  const aliases = Object.entries(names.map).filter(([name]) => name !== "*");
  const named = aliases.map(([id, real]) => {
    const model = objectsOf(body.data).find((each) => each.id === real);
    return { object: "model", created: 0, owned_by: upstream.name, ...model, id };
  });
  return [...listed, ...named];
}

function startAttempt(attempts: Attempt[], index: number, { upstream }: Offer): Attempt {
  const attempt: Attempt = {
    number: index + 1,
    upstream: upstream.name,
    startedAt: Date.now(),
    durationMs: 0,
    failure: undefined,
    status: undefined,
  };
  attempts.push(attempt);
  return attempt;
}

async function ask(exchange: Exchange, offer: Offer, attempt: Attempt, options: ModelListOptions): Promise<JsonObject> {
  const { observer, propagator, maxBytes } = options;
  const { path, headers } = exchange.request;
  const [candidate] = candidatesFor([offer], { path, dialect: undefined, model: undefined });
  const began = performance.now();
  observer.onAttemptStart?.(exchange, attempt);
  try {
    return await callUpstream<JsonObject>(
      {
        upstream: offer.upstream,
        attempt,
        signal: exchange.signal,
        request: {
          method: "GET",
          path: candidate?.path ?? path,
          headers: withoutConditions(headers),
          set: { "accept-encoding": "identity" },
          body: null,
          idempotent: true,
        },
        watchdog: { firstTokenMs: LONGEST_MS, aliveMs: LONGEST_MS, idleMs: LONGEST_MS, pausedMs: 0, idleFrom: "content" },
        propagated: propagator.headersFor(exchange, attempt),
        answersBelow: 300,
        inflates: true,
        maxReplyBytes: maxBytes,
      },
      (_head, control) =>
        createAnswerReader({
          maxBytes,
          onProgress: () => control.notice("content"),
          onFailure: control.fail,
          onWhole(body) {
            const { value } = parseAnswer(body);
            if (!isObject(value)) throw new Failure("stream_corrupted", "the upstream's list of models is not a JSON object");
            control.succeed(value, true);
          },
        }),
    );
  } catch (thrown) {
    attempt.failure = toFailure(thrown).code;
    throw thrown;
  } finally {
    attempt.durationMs = Math.round(performance.now() - began);
    observer.onAttemptEnd?.(exchange, attempt);
  }
}

/** "Not modified" by one upstream says nothing of the list that is made of all. */
function withoutConditions(headers: Exchange["request"]["headers"]): Exchange["request"]["headers"] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(if-.*|range)$/.test(name)));
}
