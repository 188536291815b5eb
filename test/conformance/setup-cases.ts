/** The cases that need more than an upstream that fails: a second one that does not, or one that can go on with an answer. */
import type { Fault } from "../../src/chaos/fault.ts";
import { parseSpec } from "../../src/chaos/fault-spec.ts";
import { CONTINUATIONS, FAULTS } from "../../src/chaos/registry.ts";
import { type Case, type CasesOptions, canRecover, earlySpecOf, modelOf } from "./cases.ts";
import type { Dialect } from "./dialects.ts";
import { type RehearseOptions, rehearse, rehearseOk, rightAnswers } from "./rehearsal.ts";

/** In the middle of the plain answer, which has more than twice as many events. */
const BROKEN = "truncate:12";

/** What says something of this upstream alone, and no second attempt there would change. */
const ONLY_HERE: ReadonlySet<number> = new Set([403, 404]);

/** Which APIs say a beginning that a server can go on with. */
const CONTINUED: ReadonlySet<Dialect> = new Set(["chat", "completions", "messages"]);

/** Chat for failover, which is about who is asked and not about what is said; each API that can be continued for the rest. */
export function listSetupCases({ only, dialects = ["chat"] }: Omit<CasesOptions, "framings"> = {}): Case[] {
  const isWanted = ({ name }: Fault): boolean => only === undefined || only.includes(name);
  const failing = dialects.includes("chat") ? FAULTS.filter(isWanted) : [];
  const goingOn = CONTINUATIONS.faults.filter(isWanted);
  return [
    ...failing.flatMap((fault) => [true, false].flatMap((streamed) => failoverOf(fault, streamed))),
    ...dialects
      .filter((dialect) => CONTINUED.has(dialect))
      .flatMap((dialect) => goingOn.map((fault) => resumedOf(fault, dialect))),
  ];
}

/** None for a fault that is a whole answer. */
function failoverOf(fault: Fault, streamed: boolean): Case[] {
  const early = earlySpecOf(fault, streamed);
  const spec = `${early}@a`;
  const options: RehearseOptions = { arg: parseSpec(early)[0]?.arg ?? 0, streamed, dialect: "chat", model: modelOf(spec) };
  const own = rehearse(fault, options);
  if ((own.isWhole && (streamed || own.end === "clean")) || fault.name === "json") return [];
  const status = own.head?.status ?? 0;
  return [
    {
      id: `${spec} ${streamed ? "streamed" : "plain"} two upstreams`,
      dialect: "chat",
      fault: fault.name,
      spec,
      streamed,
      framing: "default",
      kind: "failover",
      setup: "two upstreams",
      rights: [...rightAnswers(fault, options), rehearseOk(options)],
      must: ONLY_HERE.has(status) || canRecover(fault, own, streamed) ? "whole" : "whole or error",
      isRefusal: status >= 400,
      isSlow: own.end === "hang" || fault.name === "stall-comments",
    },
  ];
}

function resumedOf({ name }: Fault, dialect: Dialect): Case {
  const spec = `${BROKEN}+${name}`;
  return {
    id: `${dialect === "chat" ? "" : `${dialect} `}${spec} streamed continuing`,
    dialect,
    fault: name,
    spec,
    streamed: true,
    framing: "default",
    kind: "resumed",
    setup: "continuing",
    rights: [rehearseOk({ dialect, streamed: true, model: modelOf(spec) })],
    must: name === "continue-right" ? "whole" : "whole or error",
    isRefusal: false,
    isSlow: false,
  };
}
