/** A model that knows some answers by heart, whose seams are hard to tell: they say the same again, and characters of them are of many pieces. */
import { restAfter } from "../../src/chaos/beginning.ts";
import type { Generate } from "./serving-shapes.ts";

const VERSE = "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream. ";

export const ANSWERS: Readonly<Record<string, string>> = {
  "a song whose first verse comes again": `${VERSE}${VERSE}Row, row, row your boat, and so it ends.`,
  laughter: `${"ha ".repeat(40)}and it is over.`,
  "emoji of many pieces": `Look: ${"👩‍👩‍👧‍👦🇩🇪🏳️‍🌈".repeat(3)} and e\u0301te\u0301, ${"🌊🎈".repeat(12)} the end.`,
  "lines with carriage returns": `def f():\r\n${" ".repeat(32)}return 1\r\n\r\n\r\n${" ".repeat(40)}# done\r\n`,
  "a table": `| a | b |\n| --- | --- |\n${"| 1 | 2 |\n".repeat(8)}\nThat is all.`,
  code: `${["a", "b", "c", "d"].map((name) => `test("${name}", () => {\n  expect(run()).toBe(true);\n});\n`).join("\n")}\n// all of them\n`,
};

/** Always the same pieces, of one to six characters, none of which ends within one. */
export function piecesOf(text: string): readonly string[] {
  const characters = [...text];
  const pieces: string[] = [];
  for (let at = 0, size = 1; at < characters.length; at += size) {
    size = 1 + ((at * 7 + 3) % 6);
    pieces.push(characters.slice(at, at + size).join(""));
  }
  return pieces;
}

/** @returns pieces of the rest; a token is not cut where the beginning has one whole. */
function restOf(text: string, open: string): readonly string[] {
  const rest: string[] = [];
  let at = 0;
  for (const piece of piecesOf(text)) {
    const from = Math.max(0, open.length - at);
    at += piece.length;
    if (from < piece.length) rest.push(piece.slice(from));
  }
  return rest;
}

/** Answers anew whatever it does not go on with. */
export const scripted: Generate = async function* ({ messages, open, maxTokens }) {
  const question = messages.find(({ role, content }) => role === "user" && content in ANSWERS)?.content;
  const text = question === undefined ? undefined : (ANSWERS[question] ?? "");
  // A beginning that has lost its whitespace is gone on with where it stands.
  const pieces = text === undefined ? restAfter(open) : text.startsWith(open) ? restOf(text, open) : piecesOf(text);
  for (const [index, piece] of pieces.entries()) {
    if (index === maxTokens) return "length";
    yield piece;
  }
  return "stop";
};
