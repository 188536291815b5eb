/** How servers go on with an answer that they are given the beginning of: rightly, or in one of the ways that were seen in the wild. */
import { REASONING_TOKENS, TOKENS } from "../../answer.ts";
import { restAfter } from "../../beginning.ts";
import { deltaChunk } from "../../chat-chunks.ts";
import { dialectOf, errorReply, partialStream, toolCallOf, wholeAnswer, wholeStream } from "../../chat-script.ts";
import type { Ask, Fault } from "../../fault.ts";
import { events } from "../../fault-arg.ts";
import { event, fin, hang, reset, type Step, streamHead } from "../../script.ts";

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

/** A leg that goes on rightly for so many events, and then breaks. */
function breaking(name: string, summary: string, end: (ask: Ask, sent: number) => Iterable<Step>): Fault {
  return {
    ...continued(name, summary, function* (ask, beginning, count) {
      yield streamHead();
      let sent = 0;
      for (const step of [...dialectOf(ask).begin(ask), ...dialectOf(ask).text(ask, restAfter(beginning))]) {
        if (sent++ >= count) break;
        yield step;
      }
      yield* end(ask, count);
    }),
    arg: events(),
  };
}

/** The same words with the first changed. */
function withFirst(words: readonly string[], change: (first: string) => string): readonly string[] {
  return words.map((word, index) => (index === 0 ? change(word) : word));
}

export const CONTINUED: readonly Fault[] = [
  saying("right", "goes on with it", restAfter),
  breaking("cut", "goes on, and closes after this many events", () => [fin]),
  breaking("reset", "goes on, and resets the connection after this many events", () => [reset]),
  breaking("stall", "goes on, and sends nothing more after this many events", () => [hang]),
  breaking("error", "goes on, and reports an error after this many events", (ask, sent) =>
    dialectOf(ask).error(ask, "The server had an error while processing your request.", sent),
  ),
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
  saying("think", "thinks in its text", (beginning) => ["<think>\nI was cut off.\n</think>\n\n", ...restAfter(beginning)]),
  saying("line", "says the last words again", (beginning) => [beginning.slice(-12), ...restAfter(beginning)]),
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
  ...[500, 503].map((status) =>
    continued(String(status), `HTTP ${status}`, (ask) => errorReply(ask, status, "The server cannot do that now.")),
  ),
  refusing("400", "This model does not support assistant message prefill. The conversation must end with a user message."),
  refusing("400-flags", "Cannot set both add_generation_prompt and continue_final_message to true."),
  refusing("400-thinking", "Assistant response prefill is incompatible with enable_thinking."),
  refusing("400-assistants", "Cannot have 2 or more assistant messages at the end of the list."),
  refusing("400-content", "Assistant message must contain either 'content' or 'tool_calls'!"),
  refusing("400-space", "messages: final assistant content cannot end with trailing whitespace"),
  refusing("400-last-role", "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"),
  refusing("400-model-turn", "Requests ending with a model turn are not supported"),
  refusing(
    "400-prefix-mode",
    "The last message of deepseek-reasoner must be a user message, or an assistant message with prefix mode on",
  ),
  refusing("400-reasoning", "The `reasoning_content` in the thinking mode must be passed back to the API."),
  refusing("400-length", "This model's maximum context length is 4096 tokens. However, your request has 5000 tokens."),
];
