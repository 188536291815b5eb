/** What `perennial chaos --list` says: every fault with its argument, its default and what it does; as text, or as data. */
import { formatDefault } from "./fault-arg.ts";
import { CONTINUATIONS, FAULT_GROUPS } from "./registry.ts";

/** One fault, for programs. */
export interface FaultDescription {
  /** As it is written in `x-chaos` and after `chaos/`. */
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  /** What may follow the name and a colon; undefined where nothing may. */
  readonly argument?: { readonly unit: string; readonly default: string };
  /** The APIs in which it makes sense; in others it is `ok`. Undefined: in all. */
  readonly dialects?: readonly string[];
  /** May be drawn where faults are drawn at random. */
  readonly random: boolean;
}

export function describeFaults(): FaultDescription[] {
  return [...FAULT_GROUPS, CONTINUATIONS].flatMap(({ title, faults }) =>
    faults.map(({ name, summary, arg, dialects, random }) => ({
      name,
      group: (title.split(":", 1)[0] ?? title).toLowerCase(),
      summary,
      ...(arg === undefined ? {} : { argument: { unit: arg.unit, default: formatDefault(arg) } }),
      ...(dialects === undefined ? {} : { dialects }),
      random: random === true,
    })),
  );
}

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
