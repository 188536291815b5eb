/** A client with an honest request, beside all the others: was it told the whole answer, or an error, or neither? */
import { type Agent, request } from "node:http";
import { WORDS } from "./behaviours.ts";

export type HealthyEnd = "whole" | "overloaded" | "an error" | "broken";

export interface HealthyVisit {
  readonly end: HealthyEnd;
  /** In words, for what is not whole. */
  readonly detail: string;
  readonly firstByteMs: number;
  readonly seconds: number;
}

/** An answer takes half a second; this is longer than any bound of Perennial's in this soak. */
const PATIENCE_MS = 30_000;
const ANSWER = WORDS.join("");

export function visitHealthy(url: string, agent: Agent): Promise<HealthyVisit> {
  const body = JSON.stringify({ model: "healthy", stream: true, messages: [] });
  const began = performance.now();
  return new Promise((resolve) => {
    let text = "";
    let status: number | undefined;
    let firstByteMs = Number.NaN;
    const outgoing = request(`${url}/v1/chat/completions`, {
      method: "POST",
      agent,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    });
    const patience = setTimeout(() => over(`open after ${PATIENCE_MS / 1_000} s`), PATIENCE_MS);
    function over(how: string): void {
      clearTimeout(patience);
      const end = endOf(status, text, how);
      const detail = `${status ?? "no response"}, ${how}: ${JSON.stringify(text.slice(-300))}`;
      resolve({ end, detail, firstByteMs, seconds: (performance.now() - began) / 1_000 });
      if (how !== "ended") outgoing.destroy();
    }
    outgoing.on("error", (error) => over(error.message));
    outgoing.on("response", (incoming) => {
      status = incoming.statusCode;
      incoming.setEncoding("utf8").on("data", (part: string) => {
        if (text === "") firstByteMs = performance.now() - began;
        text += part;
      });
      incoming.on("end", () => over("ended"));
      incoming.on("error", (error) => over(error.message));
    });
    outgoing.end(body);
  });
}

function endOf(status: number | undefined, text: string, how: string): HealthyEnd {
  if (how !== "ended") return "broken";
  if (status === 503 && text.includes('"overloaded"')) return "overloaded";
  if (text.includes('"error"')) return "an error";
  const said = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, word]) => word).join("");
  return status === 200 && said === ANSWER && text.endsWith("data: [DONE]\n\n") ? "whole" : "broken";
}
