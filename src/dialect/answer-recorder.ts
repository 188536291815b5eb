/** Writes down an answer as it is given: the one recorder of all dialects, which differ only in how an event is read. */
import type { AnswerRecorder, SeamRule } from "../core/answer-record.ts";
import type { StreamEvent } from "../core/stream-event.ts";

/** What one event says of the answer. */
export interface Reading {
  readonly text: string;
  readonly rules: readonly SeamRule[];
  /** Fields that name the answer, from the first event that has them. */
  readonly head?: Readonly<Record<string, unknown>> | undefined;
  readonly block?: number | undefined;
  readonly sequence?: number | undefined;
  readonly tokens?: number | undefined;
  readonly promptTokens?: number | undefined;
}

/** Beyond this many characters an answer is not kept: no upstream would take it as a beginning, and memory is not free. */
const MOST = 4 * 1024 ** 2;

export class TextRecorder implements AnswerRecorder {
  readonly #read: (event: StreamEvent) => Reading;
  readonly ends: number[] = [];
  readonly tokens: (number | undefined)[] = [];
  readonly obstacles = new Set<SeamRule>();
  text = "";
  promptTokens: number | undefined;
  head: Readonly<Record<string, unknown>> = {};
  block: number | undefined;
  sequence: number | undefined;
  events = 0;

  constructor(read: (event: StreamEvent) => Reading) {
    this.#read = read;
  }

  add(event: StreamEvent): void {
    const { text, rules, head, block, sequence, tokens, promptTokens } = this.#read(event);
    this.events++;
    for (const rule of rules) this.obstacles.add(rule);
    if (head !== undefined && Object.keys(this.head).length === 0) this.head = head;
    // Numbers that come again, or none but 0, do not say what a client has.
    if (sequence !== undefined && this.sequence !== undefined && sequence <= this.sequence) this.obstacles.add("sequence");
    this.block = block ?? this.block;
    this.sequence = sequence ?? this.sequence;
    this.promptTokens = promptTokens ?? this.promptTokens;
    if (text === "" || this.obstacles.has("too-long")) return;
    if (this.text.length + text.length > MOST) {
      this.obstacles.add("too-long");
      this.text = "";
      this.ends.length = this.tokens.length = 0;
      return;
    }
    this.text += text;
    this.ends.push(this.text.length);
    this.tokens.push(tokens);
  }
}
