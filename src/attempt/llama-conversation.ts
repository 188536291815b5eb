/** llama.cpp keeps what it generates under a name that it is given, and hands it out again from any place in it. */
import { randomUUID } from "node:crypto";
import type { DialectAttempt } from "./attempt-context.ts";
import { discardingIn } from "./discard-kept.ts";
import { keptBy } from "./kept-by.ts";

/** The name is all that protects it, so that nobody may guess it. @returns headers for the request; none where nothing is kept. */
export function keepConversation(context: DialectAttempt): Readonly<Record<string, string>> {
  const { plan, output, session } = context;
  if (plan.candidate.policy.continuation !== "llamacpp" || output.given === undefined) return {};
  const id = randomUUID();
  session.keep(keptBy({ kind: "conversation", id }, discardingIn(context)));
  return { "x-conversation-id": id };
}
