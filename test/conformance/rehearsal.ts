/** Plays a fault's script without a network, to learn what it would send: its status, its body, how it ends. */
import { isUtf8 } from "node:buffer";
import { TOKENS } from "../../src/chaos/answer.ts";
import type { Ask, Fault } from "../../src/chaos/fault.ts";
import { reasoning } from "../../src/chaos/faults/stream/reasoning.ts";
import { tools } from "../../src/chaos/faults/stream/tools.ts";
import { ok } from "../../src/chaos/faults/transport/ok.ts";
import { bodyOf, type Head } from "../../src/chaos/script.ts";
import { type Answer, isFinished, sizeOf } from "./answer.ts";
import { DIALECT_USES, type Dialect } from "./dialects.ts";
import { decodeBody, type ReadBody, readJsonBody, readStreamBody } from "./read-body.ts";

export interface Rehearsal {
  /** Undefined when the fault sends no response at all. */
  readonly head: Head | undefined;
  /** How the connection ends; `clean` when the body just ends. */
  readonly end: "clean" | "fin" | "reset" | "hang";
  /** The client is given text, reasoning or a tool call. */
  readonly hasContent: boolean;
  /** What it says is a whole answer, to the last byte, whatever happens to the connection then. */
  readonly isWhole: boolean;
  readonly answer: Answer;
}

/** Faults that break another answer than the plain one. */
const BREAKS: Readonly<Record<string, Fault>> = { "tools-cut": tools, "reasoning-cut": reasoning };

/** What says that it is whole, and is not: a part of it is on a line that no client reads, or follows its end. */
const SEEMS_WHOLE: ReadonlySet<string> = new Set(["stray-part", "debris", "goes-on"]);

export interface RehearseOptions {
  readonly arg: number;
  readonly streamed: boolean;
  /** The model that will be asked for: how many bytes its name has matters to the faults that count them. */
  readonly model: string;
  readonly dialect: Dialect;
  /** @defaultValue 1 */
  readonly choices?: number;
  /** Usage is asked for, as some gateways do by themselves: each event then says that it has none. @defaultValue false */
  readonly includeUsage?: boolean;
}

export function rehearse(
  fault: Fault,
  { arg, streamed, model, dialect, choices = 1, includeUsage = false }: RehearseOptions,
): Rehearsal {
  const ask: Ask = {
    id: `chatcmpl-${"0".repeat(24)}`,
    created: 1_700_000_000,
    model,
    choices,
    includeUsage,
    toolName: "get_weather",
    promptTokens: 1,
    dialect: DIALECT_USES[dialect].script,
    answer: () => DIALECT_USES[dialect].script.answer(ask, TOKENS),
    timing: { commentMs: 1, stallMs: 5 },
  };
  const steps = [...(streamed ? fault.stream(ask, arg) : fault.answer(ask, arg))];
  const head = steps.find((step) => step.do === "head");
  const last = steps.at(-1)?.do;
  const bytes = bodyOf(steps);
  const body = read(bytes, head, streamed, dialect);
  return {
    head,
    end: last === "fin" || last === "reset" || last === "hang" ? last : "clean",
    hasContent: sizeOf(body.answer) > 0,
    isWhole:
      !(streamed && SEEMS_WHOLE.has(fault.name)) &&
      head?.status === 200 &&
      body.error === undefined &&
      body.torn === undefined &&
      isFinished(body.answer) &&
      (isUtf8(bytes) || head.headers["content-encoding"] !== undefined),
    answer: body.answer,
  };
}

function read(bytes: Buffer, head: Head | undefined, streamed: boolean, dialect: Dialect): ReadBody {
  const text = decodeBody(bytes, head?.headers["content-encoding"]);
  return streamed ? readStreamBody(text, dialect) : readJsonBody(text, dialect);
}

/** The whole answer of a server that nothing ails. */
export function rehearseOk(options: Omit<RehearseOptions, "arg">): Answer {
  return rehearse(ok, { ...options, arg: 0 }).answer;
}

/** The answers that a client may take for right: what the fault says when that is whole, else what it breaks. */
export function rightAnswers(fault: Fault, options: RehearseOptions): Answer[] {
  const own = rehearse(fault, options);
  // An event of so many bytes has less text where it says more beside it.
  if (own.isWhole) return [own.answer, rehearse(fault, { ...options, includeUsage: true }).answer];
  // `two-choices` says two whatever `n` was.
  const choices = Math.max(own.answer.finish.size, 1);
  const broken = BREAKS[fault.name];
  // Nobody asked for so many: there is no whole answer, and what is said is right as far as it goes.
  if (fault.name === "many-choices") return [own.answer];
  // Not streamed, `reasoning-cut` breaks the plain answer.
  return [...(broken ? [rehearse(broken, options).answer] : []), rehearse(ok, { ...options, choices }).answer];
}
