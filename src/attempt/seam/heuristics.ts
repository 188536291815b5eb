/** What a wrong second leg often looks like. Each rule only ever refuses: none of them, nor all, proves that a seam is right. */
import type { SeamRule } from "../../core/answer-record.ts";

/** So many characters equal elsewhere in the answer are no accident. */
export const TELLING = 24;
/** As far back as a model goes that says its last words again. */
const RECENT = 240;

const CHATTER =
  /^\s*(?:sure\b|certainly\b|of course\b|continuing\b|okay\b|ok[,.! ]|here(?:'s| is| are)\b|as I was saying|let me (?:continue|finish)|I apologi[sz]e|sorry\b|好的|当然|继续|接着|接下来|以下是|抱歉)/i;
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu;

/** @param given what the client has. @param head the first words of the leg, at least {@link TELLING} where there are as many. */
export function suspect(given: string, head: string): SeamRule | undefined {
  const words = head.trimStart();
  if (words.length >= TELLING) {
    const telling = words.slice(0, TELLING);
    if (given.trimStart().startsWith(telling)) return "restart";
    if (given.slice(-RECENT).includes(telling)) return "repetition";
  }
  if (!endsSentence(given) && CHATTER.test(head)) return "chatter";
  return hasImpossibleShape(given, head) ? "shape" : undefined;
}

/** The last words look like the end of an answer. */
export function looksEnded(given: string): boolean {
  const end = given.trimEnd();
  return /[.!?…。！？][\p{Pe}\p{Pf}"'*_`]*$/u.test(end) || (/```$/.test(end) && fences(end) % 2 === 0);
}

function endsSentence(given: string): boolean {
  return /[.!?…。！？:：\n]["'*_`)\]]*\s*$/.test(given);
}

function fences(text: string): number {
  return text.match(/^\s*```/gm)?.length ?? 0;
}

function hasImpossibleShape(given: string, head: string): boolean {
  // A fence with a language is opened, and one is open.
  if (fences(given) % 2 === 1 && /^\s*```\w/.test(head)) return true;
  if (/\p{Ll}$/u.test(given) && /^[ \t]*\n\s*\n\s*\p{Lu}/u.test(head)) return true;
  const recent = given.slice(-64);
  const isCjk = (recent.match(CJK)?.length ?? 0) > recent.length / 2;
  return isCjk && head.length >= TELLING && !CJK_ONCE.test(head) && (head.match(/[A-Za-z]{2,}/g)?.length ?? 0) >= 3;
}

const CJK_ONCE = new RegExp(CJK.source, "u");
