/** What is said of an answer that is kept without giving it: how far it has come, and that it is not wanted any more. */
import type { IncomingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Failure } from "../core/failure.ts";
import { type ComeBackContext, findKept } from "../relay/come-back.ts";

/** Whoever reads events says so, or takes anything. */
export function wantsState({ accept = "" }: IncomingHttpHeaders): boolean {
  return /\bapplication\/json\b/i.test(accept) && !/\btext\/event-stream\b/i.test(accept);
}

/** @throws Failure `stream_gone`; `not_found` for another client's, and for a method that it does not know. */
export async function answerOfStream(
  { method, headers }: FastifyRequest,
  reply: FastifyReply,
  { stream: id, key, context }: { stream: string; key: string; context: ComeBackContext },
): Promise<void> {
  reply.header("cache-control", "no-store");
  const stream = await findKept(id, key, headers, context);
  if (method === "DELETE") {
    await stream.stop();
    reply.code(204).send();
    return;
  }
  if (method !== "GET") throw new Failure("not_found", `There is nothing for ${method} here.`);
  const { state, characters, events, last, text, failure } = await stream.tell();
  reply.send({
    id,
    object: "stream",
    state,
    characters,
    events,
    last_event_id: events === 0 ? null : `${id}:${last}`,
    text: text ?? null,
    error: failure === undefined ? null : { code: failure.code, message: failure.message },
  });
}
