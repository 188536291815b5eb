/** Asks for one chat completion by bare HTTP, without an SDK, and tells all that came and how it ended. */
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
  /** The client gives up when nothing has been said for this long; comments and blank lines say nothing. */
  readonly patienceMs: number;
}

/** @param baseUrl with `/v1` */
export function ask(baseUrl: string, body: object, { key, patienceMs }: AskOptions): Promise<Seen> {
  const text = JSON.stringify(body);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    authorization: `Bearer ${key}`,
  };
  const url = `${baseUrl.replace(/\/+$/, "")}/chat/completions`;
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

function saysSomething(part: Buffer): boolean {
  return part.length > 1024 || /\S/.test(part.toString("latin1").replace(/^:.*$/gm, ""));
}
