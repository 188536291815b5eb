/** llama.cpp keeps what it generates under a name that it is given, and hands it out again from any place in it. */
import { randomUUID } from "node:crypto";
import type { DialectAttempt } from "./attempt-context.ts";
import { discardKept } from "./discard-kept.ts";

/** The name is all that protects it, so that nobody may guess it. @returns headers for the request; none where nothing is kept. */
export function keepConversation(context: DialectAttempt): Readonly<Record<string, string>> {
  const { plan, output, session } = context;
  if (plan.candidate.policy.continuation !== "llamacpp" || output.given === undefined) return {};
  const id = randomUUID();
  session.keep({
    from: "beginning",
    // What the client has is known by its events, not by bytes.
    pathAfter: () => `/stream?conv_id=${id}&from=0`,
    discard: () => void discardKept(context, "DELETE", `/stream?conv_id=${id}`),
  });
  return { "x-conversation-id": id };
}
