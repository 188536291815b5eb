/** How servers go on with an answer that they are given the beginning of: rightly, or in one of the ways that were seen in the wild. */
import { REASONING_TOKENS, TOKENS } from "../../answer.ts";
import { restAfter } from "../../beginning.ts";
import { deltaChunk } from "../../chat-chunks.ts";
import { dialectOf, errorReply, partialStream, toolCallOf, wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, fin, type Step, streamHead } from "../../script.ts";

/** A new question is answered as if nothing were wrong. */
function continued(name: string, summary: string, goOn: (ask: Ask, beginning: string, arg: number) => Iterable<Step>): Fault {
  return {
    name: `continue-${name}`,
    summary: `asked for the rest of an answer: ${summary}`,
    stream: (ask, arg) => (ask.beginning === undefined ? wholeStream(ask) : goOn(ask, ask.beginning, arg)),
    answer: wholeAnswer,
  };
}

/** A leg of these words, which then ends well. */
function saying(name: string, summary: string, words: (beginning: string) => readonly string[]): Fault {
  return continued(name, summary, (ask, beginning) => wholeStream(ask, words(beginning)));
}

function refusing(name: string, message: string): Fault {
  return continued(name, `HTTP 400, "${message}"`, (ask) => errorReply(ask, 400, message));
}

const lastSentence = (beginning: string): string => /[^.:,;]*$/.exec(beginning)?.[0] || beginning;

/** The same words with the first changed. */
function withFirst(words: readonly string[], change: (first: string) => string): readonly string[] {
  return words.map((word, index) => (index === 0 ? change(word) : word));
}

export const CONTINUED: readonly Fault[] = [
  saying("right", "goes on with it", restAfter),
  {
    ...continued("cut", "goes on, and closes after this many events", function* (ask, beginning, count) {
      yield streamHead();
      let sent = 0;
      for (const step of [...dialectOf(ask).begin(ask), ...dialectOf(ask).text(ask, restAfter(beginning))]) {
        if (sent++ >= count) break;
        yield step;
      }
      yield fin;
    }),
    arg: events(),
  },
  {
    ...continued("length", "goes on, and says after this many words that no tokens are left", function* (ask, beginning, count) {
      const words = restAfter(beginning).slice(0, count);
      yield* partialStream(ask, words);
      yield* dialectOf(ask).finish(ask, words, "length");
      yield* dialectOf(ask).terminator(ask, words);
    }),
    arg: events(),
  },
  saying("restart", "begins anew", () => TOKENS),
  saying("restart-newline", "begins anew behind an empty line", () => withFirst(TOKENS, (first) => `\n\n${first}`)),
  saying("sentence", "says the last sentence again", (beginning) => [lastSentence(beginning), ...restAfter(beginning)]),
  saying("space-lost", "loses the space at the seam", (beginning) =>
    withFirst(restAfter(beginning), (first) => first.trimStart()),
  ),
  saying("space-doubled", "doubles the space at the seam", (beginning) => [" ", ...restAfter(beginning)]),
  saying("chatter", "says that it goes on", (beginning) => ["Sure,", " here is", " the rest:", ...restAfter(beginning)]),
  saying("role-token", "ends the turn in its text", (beginning) => [
    "<|im_end|>\n<|im_start|>assistant\n",
    ...restAfter(beginning),
  ]),
  saying("echo", "says the beginning again, then goes on", (beginning) => [beginning, ...restAfter(beginning)]),
  saying("empty", "has nothing to add", () => []),
  continued("reasoning", "thinks first", function* (ask, beginning) {
    yield streamHead();
    for (const text of REASONING_TOKENS) yield event(deltaChunk(ask, 0, { reasoning_content: text }));
    yield* dialectOf(ask).text(ask, restAfter(beginning));
    yield* dialectOf(ask).finish(ask, restAfter(beginning));
    yield* dialectOf(ask).terminator(ask, restAfter(beginning));
  }),
  continued("tools", "calls a tool", function* (ask) {
    yield streamHead();
    yield* toolCallOf(ask).begin(ask);
    yield* toolCallOf(ask).end(ask);
  }),
  continued("stops", "goes on, and ends without a finish", function* (ask, beginning) {
    yield* partialStream(ask, restAfter(beginning));
    yield* dialectOf(ask).terminator(ask, restAfter(beginning));
  }),
  refusing("400", "This model does not support assistant message prefill. The conversation must end with a user message."),
  refusing("400-flags", "Cannot set both add_generation_prompt and continue_final_message to true."),
  refusing("400-thinking", "Assistant response prefill is incompatible with enable_thinking."),
];
