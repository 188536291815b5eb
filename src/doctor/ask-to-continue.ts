/** Whether the server goes on with an answer of which it is given the beginning, as `recovery: continue` would ask it to. */
import { proveServer } from "../balance/prove-server.ts";
import type { ProbeOptions } from "../call/probe.ts";
import { continuationOf } from "../config/profiles.ts";
import type { UpstreamConfig } from "../config/schema.ts";
import type { ContinuationFacts, Facts } from "./facts.ts";
import { identify } from "./identify.ts";

/** @param asked a question that was answered whole. Five more are asked, of eight tokens each at most. */
export async function askToContinue(
  { upstream, dialect, path, request, timeoutMs, maxBytes }: ProbeOptions,
  facts: Facts,
  { continuation, profile }: UpstreamConfig,
): Promise<ContinuationFacts | undefined> {
  const style = continuation === "auto" ? continuationOf(identify(facts) ?? profile) : continuation;
  const { continuing } = dialect;
  if (style === "off" || style === "rerun" || continuing === undefined) return undefined;
  const headers = { "content-type": "application/json", accept: "text/event-stream", ...dialect.question.headers };
  const body = { ...dialect.question.fields, ...request, stream: true };
  try {
    const { goesOn } = await proveServer({ upstream, dialect, continuing, style, path, headers, body, timeoutMs, maxBytes });
    return { style, goesOn };
  } catch {
    return { style, goesOn: undefined };
  }
}
