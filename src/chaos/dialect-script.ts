/** How one API says the sandbox's answer, event by event: what the faults break, whatever the endpoint. */
import type { Ask } from "./fault.ts";
import type { Step } from "./script.ts";

export type DialectName = "chat" | "completions" | "responses" | "messages" | "chatglm3" | "chatchat";

/** The events of a stream in their order are those of `begin`, `text`, `finish` and `terminator`. */
export interface DialectScript {
  readonly name: DialectName;
  /** What comes before the text: who speaks, what is begun. */
  begin(ask: Ask): Iterable<Step>;
  text(ask: Ask, tokens: readonly string[]): Iterable<Step>;
  /**
   * What comes after `tokens`, but for the terminator.
   * @param reason a `finish_reason`, for the dialects that have one
   */
  finish(ask: Ask, tokens: readonly string[], reason?: string): Iterable<Step>;
  /** What says that the stream is over; nothing where only the end of the body does. */
  terminator(ask: Ask, tokens: readonly string[]): Iterable<Step>;
  /**
   * How the server says in the stream that it has failed.
   * @param sent how many events went before, for the dialects that number theirs
   */
  error(ask: Ask, message: string, sent: number): Iterable<Step>;
  /** One tool call; undefined where there is no such thing. */
  readonly toolCall?: ToolCallScript;
  /** The same answer, not streamed. */
  answer(ask: Ask, tokens: readonly string[]): unknown;
  /** The body of an HTTP error. */
  errorBody(status: number, message: string, details: ErrorDetails): unknown;
}

export interface ToolCallScript {
  /** Up to the last piece of the arguments; each choice has one event for a piece. */
  begin(ask: Ask): Iterable<Step>;
  /** The rest, terminator included. */
  end(ask: Ask): Iterable<Step>;
  answer(ask: Ask): unknown;
}

export interface ErrorDetails {
  /** @defaultValue as the status says */
  readonly type?: string;
  readonly param?: string;
  readonly code?: string;
}
