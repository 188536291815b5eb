/** What there is of an answer that is kept, and what of it clients may be told. */
import type { EventKind } from "../core/event-sink.ts";
import type { Api } from "../core/exchange.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { type KeptEnd, type KeptState, lastWords } from "./kept-answer.ts";
import { KeptEvents } from "./kept-events.ts";
import { KeptLedger } from "./kept-ledger.ts";
import { textOf } from "./kept-text.ts";
import type { MadeLeg } from "./takeover.ts";

/** What clients may have of an answer that another replica has begun. */
export interface KeptPast {
  readonly head: ReplyHeaders | undefined;
  readonly legs: readonly MadeLeg[];
  /** The number of the first of these. */
  readonly first: number;
  readonly events: readonly { readonly event: StreamEvent; readonly kind: EventKind }[];
}

type Head =
  | { readonly kind: "stream"; readonly headers: ReplyHeaders }
  /** A body that is passed on as it comes, and cannot be kept. */
  | { readonly kind: "piped" };

export class KeptContent {
  readonly #api: Api;
  readonly events: KeptEvents;
  readonly ledger: KeptLedger;
  head: Head | undefined;
  /** Of text. */
  characters = 0;
  end: KeptEnd | undefined;

  /** @param isAhead another replica may have to go on with it. */
  constructor(api: Api, isAhead: boolean, { head, first, events = [] }: Partial<KeptPast> = {}) {
    this.#api = api;
    this.events = new KeptEvents(first);
    for (const { event, kind } of events) this.push(event, kind);
    // Where clients have nothing they may yet be told of an error as one.
    if (head !== undefined && this.events.last > 0) this.head = { kind: "stream", headers: head };
    this.ledger = new KeptLedger(isAhead ? this.events.last : undefined);
  }

  push(event: StreamEvent, kind: EventKind): void {
    this.events.push(event, kind);
    this.characters += event.characters ?? 0;
  }

  get isPiped(): boolean {
    return this.head?.kind === "piped";
  }

  /** The number of the last event that clients may be given. */
  get shown(): number {
    return this.ledger.upTo(this.events.last);
  }

  /** How it ended, once that may be told. */
  get shownEnd(): KeptEnd | undefined {
    return this.ledger.mayEnd ? this.end : undefined;
  }

  /** Of what may be told, the terminator or the error event included. */
  get #lastNumber(): number {
    return this.shown + lastWords(this.shownEnd, this.#api);
  }

  canGiveAfter(after: number): boolean {
    const event = this.ledger.eventOf(after);
    return event !== undefined && !this.isPiped && event >= this.events.dropped && event <= this.#lastNumber;
  }

  isLast(after: number): boolean {
    const event = this.ledger.eventOf(after);
    return event !== undefined && this.shownEnd !== undefined && this.#lastNumber > 0 && event >= this.#lastNumber;
  }

  tell(): KeptState {
    const { shown, shownEnd: end, events } = this;
    const hasAll = events.dropped === 0 && !this.isPiped;
    const unshown = events.after(shown).reduce((sum, { event }) => sum + (event.characters ?? 0), 0);
    return {
      state: end === undefined ? "running" : end.kind === "failed" ? "failed" : "whole",
      characters: this.characters - unshown,
      events: this.#lastNumber,
      last: this.ledger.numberOf(this.#lastNumber),
      text: hasAll ? textOf(this.#api, events.all.slice(0, shown), end) : undefined,
      failure: end?.kind === "failed" ? end.failure : undefined,
    };
  }
}
