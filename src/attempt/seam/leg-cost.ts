/** What another leg of an answer costs that was paid for before: the prompt, read again, and what of the answer is made again. */
import type { AnswerRecord } from "../../core/answer-record.ts";
import type { PaidTwice } from "../../core/attempt.ts";
import type { Cut } from "./choose-cut.ts";

/** English has about four in a token, Chinese about three: enough to say how much, not to write a bill. */
const BYTES_PER_TOKEN = 4;

/**
 * @param cut where the rest begins; undefined for the whole answer again.
 * @param promptBytes of the request.
 * @returns what the leg costs, once the upstream has said how many tokens it has read, and before that.
 */
export function legCost(given: AnswerRecord, cut: Cut | undefined, promptBytes: number): (promptTokens?: number) => PaidTwice {
  const again = cut === undefined ? given.text : cut.tail;
  const madeBy = given.tokens.at(-1);
  const counted = cut === undefined ? madeBy : difference(madeBy, cut.tokens);
  const tokensAgain = again === "" ? 0 : counted;
  return (promptTokens) => ({
    tokens: (promptTokens ?? estimate(promptBytes)) + (tokensAgain ?? estimate(Buffer.byteLength(again))),
    from: promptTokens === undefined || tokensAgain === undefined ? "estimate" : "usage",
  });
}

function estimate(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

function difference(more: number | undefined, less: number | undefined): number | undefined {
  return more === undefined || less === undefined ? undefined : more - less;
}
