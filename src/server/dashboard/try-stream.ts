/** "Try it": one stream of the sandbox's as it comes, straight from it or through Perennial, with how it ended told beside it. */
import { randomUUID } from "node:crypto";
import { type IncomingMessage, request as overHttp, type ServerResponse } from "node:http";
import { request as overHttps } from "node:https";

/** What the page hears; `read` are the bytes that a client would have got at that moment. */
export type TryEvent =
  | { readonly head: { readonly status: number; readonly id: string | undefined; readonly attempts: number } }
  | { readonly read: string }
  | { readonly end: "clean" | "cut" };

/** Longer than any of the faults that are offered takes. */
const PATIENCE_MS = 30_000;
/** Faults of the sandbox, and nothing else that could be a model. */
const MODEL = /^chaos\/[a-z0-9:,-]{1,80}$/;

export function isTryable(model: string): boolean {
  return MODEL.test(model);
}

/** @param baseUrl where it is asked, `/v1` included. */
export function tryStream(baseUrl: string, model: string, response: ServerResponse): void {
  const tell = (event: TryEvent): void => {
    if (!response.writableEnded && !response.destroyed) response.write(`data: ${JSON.stringify(event)}\n\n`);
  };
  const end = (how: "clean" | "cut"): void => {
    tell({ end: how });
    response.end();
  };
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-content-type-options": "nosniff",
  });
  // The sandbox counts the attempts at each question: one of its own keeps the two ways apart.
  const question = { role: "user", content: `Why do streams break? (${randomUUID()})` };
  const options = {
    method: "POST",
    headers: { "content-type": "application/json" },
    agent: false as const,
    timeout: PATIENCE_MS,
    // To ourselves, under a name that the certificate need not have.
    rejectUnauthorized: false,
  };
  const send = baseUrl.startsWith("https:") ? overHttps : overHttp;
  const outgoing = send(`${baseUrl}/chat/completions`, options, (answer: IncomingMessage) => {
    const { "x-perennial-id": id, "x-perennial-attempts": attempts } = answer.headers;
    tell({ head: { status: answer.statusCode ?? 0, id: id as string | undefined, attempts: Number(attempts ?? 1) } });
    answer.setEncoding("utf8");
    answer.on("data", (read: string) => tell({ read }));
    answer.on("end", () => end("clean"));
    answer.on("error", () => end("cut"));
  });
  outgoing.on("timeout", () => outgoing.destroy());
  outgoing.on("error", () => end("cut"));
  response.once("close", () => outgoing.destroy()).on("error", () => {});
  outgoing.end(JSON.stringify({ model, stream: true, messages: [question] }));
}
