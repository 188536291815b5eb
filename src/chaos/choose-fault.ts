/** Which fault a request asks for, by its header or its model's name; else the one that is played for all. */
import { beginningIn, questionIn } from "./beginning.ts";
import { conversationKey } from "./conversations.ts";
import { parseSpec, type SpecStep, stepsAt } from "./fault-spec.ts";
import { ok } from "./faults/transport/ok.ts";
import type { JsonObject } from "./personality.ts";
import { CONTINUATIONS } from "./registry.ts";
import type { ChaosUpstream } from "./upstreams.ts";

export interface FaultChoice {
  /** `x-chaos`. */
  readonly header: string | string[] | undefined;
  readonly model: string;
  /** Without the query. */
  readonly path: string;
  readonly fields: JsonObject;
}

/**
 * @param played for requests that name none.
 * @returns undefined where nothing is to be played
 * @throws SpecError
 */
export function chooseFault(
  { header, model, path, fields }: FaultChoice,
  { name, conversations }: ChaosUpstream,
  played: string | undefined,
): SpecStep | undefined {
  const own = (typeof header === "string" && header) || (model.startsWith("chaos/") ? model.slice("chaos/".length) : "");
  const spec = own || played;
  if (!spec) return undefined;
  const asksForRest = beginningIn(fields) !== undefined;
  const all = stepsAt(name, parseSpec(spec));
  // What is played at another upstream leaves this one as it is.
  if (all.length === 0 && !own) return undefined;
  const continued = all.filter(({ fault }) => CONTINUATIONS.faults.includes(fault));
  // A new question and the request for the rest of its answer are told apart, each with its own faults.
  const steps = asksForRest && continued.length > 0 ? continued : all.filter((step) => !continued.includes(step));
  if (steps.length < 2) return steps[0] ?? { fault: ok, arg: 0 };
  const key = conversationKey(asksForRest ? `${spec} (the rest)` : spec, path, questionIn(fields));
  const attempt = conversations.nextAttempt(key, steps.length);
  return steps[attempt] ?? { fault: ok, arg: 0 };
}
