/** This machine: Node's version, and how many files may be open. */
import type { Facts } from "../facts.ts";
import { type Finding, fault, note, ok } from "../finding.ts";

export function checkMachine({ machine }: Facts): Finding[] {
  const { nodeVersion, nodeProblem, descriptors, descriptorProblem } = machine;
  const node = nodeProblem === undefined ? ok("node", `Node.js ${nodeVersion}`) : fault("node", nodeProblem);
  if (descriptorProblem !== undefined) {
    return [node, note("descriptors", descriptorProblem, "raise the limit (ulimit -n), or lower the two settings")];
  }
  return [node, ok("descriptors", descriptors === undefined ? "files: no limit is known" : `${descriptors} files may be open`)];
}
