/** `perennial try`: one request through the Perennial that runs, its text as it comes, and how it went. */
import type { StreamEvent } from "../core/stream-event.ts";
import { isObject, objectsOf, parseObject } from "../dialect/json.ts";
import { createSseDecoder } from "../sse/decode.ts";

export interface TryOptions {
  readonly prompt: string;
  /** Where Perennial listens, without /v1. */
  readonly url: string;
  /** @defaultValue the first of /v1/models */
  readonly model?: string | undefined;
  /** For the client's own key, or one of `auth.keys`. */
  readonly key?: string | undefined;
}

export interface TryContext {
  /** Takes the text. */
  readonly write: (text: string) => unknown;
  /** Takes the line of progress, and the last one. */
  readonly tell: (text: string) => unknown;
  /** The line of progress may be written over. */
  readonly isTerminal: boolean;
  /** The text goes to a terminal too: there the line of progress ends where the text begins, or each would wipe the other out. */
  readonly showsText: boolean;
}

/** Largest event, in bytes. */
const MAX_EVENT_BYTES = 16_777_216;
/** How often the line of progress is written, in milliseconds. */
const EVERY_MS = 200;
const CLEAR = "\r\u001b[K";

/** @returns the exit code: 1 where the answer is not whole. */
export async function runTry(options: TryOptions, context: TryContext): Promise<0 | 1> {
  const { url } = options;
  const headers = {
    "content-type": "application/json",
    "user-agent": "perennial-try",
    ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
  };
  const began = performance.now();
  const answer = new Answer();
  const line = (): string => {
    const s = (performance.now() - began) / 1_000;
    const rate = answer.characters === 0 ? "" : `, ${Math.round(answer.characters / s)} a second`;
    return `${answer.characters} characters${rate}, ${s.toFixed(1)} s, ${answer.attempts} attempt${answer.attempts === 1 ? "" : "s"}`;
  };
  let timer = context.isTerminal ? setInterval(() => context.tell(`${CLEAR}… ${line()}`), EVERY_MS) : undefined;
  try {
    const model = options.model ?? (await firstModel(url, headers));
    const body = JSON.stringify({ model, stream: true, messages: [{ role: "user", content: options.prompt }] });
    const reply = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    answer.attempts = Number(reply.headers.get("x-perennial-attempts") ?? 1);
    answer.id = reply.headers.get("x-perennial-id") ?? undefined;
    await answer.read(reply, (text) => {
      if (context.isTerminal && context.showsText && timer !== undefined) {
        clearInterval(timer);
        timer = undefined;
        context.tell(CLEAR);
      }
      context.write(text);
    });
  } catch (error) {
    answer.problem ??= problemOf(error, url);
  } finally {
    clearInterval(timer);
  }
  const about = `${line()}${answer.id === undefined ? "" : `, ${answer.id}`}`;
  const clear = timer === undefined ? "" : CLEAR;
  const verdict = answer.problem === undefined ? `● whole: ${about}` : `✖ ${answer.problem} (${about})`;
  context.tell(`${clear}${answer.characters > 0 ? "\n" : ""}${verdict}\n`);
  return answer.problem === undefined ? 0 : 1;
}

class Answer {
  characters = 0;
  attempts = 1;
  id: string | undefined;
  /** Undefined for a whole answer. */
  problem: string | undefined;
  #done = false;

  async read(reply: Response, write: (text: string) => void): Promise<void> {
    if (reply.status !== 200) {
      const text = await reply.text();
      const { error } = parseObject(text) ?? {};
      this.problem = `HTTP ${reply.status}: ${isObject(error) ? String(error.message) : text.slice(0, 300)}`;
      return;
    }
    const onEvent = (event: StreamEvent): void => this.#onEvent(event, write);
    const decoder = createSseDecoder({ onEvent, onStrayLine() {} }, MAX_EVENT_BYTES);
    for await (const chunk of reply.body ?? []) decoder.feed(Buffer.from(chunk));
    decoder.flush();
    if (!this.#done) this.problem ??= "the answer ended without [DONE]";
  }

  #onEvent({ data }: StreamEvent, write: (text: string) => void): void {
    if (data === "[DONE]") {
      this.#done = true;
      return;
    }
    const json = parseObject(data);
    if (isObject(json?.error)) this.problem ??= `${json.error.code}: ${json.error.message}`;
    for (const { delta } of objectsOf(json?.choices)) {
      const text = isObject(delta) ? delta.content : undefined;
      if (typeof text !== "string" || text === "") continue;
      this.characters += text.length;
      write(text);
    }
  }
}

async function firstModel(url: string, headers: Record<string, string>): Promise<string> {
  const reply = await fetch(`${url}/v1/models`, { headers });
  const [first] = objectsOf(parseObject(await reply.text())?.data);
  return typeof first?.id === "string" ? first.id : "default";
}

function problemOf(error: unknown, url: string): string {
  const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return `nothing listens at ${url}: start perennial, or name its address with --url`;
  return `the connection broke${code === undefined ? "" : ` (${code})`}`;
}
