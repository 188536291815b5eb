/** The text of `perennial chaos --list`: every fault with its argument, its default and what it does. */
import { formatDefault } from "./fault-arg.ts";
import { CONTINUATIONS, FAULT_GROUPS } from "./registry.ts";

export function listFaults(): string {
  const shown = [...FAULT_GROUPS, CONTINUATIONS];
  const all = shown.flatMap(({ faults }) => faults);
  const nameWidth = Math.max(...all.map((fault) => fault.name.length));
  const argTexts = new Map(all.map((fault) => [fault, fault.arg ? `:${fault.arg.unit} = ${formatDefault(fault.arg)}` : ""]));
  const argWidth = Math.max(...[...argTexts.values()].map((text) => text.length));
  const groups = shown.map(({ title, faults }) => {
    const lines = faults.map(
      (fault) => `  ${fault.name.padEnd(nameWidth)}  ${(argTexts.get(fault) ?? "").padEnd(argWidth)}  ${fault.summary}`,
    );
    return [title, ...lines].join("\n");
  });
  return groups.join("\n\n");
}
