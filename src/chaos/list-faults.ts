/** The text of `perennial chaos --list`: every fault with its argument, its default and what it does. */
import { formatDefault } from "./fault-arg.ts";
import { FAULT_GROUPS, FAULTS } from "./registry.ts";

export function listFaults(): string {
  const nameWidth = Math.max(...FAULTS.map((fault) => fault.name.length));
  const argTexts = new Map(FAULTS.map((fault) => [fault, fault.arg ? `:${fault.arg.unit} = ${formatDefault(fault.arg)}` : ""]));
  const argWidth = Math.max(...[...argTexts.values()].map((text) => text.length));
  const groups = FAULT_GROUPS.map(({ title, faults }) => {
    const lines = faults.map(
      (fault) => `  ${fault.name.padEnd(nameWidth)}  ${(argTexts.get(fault) ?? "").padEnd(argWidth)}  ${fault.summary}`,
    );
    return [title, ...lines].join("\n");
  });
  return groups.join("\n\n");
}
