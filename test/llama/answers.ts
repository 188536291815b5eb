/** The answers that a real model is killed in, and what a long run over all of their events keeps when it is cut. */
import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./environment.ts";

export const QUESTIONS = {
  prose: "Tell me about rivers in three sentences.",
  code: "Write a short Python function that adds two numbers.",
  list: "List the months of the year.",
  Chinese: "请用中文写一首关于春天的诗",
  emoji: "Write one sentence with emoji 🎉🌊🎈.",
  JSON: 'Repeat this JSON exactly: {"name": "Ann", "age": 30, "city": "Paris", "tags": ["a", "b"]}',
} as const;

export type AnswerName = keyof typeof QUESTIONS;
const NAMES = Object.keys(QUESTIONS) as AnswerName[];

/** @param chosen names, separated by commas, in any case. @returns all, where none is chosen. @throws for a name that there is not. */
export function chooseAnswers(chosen: string): readonly AnswerName[] {
  if (chosen === "") return NAMES;
  return chosen.split(",").map((each) => {
    const name = NAMES.find((known) => known.toLowerCase() === each.trim().toLowerCase());
    if (name === undefined) throw new Error(`there is no answer "${each}"; there are ${NAMES.join(", ")}`);
    return name;
  });
}

/** What became of an answer whose server was killed behind one of its events. */
export interface Ending {
  /** `early`: too little had been told to prove anything. `finished`: the answer had come to its end before the kill. */
  readonly kind: "goneOn" | "early" | "refused" | "finished";
  /** Of one that has gone on: the same words as without the kill, as far as they are compared. */
  readonly isEqual?: boolean;
}

/** Keeps each ending as it comes, in a file beside the model, so that a run that is cut goes on where it was. */
export class KeptEndings {
  static readonly #file = join(CACHE, "every.jsonl");
  readonly #of: AnswerName;
  readonly #kept = new Map<number, Ending>();

  constructor(of: AnswerName) {
    this.#of = of;
    if (!existsSync(KeptEndings.#file)) return;
    for (const line of readFileSync(KeptEndings.#file, "utf8").trim().split("\n")) {
      const { name, place, ...ending } = JSON.parse(line) as Ending & { name: AnswerName; place: number };
      if (name === of) this.#kept.set(place, ending);
    }
  }

  get(place: number): Ending | undefined {
    return this.#kept.get(place);
  }

  add(place: number, ending: Ending): void {
    appendFileSync(KeptEndings.#file, `${JSON.stringify({ name: this.#of, place, ...ending })}\n`);
  }

  /** A run begins that goes on with no other. */
  static forget(): void {
    rmSync(KeptEndings.#file, { force: true });
  }
}
