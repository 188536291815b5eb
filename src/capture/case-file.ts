/** What a capture is written as: a wire case, in the format of test/cases/, so that a report becomes a test as it is. */

/** Done in order on the raw socket; `end` closes or resets it. */
export interface Step {
  readonly send?: string;
  readonly chunk?: string;
  readonly base64?: string;
  readonly repeat?: readonly [text: string, times: number];
  /** Milliseconds. */
  readonly wait?: number;
  readonly end?: "fin" | "rst";
}

/** Steps for one request, or for every request within `during` milliseconds after the first. */
export type Response = readonly Step[] | { readonly during: number; readonly steps: readonly Step[] };

/** What the upstream answers, by how it is asked. */
export interface ByAsking {
  readonly stream: readonly Response[];
  readonly streamOptions?: readonly Response[];
  readonly whole: readonly Response[];
}

/** What a request says of how it wants to be answered. */
export interface Asking {
  readonly stream?: unknown;
  readonly stream_options?: unknown;
}

/** Who chooses among the responses: how many requests came, this one included, and when the first did. */
export interface Progress {
  readonly count: number;
  readonly sinceFirstMs: number;
}

/** By how it was asked, then by its number; the last response repeats. */
export function stepsFor(
  responses: readonly Response[] | ByAsking,
  asked: Asking,
  { count, sinceFirstMs }: Progress,
): readonly Step[] {
  const list = "whole" in responses ? byAsking(responses, asked) : responses;
  const [first, second] = list;
  if (first !== undefined && "during" in first) {
    return sinceFirstMs < first.during ? first.steps : ((second ?? first.steps) as readonly Step[]);
  }
  return (list[Math.min(count, list.length) - 1] ?? []) as readonly Step[];
}

function byAsking(responses: ByAsking, asked: Asking): readonly Response[] {
  if (asked.stream !== true) return responses.whole;
  return (asked.stream_options === undefined ? undefined : responses.streamOptions) ?? responses.stream;
}
