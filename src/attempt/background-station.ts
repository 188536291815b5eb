/** The station that learns under which name the upstream keeps a response that it makes in the background, and does not tell of ours. */
import type { EventKind, EventSink } from "../core/event-sink.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { isObject, parseObject } from "../dialect/json.ts";
import { readFlag } from "../dialect/lax-values.ts";
import type { DialectAttempt } from "./attempt-context.ts";
import { discardingIn } from "./discard-kept.ts";
import { keptBy } from "./kept-by.ts";
import { parsedBody } from "./upstream-request.ts";

/** Nothing else could be meant by it in JSON text, and most events do not hold it. */
const SAYS_BACKGROUND = /"background"\s*:\s*true/;

export class BackgroundStation implements EventSink {
  readonly #next: EventSink;
  readonly #context: DialectAttempt;
  /** Asked for by us: the client, which asked for a stream alone, must not see it. */
  readonly #isOurs: boolean;
  #isKept: boolean;

  constructor(next: EventSink, context: DialectAttempt) {
    this.#next = next;
    this.#context = context;
    const { ask } = context.plan;
    const body = typeof ask === "object" ? parsedBody(context.exchange.request) : undefined;
    this.#isOurs = ask === "background" || (isObject(body) && !readFlag(body.background));
    // A leg is of the response that is kept.
    this.#isKept = typeof ask === "object";
  }

  push(event: StreamEvent, kind: EventKind): void {
    this.#next.push(SAYS_BACKGROUND.test(event.data) ? this.#read(event) : event, kind);
  }

  flush(): boolean {
    return this.#next.flush();
  }

  finish(): void {
    this.#next.finish();
  }

  #read(event: StreamEvent): StreamEvent {
    const json = parseObject(event.data);
    const response = json?.response;
    if (json === undefined || !isObject(response) || response.background !== true) return event;
    if (typeof response.id === "string") this.#keep(response.id);
    if (!this.#isOurs) return event;
    return { ...event, data: JSON.stringify({ ...json, response: { ...response, background: false } }) };
  }

  #keep(id: string): void {
    if (this.#isKept) return;
    this.#isKept = true;
    const context = this.#context;
    context.session.keep(keptBy({ kind: "response", id, isClients: !this.#isOurs }, discardingIn(context)));
  }
}
