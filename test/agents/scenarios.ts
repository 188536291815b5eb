/** What happens to an agent's turn, in the order of the table. */

export const SCENARIOS = ["whole", "hidden thinking", "long tool call", "outage", "break in mid-answer"] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface Times {
  /** How long the model thinks without a word, with a ping now and then. */
  readonly thinkMs: number;
  /** How long the arguments of a tool call take. */
  readonly toolMs: number;
  /** How long the upstream answers 503, from its first request on. */
  readonly outageMs: number;
}

/** The answer's words: an agent that has them all has got its answer. */
export const WORDS: readonly string[] = ["The river", " keeps", " running,", " and the", " agent", " has its", " answer."];
export const ANSWER = WORDS.join("");

/** What a tool is called with, and what shows that it was called with all of it. */
export const TOOL_MARK = "perennial-tool-mark";
