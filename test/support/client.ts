/** A client that sees everything: status, headers, every byte, and how the connection ended. */
import { type Agent, request } from "node:http";
import { createParser } from "eventsource-parser";

export interface Seen {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
  /** `clean`: the body came to its end; `cut`: the connection broke in it. */
  readonly end: "clean" | "cut";
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  /** For connections that are used again; otherwise each request has its own. */
  readonly agent?: Agent;
  /** Called with everything received so far, at each read. */
  readonly onRead?: (body: string, abort: () => void) => void;
}

/** It reads error events, like the SDK whose name it bears: to others a connection breaks behind them. */
const USER_AGENT = "OpenAI/JS 7.55.0";

export function send(url: string, { method = "GET", headers = {}, body, agent, onRead }: Sent = {}): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method, headers: { "user-agent": USER_AGENT, ...headers }, agent: agent ?? false },
      (response) => {
        const chunks: Buffer[] = [];
        const seen = (end: Seen["end"]): void =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString("utf8"),
            end,
          });
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          onRead?.(Buffer.concat(chunks).toString("utf8"), () => outgoing.destroy());
        });
        response.on("end", () => seen("clean"));
        response.on("error", () => seen("cut"));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** A chat completion; streamed unless the body says otherwise. */
export function chat(baseUrl: string, body: object = {}, sent: Omit<Sent, "body" | "method"> = {}): Promise<Seen> {
  return send(`${baseUrl}/chat/completions`, {
    method: "POST",
    ...sent,
    headers: { "content-type": "application/json", ...sent.headers },
    body: JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "hi" }], ...body }),
  });
}

export interface ReadStream {
  readonly data: string[];
  readonly text: string;
  readonly done: boolean;
  /** `error.code` of the error event. */
  readonly errorCode: string | undefined;
  readonly finish: string | null;
}

/** What an event stream said. @throws when an event is torn, or something follows the end. */
export function readStream(body: string): ReadStream {
  const data: string[] = [];
  const parser = createParser({ onEvent: (event) => data.push(event.data) });
  parser.feed(body);
  if (body !== "" && !body.endsWith("\n\n"))
    throw new Error(`the body ends in the middle of an event: ${JSON.stringify(body.slice(-80))}`);
  let text = "";
  let done = false;
  let errorCode: string | undefined;
  let finish: string | null = null;
  for (const item of data) {
    if (done || errorCode !== undefined) throw new Error(`an event follows the end: ${item}`);
    if (item === "[DONE]") {
      done = true;
      continue;
    }
    const json = JSON.parse(item);
    if (json.error) errorCode = json.error.code;
    text += json.choices?.[0]?.delta?.content ?? "";
    finish = json.choices?.[0]?.finish_reason ?? finish;
  }
  return { data, text, done, errorCode, finish };
}

/** A streamed request to any path, as a client of that path would make it. */
export function ask(
  { url }: { readonly url: string },
  path: string,
  fields: object = {},
  sent: Omit<Sent, "body" | "method"> = {},
): Promise<Seen> {
  return send(url + path, {
    method: "POST",
    ...sent,
    headers: { "content-type": "application/json", ...sent.headers },
    body: JSON.stringify({ model: "m", stream: true, messages: [], ...fields }),
  });
}

/** Kept, since `fetch` cancels an answer that is collected as garbage: a client that would leave by chance. */
const unread = new Set<Response>();

/** Asks as `ask` does, through a client that reads only what it is told to read. */
export async function askSlowly({ url }: { readonly url: string }, path: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [] }),
    signal: signal ?? null,
  });
  unread.add(response);
  return response;
}

/** Asks, and leaves as soon as `text` has come. @returns whether it came while the upstream was still sending. */
export async function hears(perennial: { readonly url: string }, path: string, text: string): Promise<boolean> {
  const patience = AbortSignal.timeout(25_000);
  let seen = "";
  try {
    const { body } = await askSlowly(perennial, path, patience);
    for await (const read of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      seen += read;
      if (seen.includes(text)) return true;
    }
  } catch (error) {
    if (!patience.aborted) throw error;
  }
  return false;
}

/** `error.code` of an error that is a whole reply. */
export const codeOf = ({ body }: Pick<Seen, "body">): string => JSON.parse(body).error.code;

/** `error.code` wherever it is, in a reply or in a stream of any dialect. */
export const codeIn = ({ body }: Pick<Seen, "body">): string | undefined => /"code":"(\w+)"/.exec(body)?.[1];
