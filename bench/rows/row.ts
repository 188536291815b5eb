/** A row of the table: a way from the load to the upstream. */

export interface Row {
  readonly name: string;
  /** Rows that are a variant of another take part only where it may show. */
  readonly only?: ReadonlySet<string>;
  /** @throws with the reason where it cannot be had here; the row is then left out */
  start(upstream: string): Promise<Running>;
}

export interface Running {
  /** Where chat completions are asked for. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly model: string;
  /** CPU from the start until it listened, in milliseconds; undefined where it ran before, or is nothing. */
  readonly readyMs: number | undefined;
  /** Whose CPU and memory count; empty where that is not known. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

export const CHAT = "/v1/chat/completions";
