/**
 * Reads `empty+truncate:3+ok`, or the same with commas: the faults for the successive attempts of one conversation.
 * `503@a` is for the upstream `/a` alone.
 */
import { editDistance } from "../core/edit-distance.ts";
import type { Fault } from "./fault.ts";
import { formatDefault, parseArg } from "./fault-arg.ts";
import { CONTINUATIONS, FAULTS, findFault } from "./registry.ts";

export interface SpecStep {
  readonly fault: Fault;
  readonly arg: number;
  /** The only upstream at which it is played. @defaultValue any */
  readonly at?: string;
}

/** @param upstream undefined for the one without a name. */
export function stepsAt(upstream: string | undefined, steps: readonly SpecStep[]): readonly SpecStep[] {
  return steps.filter(({ at }) => at === undefined || at === upstream);
}

/** The SPEC cannot be read; the message says why and what would do. */
export class SpecError extends Error {
  override readonly name = "SpecError";
}

/**
 * Plus signs are for gateways that take a comma in a model's name for several models (LiteLLM).
 * @throws SpecError
 */
export function parseSpec(spec: string): SpecStep[] {
  return spec.split(/[,+]/).map((part) => parseStep(part.trim()));
}

/** A fault with its default argument. */
export function defaultStep(fault: Fault): SpecStep {
  return { fault, arg: fault.arg?.defaultValue ?? 0 };
}

function parseStep(text: string): SpecStep {
  const [, plain = text, at] = /^(.*)@(.*)$/.exec(text) ?? [];
  if (at === undefined) return parsePlain(plain);
  if (!/^[a-z]$/.test(at)) throw new SpecError(`"${at}" is no upstream: write for example "${plain}@a", for the one at /a/v1.`);
  return { ...parsePlain(plain), at };
}

function parsePlain(text: string): SpecStep {
  const colon = text.indexOf(":");
  const name = colon === -1 ? text : text.slice(0, colon);
  const fault = findFault(name);
  if (!fault) {
    const names = [...FAULTS, ...CONTINUATIONS.faults].map((known) => known.name);
    throw new SpecError(`Unknown fault "${name}". Did you mean "${closest(name, names)}"? Faults: ${names.join(", ")}.`);
  }
  if (colon === -1) return defaultStep(fault);
  if (!fault.arg) throw new SpecError(`The fault "${name}" takes no argument: write just "${name}".`);
  const arg = parseArg(fault.arg, text.slice(colon + 1));
  if (arg === undefined) {
    const example = `${name}:${formatDefault(fault.arg)}`;
    throw new SpecError(
      `"${text.slice(colon + 1)}" is no ${fault.arg.unit} argument for "${name}": write for example "${example}".`,
    );
  }
  return { fault, arg };
}

function closest(name: string, names: readonly string[]): string {
  let best = "";
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const known of names) {
    const distance = editDistance(name.slice(0, 64), known);
    if (distance < bestDistance) [best, bestDistance] = [known, distance];
  }
  return best;
}
