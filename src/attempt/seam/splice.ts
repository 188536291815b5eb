/** The station at which another leg of an answer becomes the answer that the client has: judged, cut where it begins anew, renamed. */
import type { SeamRule } from "../../core/answer-record.ts";
import type { Leg, Piece } from "../../core/continuing.ts";
import type { EventKind, EventSink } from "../../core/event-sink.ts";
import { Failure } from "../../core/failure.ts";
import type { HeldShare } from "../../core/held-memory.ts";
import { type StreamEvent, wireBytes } from "../../core/stream-event.ts";
import { type Judgement, SeamJudge, type SeamJudgeOptions, SeamWatch } from "./seam-judge.ts";

export interface SpliceOptions {
  readonly next: EventSink;
  readonly leg: Leg;
  readonly seam: SeamJudgeOptions;
  /** It comes from another upstream, and must say that it is the answer of this model; undefined where that need not be said. */
  readonly model?: string | undefined;
  /** The leg may make fewer tokens than the client asked for, so that it cannot say by itself that all were made. */
  readonly isCapped: boolean;
  /** The answer must be one JSON text: its two legs, where it ends well. */
  readonly isJson?: boolean | undefined;
  readonly held: HeldShare;
  /** The upstream has said how many tokens it has read for the leg. */
  onPromptTokens?(tokens: number): void;
  /** The seam is good: from now on this attempt's answer is the client's. @returns false when the run does not want it any more. */
  accept(): boolean;
}

interface Held {
  readonly event: StreamEvent;
  readonly kind: EventKind;
  readonly piece: Piece;
}

type SpliceState =
  | { readonly at: "judging"; readonly judge: SeamJudge; readonly events: Held[]; bytes: number }
  | { readonly at: "open"; readonly watch: SeamWatch }
  | { readonly at: "lost" };

/** What a leg says beside text is another kind of answer before the seam, and part of the answer behind it. */
const FOREIGN: ReadonlySet<SeamRule> = new Set<SeamRule>(["tools", "reasoning", "other-content", "audio"]);

export class Splice implements EventSink {
  readonly #options: SpliceOptions;
  #state: SpliceState;
  /** The model whose answer the leg says that it is. */
  #model: string | undefined;
  /** The text of both legs, where it must be JSON. */
  #json: string | undefined;
  /** What may be the end; it is not told before it is known of which kind. */
  #ending: Held[] = [];

  constructor(options: SpliceOptions) {
    this.#options = options;
    this.#state = { at: "judging", judge: new SeamJudge(options.seam), events: [], bytes: 0 };
    this.#json = options.isJson === true ? options.seam.given : undefined;
  }

  /** @throws Failure with the rule by which the seam is refused. */
  push(event: StreamEvent, kind: EventKind): void {
    const state = this.#state;
    if (state.at === "lost") return;
    const piece = this.#options.leg.read(event);
    if (piece.promptTokens !== undefined) this.#options.onPromptTokens?.(piece.promptTokens);
    if (piece.rule === "choices") throw refusedSeam("choices");
    if (state.at === "open") {
      this.#tell({ event, kind, piece }, piece.text);
      return;
    }
    if (piece.rule !== undefined && FOREIGN.has(piece.rule)) throw refusedSeam("kind");
    this.#model ??= piece.model;
    const bytes = wireBytes(event);
    state.events.push({ event, kind, piece });
    state.bytes += bytes;
    this.#options.held.add(bytes);
    if (piece.text !== "") this.#heed(state.judge.add(piece.text));
    // What must come again comes in one piece of the answer, not in two with an end between.
    if (piece.finished !== false && this.#state.at === "judging") this.#heed(state.judge.end());
  }

  flush(): boolean {
    return this.#state.at !== "open" || this.#options.next.flush();
  }

  /** @throws Failure as {@link push} does. */
  finish(): void {
    if (this.#state.at === "judging") this.#heed(this.#state.judge.end());
    if (this.#state.at !== "open") return;
    this.#tellEnding();
    this.#options.next.finish();
  }

  /** @throws Failure */
  #heed(judgement: Judgement): void {
    const state = this.#state;
    if (judgement.kind === "more" || state.at !== "judging") return;
    if (judgement.kind === "refused") throw refusedSeam(judgement.rule);
    const { model } = this.#options;
    if (model !== undefined && this.#model !== model) throw refusedSeam("model");
    this.#options.held.add(-state.bytes);
    if (!this.#options.accept()) {
      this.#state = { at: "lost" };
      return;
    }
    this.#state = { at: "open", watch: new SeamWatch() };
    let swallow = judgement.swallow;
    for (const one of state.events) {
      const { text } = one.piece;
      this.#tell(one, text.slice(swallow));
      swallow = Math.max(0, swallow - text.length);
    }
  }

  /** @throws Failure */
  #tell(one: Held, text: string): void {
    const { isCapped } = this.#options;
    const { finished } = one.piece;
    if (this.#json !== undefined) this.#json += text;
    if (finished === "whole" && this.#json !== undefined && !isJson(this.#json)) throw refusedSeam("structured");
    if (this.#state.at === "open" && this.#state.watch.add(text)) throw refusedSeam("role-token");
    // It would have had more tokens of the client's limit, which it could not be told exactly.
    if (finished === "length" && isCapped) throw refusedSeam("max-tokens");
    if (finished === "perhaps" && isCapped) {
      this.#ending.push(one);
      return;
    }
    this.#tellEnding();
    this.#handOn(one, text);
  }

  #tellEnding(): void {
    const ending = this.#ending;
    this.#ending = [];
    for (const one of ending) this.#handOn(one, "");
  }

  #handOn({ event, kind }: Held, text: string): void {
    const adapted = this.#options.leg.adapt(event, text);
    if (adapted !== undefined) this.#options.next.push(adapted, kind);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function refusedSeam(seam: SeamRule): Failure {
  return new Failure("stream_corrupted", "the upstream did not go on with the answer", { seam });
}
