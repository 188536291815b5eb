/** An answer that broke goes on, or does not: how a test has it break, and what its client is given. */
import { ANSWER, TOKENS } from "../../src/chaos/answer.ts";
import { CONTINUATIONS } from "../../src/chaos/registry.ts";
import { send } from "./client.ts";
import { type DialectFixture, FIXTURES, readDialectStream } from "./dialect-fixtures.ts";
import type { TestPerennial } from "./perennial.ts";

/** Those whose answers are asked to go on. */
export const CONTINUED_DIALECTS = FIXTURES.filter(({ name }) =>
  ["openai-chat", "openai-completions", "anthropic-messages"].includes(name),
);
/** What takes time, and is tried by itself. */
const SLOW: ReadonlySet<string> = new Set(["continue-stall", "continue-503"]);
export const CONTINUATION_KINDS = CONTINUATIONS.faults.map(({ name }) => name).filter((name) => !SLOW.has(name));
/** Each place at which the answer can break: before each of its words, and behind the last. */
export const PLACES: readonly number[] = Array.from({ length: TOKENS.length + 3 }, (_, index) => index);
export const MIN_CHARS = 40;

export interface Heard {
  readonly text: string;
  readonly whole: boolean;
  readonly errorCode: string | undefined;
  readonly message: string;
  /** Every id that names the answer. */
  readonly ids: readonly string[];
  readonly speakers: number;
}

/** @param spec what becomes of the question, and of each request for the rest. */
export async function hear(
  by: TestPerennial,
  fixture: DialectFixture,
  spec: string,
  fields: object = {},
  headers: Record<string, string> = {},
): Promise<Heard> {
  const { body } = await send(by.url + fixture.path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: `chaos/${spec}`, stream: true, temperature: 0, ...questionOf(fixture), ...fields }),
  });
  return {
    ...readDialectStream(fixture, body),
    message: /"message":"((?:[^"\\]|\\.)*)","(?:type|code)/.exec(body)?.[1] ?? "",
    ids: [...new Set([...body.matchAll(/"id":"([^"]+)"/g)].map(([, id]) => id ?? ""))],
    speakers: [...body.matchAll(/"role":/g)].length,
  };
}

/** A question that is no beginning of an answer. */
function questionOf({ name }: DialectFixture): object {
  const limit = { max_tokens: 4_000 };
  if (name === "openai-completions") return { prompt: "Why do streams break?", ...limit };
  return { messages: [{ role: "user", content: "Why do streams break?" }], ...limit };
}

/** What is wrong with what a client was given: nothing, where it is a beginning of the answer and an error, or all of it. */
export function flawsOf({ text, whole, errorCode, ids, speakers }: Heard): readonly string[] {
  return [
    ...(ANSWER.startsWith(text) ? [] : [`a text that is no beginning of the answer: ${JSON.stringify(text)}`]),
    ...(whole && text !== ANSWER ? [`told to be whole: ${JSON.stringify(text)}`] : []),
    ...(whole === (errorCode === undefined) ? [] : [`whole: ${whole}, error: ${errorCode}`]),
    ...(ids.length > 1 ? [`${ids.length} ids`] : []),
    ...(speakers > 1 ? [`${speakers} roles`] : []),
  ];
}
