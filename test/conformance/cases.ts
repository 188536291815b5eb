/** The cases: every fault, streamed and not, in every framing that makes a difference; then each that breaks, followed by `ok`. */
import type { Fault } from "../../src/chaos/fault.ts";
import { parseSpec } from "../../src/chaos/fault-spec.ts";
import { ok } from "../../src/chaos/faults/transport/ok.ts";
import type { Framing } from "../../src/chaos/framing.ts";
import { FAULTS } from "../../src/chaos/registry.ts";
import type { Answer } from "./answer.ts";
import type { Dialect } from "./dialects.ts";
import { type Rehearsal, type RehearseOptions, rehearse, rightAnswers } from "./rehearsal.ts";

/** `default`: as the fault says, chunked for streams and content-length for the rest. */
export type CaseFraming = Framing | "default";

export const FRAMINGS: readonly Framing[] = ["chunked", "chunked-close", "content-length", "close-delimited"];

/** What a case needs that is more than an upstream that fails; see setup-cases.ts. */
export type Setup = "two upstreams" | "continuing";

export interface Case {
  /** Unique, and the same in every run. */
  readonly id: string;
  readonly dialect: Dialect;
  readonly fault: string;
  /** As it goes into the model name, after `chaos/`. */
  readonly spec: string;
  readonly streamed: boolean;
  readonly framing: CaseFraming;
  /**
   * `recovery`: the first attempt meets the fault, the second would be whole. `failover`: the first of two upstreams has the fault, the
   * second is whole. `resumed`: an answer breaks in the middle, and its upstream can be asked for the rest.
   */
  readonly kind: "fault" | "recovery" | "failover" | "resumed";
  /** Absent for one upstream. */
  readonly setup?: Setup;
  readonly rights: readonly Answer[];
  /** What Perennial must reach: the whole answer, or at least an error that is told. */
  readonly must: "whole" | "whole or error";
  /** The upstream itself answers with a status of 400 or more, which a gateway may pass on as it came. */
  readonly isRefusal: boolean;
  /** It takes as long as somebody's patience. */
  readonly isSlow: boolean;
}

/** Where the default would be slow, or large. */
const ARGS: Readonly<Record<string, string>> = {
  slow: "20",
  "429-date": "1",
  "big-event": "64KiB",
  long: "300",
  flood: "256KiB",
  metas: "64KiB",
  "many-choices": "1500",
};

/** Before the first content, since later nobody can recover unseen. */
const EARLY_ARG: Readonly<Record<string, string>> = { events: "0", bytes: "100" };
/** Less than the JSON answer has. */
const ANSWER_CUT_BYTES = "300";

/** A 200 of JSON to a stream request holds the whole answer, only not as a stream. */
const CAN_BE_MADE_WHOLE: ReadonlySet<string> = new Set(["json"]);

/** Says that the same request would fail again: its prompt is too long. */
const IS_FINAL: ReadonlySet<string> = new Set(["error-field"]);

/** Where nothing is streamed, only the total time can tell it from a model that thinks for long. */
const ENDED_BY_TOTAL_TIME: ReadonlySet<string> = new Set(["stall-headers"]);

/** Signs of life: the model is at it, and would work twice if the same upstream were asked again. */
const IS_ALIVE: ReadonlySet<string> = new Set(["stall-comments"]);

export interface CasesOptions {
  /** Only these faults. @defaultValue all */
  readonly only?: readonly string[];
  readonly framings?: readonly CaseFraming[];
  /** @defaultValue chat alone */
  readonly dialects?: readonly Dialect[];
}

/** Chat in every framing, which is about bytes and not about what they say; the other dialects in the first. */
export function listCases({ only, framings = FRAMINGS, dialects = ["chat"] }: CasesOptions = {}): Case[] {
  const faults = FAULTS.filter(({ name }) => only === undefined || only.includes(name));
  return dialects.flatMap((dialect) => {
    const used = dialect === "chat" ? framings : framings.slice(0, 1);
    const spoken = faults.filter((fault) => fault.dialects === undefined || fault.dialects.includes(dialect));
    return spoken.flatMap((fault) => [true, false].flatMap((streamed) => casesOf(fault, { dialect, streamed, framings: used })));
  });
}

interface Way {
  readonly dialect: Dialect;
  readonly streamed: boolean;
  readonly framings: readonly CaseFraming[];
}

function casesOf(fault: Fault, { dialect, streamed, framings }: Way): Case[] {
  const optionsOf = (spec: string): RehearseOptions => {
    return { arg: parseSpec(spec)[0]?.arg ?? 0, streamed, dialect, model: modelOf(spec) };
  };
  const idOf = (spec: string, framing = framings[0]): string => {
    return `${dialect === "chat" ? "" : `${dialect} `}${spec} ${streamed ? "streamed" : "plain"} ${framing}`;
  };
  const spec = specOf(fault, streamed);
  const own = rehearse(fault, optionsOf(spec));
  const rights = rightAnswers(fault, optionsOf(spec));
  // A stream proves that it is whole; a JSON answer also needs the end that was promised.
  const isSound = own.isWhole && (streamed || own.end === "clean");
  const must = isSound || CAN_BE_MADE_WHOLE.has(fault.name) ? "whole" : "whole or error";
  const isSlow = own.end === "hang" || fault.name === "stall-comments";
  const isRefusal = (own.head?.status ?? 0) >= 400;
  const shared = { dialect, fault: fault.name, streamed, isSlow, isRefusal };
  // The bytes of these are the same in every framing.
  const only = own.head === undefined || own.head.forcedFraming !== undefined;
  const cases: Case[] = (only ? framings.slice(0, 1) : framings).map((framing) => ({
    ...shared,
    id: idOf(spec, framing),
    spec,
    framing,
    kind: "fault",
    rights,
    must,
  }));
  if (isSound || must === "whole") return cases;
  const early = earlySpecOf(fault, streamed);
  cases.push({
    ...shared,
    id: idOf(`${early}+ok`),
    spec: `${early}+ok`,
    framing: framings[0] ?? "default",
    kind: "recovery",
    rights: [...rights, rehearse(ok, optionsOf("ok")).answer],
    must: canRecover(fault, rehearse(fault, optionsOf(early)), streamed) ? "whole" : "whole or error",
  });
  return cases;
}

function specOf(fault: Fault, streamed: boolean): string {
  const arg = !streamed && fault.arg?.unit === "bytes" && fault.name.startsWith("cut") ? ANSWER_CUT_BYTES : ARGS[fault.name];
  return arg === undefined ? fault.name : `${fault.name}:${arg}`;
}

/** Broken before the first content, where the fault lets one choose. */
export function earlySpecOf(fault: Fault, streamed: boolean): string {
  const arg = fault.arg && EARLY_ARG[fault.arg.unit];
  return arg === undefined ? specOf(fault, streamed) : `${fault.name}:${arg}`;
}

/** The model name that asks the chaos server for the faults of `spec`. */
export function modelOf(spec: string): string {
  return `chaos/${spec}`;
}

/** The client has seen nothing, and the upstream did not say that trying again is of no use. */
export function canRecover(fault: Fault, own: Rehearsal, streamed: boolean): boolean {
  if (IS_FINAL.has(fault.name)) return false;
  if (IS_ALIVE.has(fault.name)) return false;
  if (streamed ? own.hasContent : ENDED_BY_TOTAL_TIME.has(fault.name)) return false;
  const { status = 200, headers = {} } = own.head ?? {};
  const asked = headers["x-should-retry"];
  if (asked !== undefined) return asked === "true";
  return status === 200 || status === 408 || status === 409 || status === 429 || status >= 500;
}
