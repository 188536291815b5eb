/** Asks one question by bare HTTP, without an SDK, and tells all that came and how it ended. */
import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface Seen {
  /** Undefined when no response began. */
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** `clean`: the body came to the end its framing promised. `cut`: the connection broke. `open`: nothing more came, and no end. */
  readonly end: "clean" | "cut" | "open";
}

export interface AskOptions {
  readonly key: string;
  /** Beside the usual ones, over which they win. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The client gives up when nothing has been said for this long; comments and blank lines say nothing. */
  readonly patienceMs: number;
}

export function ask(url: string, body: object, { key, patienceMs, headers: more }: AskOptions): Promise<Seen> {
  const text = JSON.stringify(body);
  const headers = { ...headersOf(key, more), "content-length": Buffer.byteLength(text) };
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let response: IncomingMessage | undefined;
    // A connection of its own: what one case breaks, no other notices.
    const request = (url.startsWith("https:") ? requestHttps : requestHttp)(url, { method: "POST", headers, agent: false });
    const patience = setTimeout(() => over("open"), patienceMs);
    function over(end: Seen["end"]): void {
      clearTimeout(patience);
      resolve({ status: response?.statusCode, headers: response?.headers ?? {}, body: Buffer.concat(parts), end });
      request.destroy();
    }
    request.on("error", () => over("cut"));
    request.on("response", (incoming) => {
      response = incoming;
      patience.refresh();
      incoming.on("data", (part: Buffer) => {
        parts.push(part);
        if (saysSomething(part)) patience.refresh();
      });
      incoming.on("end", () => over("clean"));
      incoming.on("error", () => over("cut"));
    });
    request.end(text);
  });
}

/** As the APIs' own clients send them: OpenAI's and Anthropic's. */
export function headersOf(key: string, more: AskOptions["headers"]): Record<string, string> {
  return {
    "content-type": "application/json",
    authorization: `Bearer ${key}`,
    "x-api-key": key,
    "anthropic-version": "2023-06-01",
    ...more,
  };
}

function saysSomething(part: Buffer): boolean {
  return part.length > 1024 || /\S/.test(part.toString("latin1").replace(/^:.*$/gm, ""));
}
