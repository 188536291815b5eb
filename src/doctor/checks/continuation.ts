/** Whether answers that break can be continued: what `recovery: continue` would do here. */
import type { Facts } from "../facts.ts";
import { type Finding, note, ok } from "../finding.ts";

export function checkContinuation({ continuation, upstream }: Facts): Finding[] {
  if (continuation === undefined) return [];
  const { style, goesOn } = continuation;
  const isWanted = upstream.recovery === "continue";
  if (goesOn === undefined)
    return [note("continuation", `whether it goes on with an answer (${style}) could not be asked`, "ask again later")];
  if (goesOn) {
    const use = isWanted ? "recovery: continue holds" : "recovery: continue would mend breaks in mid-answer";
    return [ok("continuation", `it goes on with an answer that it is given the beginning of (${style}): ${use}`)];
  }
  const says = `it does not go on with an answer that it is given the beginning of (${style})`;
  if (!isWanted) return [ok("continuation", `${says}: recovery stays at error`)];
  return [note("continuation", says, "recovery: continue cannot mend its breaks, and tells them as errors")];
}
