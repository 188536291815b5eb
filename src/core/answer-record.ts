/** What a client has of an answer, written down so that the answer can go on after a break; kept only where that is wanted. */
import type { StreamEvent } from "./stream-event.ts";

/** Why an answer is not continued. Each is a word of the error event, the log and the metrics. */
export type SeamRule =
  /** It did not begin with what was left out of the prefix, to the letter. */
  | "tail"
  /** A role token was in what was sent, or came near the seam. */
  | "role-token"
  /** Not text was to go on, or not text went on. */
  | "kind"
  /** More than one choice. */
  | "choices"
  /** It began the answer anew. */
  | "restart"
  /** It said its last words again; or they stand in the answer more than once, so that they would prove nothing. */
  | "repetition"
  /** It spoke about the answer instead of going on with it. */
  | "chatter"
  /** A fence, a paragraph or a script that cannot follow there. */
  | "shape"
  /** It had nothing to add, and the answer does not look ended. */
  | "empty"
  /** Its events did not go on where the others had stopped. */
  | "sequence"
  /** Another upstream answered for another model, or did not say for which. */
  | "model"
  | Obstacle;

/** What stands in the way before anything is asked: in the request, in the answer so far, or in how it broke. */
export type Obstacle =
  | "tools"
  | "reasoning"
  | "thinking"
  | "structured"
  | "logprobs"
  | "stop"
  | "audio"
  | "other-content"
  | "prefilled"
  | "echo"
  | "max-tokens"
  | "finished"
  | "blocks"
  | "surrogates"
  | "too-short"
  | "too-long"
  /** Sampled, and the server is not known to continue. */
  | "sampled"
  /** The upstream, or what is known of it, offers no way. */
  | "unsupported"
  /** A failure after which going on is wrong, or useless. */
  | "failure"
  /** All continuations that one answer may have were made. */
  | "attempts"
  /** No time is left. */
  | "time"
  /** The upstream refused to continue, or could not be reached. */
  | "refused";

export interface AnswerRecord {
  /** The text of the answer. */
  readonly text: string;
  /** Where in `text` each event that brought some of it ended. */
  readonly ends: readonly number[];
  /** How many tokens had been made at each of `ends`, where the upstream said so. */
  readonly tokens: readonly (number | undefined)[];
  /** Of the prompt, where the upstream said so. */
  readonly promptTokens: number | undefined;
  /** What names the answer in each of its events: id, time, model. */
  readonly head: Readonly<Record<string, unknown>>;
  /** The block that is open, in dialects with blocks. */
  readonly block: number | undefined;
  /** The number of the last event, in dialects that number theirs. */
  readonly sequence: number | undefined;
  /** How many events were given. */
  readonly events: number;
  /** What was given that cannot be continued; the first of its kind. */
  readonly obstacles: ReadonlySet<SeamRule>;
}

/** Writes down what is given; behind every hold and gate. */
export interface AnswerRecorder extends AnswerRecord {
  add(event: StreamEvent): void;
}
