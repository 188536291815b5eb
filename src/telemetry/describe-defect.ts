/** A defect of ours as it may be logged. */

/**
 * Name and stack frames, without the message: JSON.parse and others quote their input in it, which is the user's text.
 */
export function describeDefect(defect: unknown): { name: string; stack: string } {
  if (!(defect instanceof Error)) return { name: typeof defect, stack: `${typeof defect} was thrown` };
  const stack = defect.message === "" ? (defect.stack ?? "") : (defect.stack ?? "").replaceAll(defect.message, "");
  const frames = stack.split("\n").filter((line) => /^\s+at .*(:\d+:\d+\)?|\(<anonymous>\)|\(native\))$/.test(line));
  return { name: defect.name, stack: [defect.name, ...frames].join("\n") };
}
