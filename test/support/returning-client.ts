/** A client that drops its connection after so many events, and comes back. */
import { type IncomingHttpHeaders, request } from "node:http";

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Leaves when it has so many events whole. @defaultValue it stays to the end */
  readonly leaveAfter?: number;
  /** Called with each piece of the body. */
  readonly onData?: (text: string) => void;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The whole body; where the client left, the events that it had whole. */
  readonly body: string;
  readonly end: "clean" | "cut" | "left";
}

export function visit(url: string, { method = "POST", headers = {}, body, leaveAfter = Infinity, onData }: Asked): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    });
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      let text = "";
      const over = (end: Got["end"], got = text): void =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: got, end });
      incoming.setEncoding("utf8");
      incoming.on("data", (part: string) => {
        text += part;
        onData?.(part);
        const events = splitEvents(text);
        if (events.length < leaveAfter) return;
        outgoing.destroy();
        over("left", events.slice(0, leaveAfter).join(""));
      });
      incoming.on("end", () => over("clean"));
      incoming.on("error", () => over("cut"));
      if (leaveAfter === 0) {
        outgoing.destroy();
        over("left", "");
      }
    });
    outgoing.end(body);
  });
}

/** The events that have come whole, comments left out. */
export function splitEvents(text: string): string[] {
  return [...text.replaceAll(/^: .*\n\n?/gm, "").matchAll(/.*?\n\n/gs)].map(([event]) => event);
}

/** The id of the last event; undefined where none has one. */
export function lastId(text: string): string | undefined {
  return text
    .match(/^id: .*$/gm)
    ?.at(-1)
    ?.slice("id: ".length);
}
