/** How each dialect says the same few things, in wire form: what tests need that play one kind of stream in all of them. */

export interface Speaker {
  readonly name: string;
  /** Under Perennial's root. */
  readonly path: string;
  readonly upstream: Record<string, unknown>;
  /** What comes before any content. */
  readonly begin: readonly string[];
  text(words: string): string;
  /** An ending of the answer that is no terminator; empty where there is none but the terminator. */
  finish(word?: string): readonly string[];
  readonly terminator: string;
  /** The same in one piece. */
  answer(words: string, finish: string | null | undefined): unknown;
  /** What the client has of the text. */
  readText(body: string): string;
}

const line = (json: object): string => `data: ${JSON.stringify(json)}\n\n`;
const typed = (type: string, fields: object = {}): string => `event: ${type}\n${line({ type, ...fields })}`;
const DONE = "data: [DONE]\n\n";

// biome-ignore lint/suspicious/noExplicitAny: events of every shape
function joinText(body: string, textOf: (json: any) => unknown): string {
  let text = "";
  for (const [, data = ""] of body.matchAll(/^data: (\{.*\})$/gm)) text += textOf(JSON.parse(data)) ?? "";
  return text;
}

const chunk = (fields: object): string => line({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, ...fields }] });
const block = (type: string, fields: object): string => typed(type, { index: 0, ...fields });
const item = (words: string): object => ({
  id: "i",
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: words, annotations: [] }],
});

export const chatSpeaker: Speaker = {
  name: "chat",
  path: "/v1/chat/completions",
  upstream: {},
  begin: [chunk({ delta: { role: "assistant", content: "" }, finish_reason: null })],
  text: (content) => chunk({ delta: { content }, finish_reason: null }),
  finish: (finish_reason = "stop") => [chunk({ delta: {}, finish_reason })],
  terminator: DONE,
  answer: (content, finish_reason) => ({
    id: "c",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason }],
  }),
  readText: (body) => joinText(body, ({ choices }) => choices?.[0]?.delta?.content),
};

export const completionsSpeaker: Speaker = {
  name: "completions",
  path: "/v1/completions",
  upstream: {},
  begin: [],
  text: (text) => line({ id: "c", choices: [{ index: 0, text, finish_reason: null }] }),
  finish: (finish_reason = "stop") => [line({ id: "c", choices: [{ index: 0, text: "", finish_reason }] })],
  terminator: DONE,
  answer: (text, finish_reason) => ({ id: "c", choices: [{ index: 0, text, finish_reason }] }),
  readText: (body) => joinText(body, ({ choices }) => choices?.[0]?.text),
};

export const messagesSpeaker: Speaker = {
  name: "messages",
  path: "/v1/messages",
  upstream: {},
  begin: [
    typed("message_start", {
      message: { id: "m", type: "message", role: "assistant", content: [], stop_reason: null, usage: {} },
    }),
    block("content_block_start", { content_block: { type: "text", text: "" } }),
  ],
  text: (text) => block("content_block_delta", { delta: { type: "text_delta", text } }),
  finish: (stop_reason = "end_turn") => [
    block("content_block_stop", {}),
    typed("message_delta", { delta: { stop_reason }, usage: { output_tokens: 3 } }),
  ],
  terminator: typed("message_stop"),
  answer: (text, stop_reason) => ({ type: "message", role: "assistant", content: [{ type: "text", text }], stop_reason }),
  readText: (body) => joinText(body, ({ delta }) => delta?.text),
};

export const responsesSpeaker: Speaker = {
  name: "responses",
  path: "/v1/responses",
  upstream: {},
  begin: [typed("response.created", { response: { id: "r", status: "in_progress", output: [] } })],
  text: (delta) => typed("response.output_text.delta", { output_index: 0, content_index: 0, delta }),
  finish: () => [],
  terminator: typed("response.completed", {
    response: { id: "r", object: "response", status: "completed", output: [item("Hello")] },
  }),
  answer: (words, status) => ({ id: "r", object: "response", status, output: [item(words)] }),
  readText: (body) => joinText(body, ({ type, delta }) => (type === "response.output_text.delta" ? delta : "")),
};

/** The OpenAI-like routes of 0.3. */
export const chatchatSpeaker: Speaker = {
  ...chatSpeaker,
  name: "chatchat",
  path: "/chat/chat/completions",
  upstream: { profile: "chatchat" },
  terminator: "",
};

export const SPEAKERS: readonly Speaker[] = [chatSpeaker, completionsSpeaker, messagesSpeaker, responsesSpeaker, chatchatSpeaker];

export const whole = (speaker: Speaker): string[] => [
  ...speaker.begin,
  speaker.text("Hello"),
  ...speaker.finish(),
  speaker.terminator,
];
