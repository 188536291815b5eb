/** Servers as vLLM and SGLang speak chat, before any model: what they send, what they refuse, and what becomes of the beginning of an answer. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Shape = "vllm" | "sglang";

/**
 * What such a server does with a last message of the assistant's, when it is asked to go on with it.
 * `honours`: goes on. `trims`: goes on, but takes whitespace off its end first, as some templates do. `closes`: does not know the flags, and
 * begins a new answer (SGLang makes a message of the user's of it). `echoes`: goes on, and says it again first.
 */
export const MODES = ["honours", "trims", "closes", "echoes"] as const;
export type Mode = (typeof MODES)[number];

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Generating {
  readonly messages: readonly Message[];
  /** The beginning of the assistant's turn, which is gone on with; empty for a new turn. */
  readonly open: string;
  readonly temperature: number;
  readonly maxTokens: number | undefined;
  readonly signal: AbortSignal;
}

/** Yields tokens; what it throws ends the connection. */
export type Generate = (asked: Generating) => AsyncGenerator<string, "stop" | "length">;

export interface ServingShape {
  readonly baseUrl: string;
  /** How many requests came with the beginning of an answer. */
  continued: number;
  /** The next stream loses its connection behind so many tokens. */
  breakNextAfter(tokens: number): void;
  close(): Promise<void>;
}

interface Body {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly stream?: boolean;
  readonly temperature?: number;
  readonly max_tokens?: number | null;
  readonly max_completion_tokens?: number | null;
  readonly continue_final_message?: boolean;
  readonly add_generation_prompt?: boolean;
  readonly echo?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean; readonly continuous_usage_stats?: boolean } | null;
}

/** @param generate the model, for a {@link Mode} that requests choose by the model's name. */
export async function startServingShape(shape: Shape, generate: Generate): Promise<ServingShape> {
  let breakAfter = Number.POSITIVE_INFINITY;
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method !== "POST") {
      response.setHeader("content-type", "application/json").end(JSON.stringify({ object: "list", data: [] }));
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Body;
    const refusal = refusalOf(shape, body);
    if (refusal !== undefined) {
      response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(refusal));
      return;
    }
    const leaving = new AbortController();
    response.on("close", () => leaving.abort());
    const limit = breakAfter;
    breakAfter = Number.POSITIVE_INFINITY;
    if (body.messages.at(-1)?.role === "assistant") serving.continued++;
    const { echo, ...turn } = turnOf(shape, body.model as Mode, body);
    const words = new Words(shape, body);
    const tokens = generate({
      ...turn,
      temperature: body.temperature ?? 1,
      maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
      signal: leaving.signal,
    });
    const send = (text: string): void => void (text !== "" && response.write(text));
    for (let sent = 0; ; sent++) {
      // What is killed before it has answered has answered nothing.
      const next = await tokens.next();
      if (sent === 0) {
        response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
        send(words.begin(echo));
      }
      if (sent >= limit) {
        // What was sent arrives before the cut.
        response.socket?.end();
        return;
      }
      if (next.done === true) {
        response.end(words.end(next.value));
        return;
      }
      send(words.token(next.value));
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const serving: ServingShape = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    continued: 0,
    breakNextAfter(tokens) {
      breakAfter = tokens;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
  return serving;
}

/** In the words of each: vLLM refuses the two flags together, SGLang a content that is no text. */
function refusalOf(shape: Shape, { continue_final_message, add_generation_prompt, messages }: Body): object | undefined {
  if (shape === "sglang") {
    if (messages.every(({ content }) => typeof content === "string")) return undefined;
    return { object: "error", message: "Input should be a valid string", type: "BadRequestError", param: null, code: 400 };
  }
  if (!(continue_final_message && (add_generation_prompt ?? true))) return undefined;
  const said = "Value error, Cannot set both `continue_final_message` and `add_generation_prompt` to True.";
  const message = `[{'type': 'value_error', 'loc': ('body',), 'msg': '${said}'}]`;
  return { error: { message, type: "Bad Request", param: null, code: 400 } };
}

/** What the model is given, and what is said before it speaks. */
function turnOf(shape: Shape, mode: Mode, body: Body): Pick<Generating, "messages" | "open"> & { readonly echo: string } {
  const { messages } = body;
  const last = messages.at(-1);
  if (last?.role !== "assistant") return { messages, open: "", echo: "" };
  const before = messages.slice(0, -1);
  if (mode === "closes" || body.continue_final_message !== true) {
    return { messages: shape === "sglang" ? [...before, { role: "user", content: last.content }] : messages, open: "", echo: "" };
  }
  const open = mode === "trims" ? last.content.trimEnd() : last.content;
  return { messages: before, open, echo: mode === "echoes" || body.echo === true ? last.content : "" };
}

/** The chunks of one answer. */
class Words {
  readonly #shape: Shape;
  readonly #body: Body;
  readonly #id = `chatcmpl-${Math.random().toString(16).slice(2)}`;
  readonly #created = Math.floor(Date.now() / 1_000);
  readonly #promptTokens: number;
  #made = 0;

  constructor(shape: Shape, body: Body) {
    this.#shape = shape;
    this.#body = body;
    // Whoever counts counts the beginning of the answer as prompt.
    this.#promptTokens = body.messages.reduce((sum, { content }) => sum + Math.ceil(content.length / 4), 0);
  }

  begin(echo: string): string {
    const role = this.#delta({ role: "assistant", content: "", ...(this.#shape === "sglang" ? NO_MORE : {}) });
    return echo === "" ? role : role + this.#delta({ content: echo });
  }

  token(content: string): string {
    this.#made++;
    return this.#delta(this.#shape === "vllm" ? { content } : { role: null, content, ...NO_MORE });
  }

  end(finish: "stop" | "length"): string {
    const stopped = this.#shape === "vllm" ? { stop_reason: null } : { matched_stop: finish === "stop" ? 2 : null };
    const last = this.#delta(
      this.#shape === "vllm" ? { content: "" } : { role: null, content: null, ...NO_MORE },
      finish,
      stopped,
    );
    const counts = this.#body.stream_options?.include_usage === true;
    return `${last}${counts ? this.#chunk([], this.#usage()) : ""}data: [DONE]\n\n`;
  }

  #delta(delta: object, finish_reason: string | null = null, more: object = {}): string {
    const stopped = this.#shape === "sglang" ? { matched_stop: null } : {};
    const counts = this.#body.stream_options?.continuous_usage_stats === true;
    const usage = counts ? this.#usage() : this.#shape === "sglang" ? null : undefined;
    return this.#chunk([{ index: 0, delta, logprobs: null, finish_reason, ...stopped, ...more }], usage);
  }

  #usage(): object {
    return {
      prompt_tokens: this.#promptTokens,
      total_tokens: this.#promptTokens + this.#made,
      completion_tokens: this.#made,
      prompt_tokens_details: null,
    };
  }

  #chunk(choices: readonly object[], usage: object | null | undefined): string {
    const head = { id: this.#id, object: "chat.completion.chunk", created: this.#created, model: this.#body.model };
    return `data: ${JSON.stringify({ ...head, choices, ...(usage === undefined ? {} : { usage }) })}\n\n`;
  }
}

/** Which SGLang always names. */
const NO_MORE = { reasoning_content: null, tool_calls: null };
