/** How a client asks, and how its answer's server is killed behind one of the events that it gets. */
import { chat, readStream } from "../support/client.ts";
import type { TestPerennial } from "../support/perennial.ts";
import type { LlamaServer } from "./llama-server.ts";

/** An answer that goes on and on: its client leaves so many events behind the seam. */
export const LEAVES_BEHIND = 16;

export interface Told {
  readonly text: string;
  /** Where each event's text ended. */
  readonly ends: readonly number[];
  readonly done: boolean;
  readonly finish: string | null;
  readonly errorCode: string | undefined;
}

const bodyOf = (content: string, fields: object): object => ({
  model: "smollm2",
  temperature: 0,
  messages: [{ role: "user", content }],
  ...fields,
});

/** @param onEvent is given the number of events with text so far, and the way to leave. */
export async function ask(
  baseUrl: string,
  content: string,
  fields: object = {},
  onEvent: (count: number, leave: () => void) => unknown = () => undefined,
): Promise<Told> {
  const pieces = (body: string): string[] =>
    [...body.matchAll(/"content":("(?:[^"\\]|\\.)+")/g)].map(([, text]) => JSON.parse(text ?? '""'));
  let told = 0;
  const { body } = await chat(baseUrl, bodyOf(content, fields), {
    onRead(soFar, leave) {
      const count = pieces(soFar).length;
      while (told < count) onEvent(++told, leave);
    },
  });
  const { text, done, errorCode, finish } = readStream(body.slice(0, body.lastIndexOf("\n\n") + 2));
  let at = 0;
  const ends = pieces(body).map((piece) => {
    at += piece.length;
    return at;
  });
  return { text, ends, done, errorCode, finish };
}

/**
 * Kills the server behind this event, and starts it again.
 * @param hasEnd the answer is waited for to its end.
 * @returns what the client was told, and what it had been told by then.
 */
export async function killedAt(
  of: LlamaServer,
  app: TestPerennial,
  content: string,
  place: number,
  fields: object = {},
  hasEnd = false,
) {
  const before = app.log.filter((each) => "outcome" in each).length;
  let restarted: Promise<void> | undefined;
  const told = await ask(app.baseUrl, content, fields, (count, leave) => {
    if (count === place) restarted ??= of.kill().then(() => of.start());
    if (count >= place + LEAVES_BEHIND && !hasEnd) leave();
  });
  await restarted;
  const line = await app.exchangeLog(before + 1);
  return { told, line, given: told.ends[place - 1] ?? 0 };
}
