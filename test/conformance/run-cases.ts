/** Runs cases against a target, a bounded number at a time. */
import { type AskOptions, ask, type Seen } from "./ask.ts";
import { type Case, modelOf } from "./cases.ts";
import { type Judgement, judge } from "./judge.ts";
import type { Target } from "./targets.ts";

export interface Result extends Judgement {
  readonly target: string;
  readonly case: Case;
  readonly seen: Seen;
}

export interface RunCasesOptions extends AskOptions {
  readonly concurrency: number;
  onResult?(result: Result): void;
}

/** Makes each request of this run a conversation of its own, also for a chaos server that has seen an earlier run. */
const RUN = Date.now().toString(36);

export async function runCases(target: Target, cases: readonly Case[], options: RunCasesOptions): Promise<Result[]> {
  const results = new Map<Case, Result>();
  // What waits for somebody's patience goes first, so that the end of the run is not all waiting.
  const queue = cases.toSorted((a, b) => Number(b.isSlow) - Number(a.isSlow));
  let next = 0;
  async function work(): Promise<void> {
    for (let one = queue[next++]; one !== undefined; one = queue[next++]) {
      const result = await runCase(target, one, options);
      results.set(one, result);
      options.onResult?.(result);
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, work));
  // In the order of the cases, whichever ended first.
  return cases.flatMap((one) => results.get(one) ?? []);
}

async function runCase(target: Target, one: Case, options: RunCasesOptions): Promise<Result> {
  const url = target.urls.get(one.framing);
  if (url === undefined) throw new Error(`${target.name} has no upstream with ${one.framing} framing`);
  const body = {
    model: modelOf(one.spec),
    stream: one.streamed,
    messages: [{ role: "user", content: `${RUN} ${target.name} ${one.id}` }],
  };
  const seen = await ask(url, body, options);
  return { target: target.name, case: one, seen, ...judge(seen, one) };
}
