/** One request of a client, and all that it was told. */
import { Agent, request } from "node:http";
import type { Case, DialectName } from "./case.ts";

export interface Told {
  readonly status: number | undefined;
  readonly body: Buffer;
  /** `open`: nothing more came, and no end either. */
  readonly end: "clean" | "cut" | "open";
}

/** Longer than any case takes, on a busy machine too. */
const PATIENCE_MS = 30_000;

const PATHS: Readonly<Record<DialectName, string>> = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  messages: "/v1/messages",
  responses: "/v1/responses",
  chatchat: "/chat/chat",
  "chatchat-completions": "/chat/chat/completions",
};

function questionOf({ dialect, choices }: Case): object {
  switch (dialect) {
    case "chat":
    case "chatchat-completions":
      return { model: "m", stream: true, messages: [], ...(choices > 1 ? { n: choices } : {}) };
    case "completions":
      return { model: "m", stream: true, prompt: "p", ...(choices > 1 ? { n: choices } : {}) };
    case "messages":
      return { model: "m", stream: true, max_tokens: 9, messages: [] };
    case "responses":
      return { model: "m", stream: true, input: "p" };
    case "chatchat":
      return { query: "q", stream: true };
  }
}

const agent = new Agent({ keepAlive: true });

/** @param url Perennial's, without a path. */
export function play(url: string, number: number, played: Case): Promise<Told> {
  const parts: Buffer[] = [];
  let status: number | undefined;
  return new Promise((resolve) => {
    const outgoing = request(`${url}${PATHS[played.dialect]}?case=${number}`, {
      method: "POST",
      agent,
      headers: {
        "content-type": "application/json",
        // A reset may count as an outage, which is waited for in time: hours, for all these cases.
        ...(played.end === "reset" ? { "x-perennial-max-attempts": "1" } : {}),
      },
    });
    const patience = setTimeout(() => over("open"), PATIENCE_MS);
    function over(end: Told["end"]): void {
      clearTimeout(patience);
      resolve({ status, body: Buffer.concat(parts), end });
      if (end !== "clean") outgoing.destroy();
    }
    outgoing.on("error", () => over("cut"));
    outgoing.on("response", (incoming) => {
      status = incoming.statusCode;
      incoming.on("data", (part: Buffer) => parts.push(part));
      incoming.on("end", () => over("clean"));
      incoming.on("error", () => over("cut"));
    });
    outgoing.end(JSON.stringify(questionOf(played)));
  });
}

export function closeClients(): void {
  agent.destroy();
}
