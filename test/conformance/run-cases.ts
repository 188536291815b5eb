/** Runs cases against a target, a bounded number at a time, and asks between them whether it serves anybody at all. */
import { type AskOptions, ask, type Seen } from "./ask.ts";
import { type Case, modelOf } from "./cases.ts";
import { DIALECT_USES, type Dialect } from "./dialects.ts";
import { type CaseVerdict, type Judgement, judge, MISLED } from "./judge.ts";
import { rehearseOk } from "./rehearsal.ts";
import type { Target } from "./targets.ts";

export interface Result extends Omit<Judgement, "verdict"> {
  readonly verdict: CaseVerdict;
  readonly target: string;
  readonly case: Case;
  readonly seen: Seen;
}

/** How a gateway is asked. */
export interface AskStyle extends AskOptions {
  /** What the gateway wants before a model's name, such as `openai/`. @defaultValue nothing */
  readonly modelPrefix?: string;
  /** In place of the dialect's own path. */
  readonly path?: string;
}

export interface RunCasesOptions extends AskStyle {
  readonly concurrency: number;
  /** Those that hang are asked again, a few at a time: a gateway that is slow, on a busy machine, hangs nobody. @defaultValue false */
  readonly asksHungAgain?: boolean;
  onResult?(result: Result): void;
}

/** After so many cases a healthy request must be answered, or the errors among them are no answers to what was asked. */
const BATCH = 5;
/** A gateway that keeps an upstream out for a moment after failures may do so; one that does for longer than this serves nobody. */
const CONTROL_TRIES = 3;
const CONTROL_WAIT_MS = 1_000;

/** Makes each request of this run a conversation of its own, also for a chaos server that has seen an earlier run. */
const RUN = Date.now().toString(36);
let controls = 0;
const AGAIN_CONCURRENCY = 4;

export async function runCases(target: Target, cases: readonly Case[], options: RunCasesOptions): Promise<Result[]> {
  const results = new Map<Case, Result>();
  // What waits for somebody's patience goes first, so that the end of the run is not all waiting.
  const queue = cases.toSorted((a, b) => Number(b.isSlow) - Number(a.isSlow));
  // Each start wants a core for itself.
  const concurrency = target.fresh === undefined ? options.concurrency : Math.min(options.concurrency, AGAIN_CONCURRENCY);
  async function work(): Promise<void> {
    for (let batch = queue.splice(0, BATCH); batch.length > 0; batch = queue.splice(0, BATCH)) {
      const asked: Result[] = [];
      for (const one of batch) asked.push(await runCase(target, one, options));
      // One that streams may do so and refuse to answer at once, or the other way round.
      const serving = new Map<string, boolean>();
      for (const result of asked) {
        const isError = result.verdict !== "whole" && !MISLED.has(result.verdict);
        const way = `${result.case.dialect} ${result.case.streamed}`;
        if (isError && !serving.has(way)) serving.set(way, await serves(target, result.case, options));
        const final: Result = isError && !serving.get(way) ? { ...result, verdict: "no service" } : result;
        results.set(final.case, final);
        options.onResult?.(final);
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
  if (options.asksHungAgain) {
    const hung = [...results.values()].filter(({ verdict }) => verdict === "hang").map((result) => result.case);
    const askAgain = async (): Promise<void> => {
      for (let one = hung.pop(); one !== undefined; one = hung.pop()) {
        const { case: _, ...again } = await runCase(target, { ...one, id: `${one.id} again` }, options);
        results.set(one, { ...again, case: one });
      }
    };
    await Promise.all(Array.from({ length: AGAIN_CONCURRENCY }, askAgain));
  }
  // In the order of the cases, whichever ended first.
  return cases.flatMap((one) => results.get(one) ?? []);
}

/** The APIs of these cases that the target has at all. The first is taken for one, whatever it answers: a score needs something to go by. */
export async function servedDialects(target: Target, cases: readonly Case[], options: AskStyle): Promise<ReadonlySet<Dialect>> {
  const served = new Set<Dialect>();
  for (const one of new Map(cases.map((one) => [one.dialect, one])).values()) {
    const isServed = served.size === 0 || (await serves(target, { ...one, streamed: true }, options));
    if (isServed) served.add(one.dialect);
  }
  return served;
}

/** A healthy request gets its whole answer, the way this case was asked. */
export async function serves(
  target: Target,
  { dialect, framing, streamed, setup }: Pick<Case, "dialect" | "framing" | "streamed" | "setup">,
  options: AskStyle,
): Promise<boolean> {
  const rights = [rehearseOk({ dialect, streamed, model: modelOf("ok") })];
  for (let tries = 0; tries < CONTROL_TRIES; tries++) {
    if (tries > 0) await new Promise((resolve) => setTimeout(resolve, CONTROL_WAIT_MS));
    const one: Asked = {
      ...{ dialect, framing, streamed, spec: "ok", id: `control ${controls++}` },
      ...(setup === undefined ? {} : { setup }),
    };
    const seen = await askTarget(target, one, options);
    if (judge(seen, { dialect, streamed, rights }).verdict === "whole") return true;
  }
  return false;
}

async function runCase(target: Target, one: Case, options: AskStyle): Promise<Result> {
  const fresh = await target.fresh?.();
  try {
    // It may take a moment to find its upstreams.
    if (fresh !== undefined) await serves(fresh, one, options);
    const seen = await askTarget(fresh ?? target, one, options);
    return { target: target.name, case: one, seen, ...judge(seen, one) };
  } finally {
    await fresh?.stop();
  }
}

function askTarget(target: Target, one: Asked, options: AskStyle): Promise<Seen> {
  const headers = { ...target.headers?.get(one.setup ?? one.framing), ...options.headers };
  return ask(urlOf(target, one, options), bodyOf(target.name, one, options), { ...options, headers });
}

type Asked = Pick<Case, "dialect" | "framing" | "streamed" | "spec" | "id" | "setup">;

/** Whether the target has the upstreams that the case needs: it is not judged by what it was not set up for. */
export function isSetUp(target: Target, { framing, setup }: Case): boolean {
  return target.urls.has(setup ?? framing);
}

export function urlOf(target: Target, { dialect, framing, setup }: Asked, { path }: AskStyle): string {
  const url = target.urls.get(setup ?? framing);
  if (url === undefined) throw new Error(`${target.name} has no upstream for ${setup ?? framing}`);
  return url.replace(/\/+$/, "") + (path ?? DIALECT_USES[dialect].path);
}

/** Without chance, and with no limit in the way: the rest of an answer can then be proved to belong to it. */
const CONTINUABLE = { temperature: 0, max_tokens: 4_000 };

export function bodyOf(target: string, { dialect, spec, streamed, id, setup }: Asked, { modelPrefix = "" }: AskStyle): object {
  const question = DIALECT_USES[dialect].question(`${RUN} ${target} ${id}`);
  const more = setup === "continuing" ? CONTINUABLE : {};
  return { model: modelPrefix + modelOf(spec), stream: streamed, ...question, ...more };
}
