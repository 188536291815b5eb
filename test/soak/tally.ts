/** Counts what clients were told, and holds it against what Perennial says of the same exchanges in its log. */
import type { Visited } from "./client.ts";
import type { ClientKind } from "./mix.ts";
import type { ExchangeLine } from "./perennial-process.ts";

/** What a client was told. The first five are what the contract allows. */
export const TOLD = [
  "whole",
  "recovered",
  "interrupted",
  "refused",
  "left",
  "silent",
  "wrong text",
  "torn",
  "hung",
  "broken",
] as const;
export type Told = (typeof TOLD)[number];
export const MUST_BE_ZERO: readonly Told[] = ["silent", "wrong text", "torn", "hung", "broken"];

/** The outcomes in Perennial's log that fit what the client was told. */
const OUTCOMES: Readonly<Record<Told, readonly string[]>> = {
  whole: ["complete", "repaired", "resumed"],
  // Asked whole after empty streams, a stream is made of the answer: both recovered and repaired.
  recovered: ["recovered", "repaired", "resumed"],
  interrupted: ["interrupted"],
  refused: ["failed"],
  left: ["cancelled"],
  silent: [],
  "wrong text": [],
  torn: [],
  hung: [],
  broken: [],
};

export class Tally {
  readonly told: Record<Told, number> = Object.fromEntries(TOLD.map((told) => [told, 0])) as Record<Told, number>;
  readonly kinds = new Map<ClientKind, number>();
  readonly outcomes = new Map<string, number>();
  /** Everything that is against the contract, in words; the first hundred. */
  readonly problems: string[] = [];
  ended = 0;
  events = 0;
  bytes = 0;
  /** One of the two sides has been heard, by model. */
  readonly #pending = new Map<string, { told?: Told; outcome?: string }>();

  /** Exchanges of which the client and the log have not both told. */
  get unmatched(): number {
    return this.#pending.size;
  }

  addClient(kind: ClientKind, model: string, visited: Visited): Told {
    const told = toldBy(kind, visited);
    this.told[told]++;
    this.ended++;
    this.events += visited.events;
    this.bytes += visited.bytes;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    const { verdict, detail, breaches, complaint } = visited;
    const flaws = [...(kind.startsWith("leaves") ? [] : breaches), ...(complaint === undefined ? [] : [complaint])];
    if (MUST_BE_ZERO.includes(told) || flaws.length > 0) {
      const body = JSON.stringify(visited.body.toString("latin1").slice(-1_000));
      this.problem(`${model} (${kind}): ${verdict}, ${detail} ${flaws.join("; ")}\n    the body ends with ${body}`);
    }
    this.#match(model, { told });
    return told;
  }

  addLine({ model, outcome, failure }: ExchangeLine): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    if (model === undefined) this.problem(`a request was ${outcome}: ${failure}`);
    else this.#match(model, { outcome });
  }

  problem(text: string): void {
    if (this.problems.length < 100) this.problems.push(text);
  }

  #match(model: string, heard: { told?: Told; outcome?: string }): void {
    const before = this.#pending.get(model);
    const both = { ...before, ...heard };
    if (before?.outcome !== undefined && heard.outcome !== undefined) this.problem(`${model} has two log lines`);
    this.#pending.set(model, both);
    if (both.told === undefined || both.outcome === undefined) return;
    this.#pending.delete(model);
    if (!OUTCOMES[both.told].includes(both.outcome))
      this.problem(`${model}: "${both.told}" by its client, "${both.outcome}" in the log`);
  }
}

function toldBy(kind: ClientKind, { verdict, detail, attempts, complaint }: Visited): Told {
  if (complaint !== undefined) return "wrong text";
  switch (verdict) {
    case "whole":
      return attempts > 1 ? "recovered" : "whole";
    case "typed error":
      return detail.startsWith("HTTP ") ? "refused" : "interrupted";
    case "silent truncation":
      return "silent";
    case "wrong text":
      return "wrong text";
    case "torn event":
      return "torn";
    case "hang":
      return "hung";
    case "bare status":
      return "broken";
    case "transport error":
      return kind.startsWith("leaves") ? "left" : "broken";
  }
}
