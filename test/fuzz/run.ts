/**
 * Broken streams of every dialect, end to end through Perennial, judged by a strict reader of its own. Exits with 1 on a disagreement.
 *   node test/fuzz/run.ts [--seconds 600] [--seed N] [--dialect NAME] [--case N | --replay TEXT]
 */
import { parseArgs } from "node:util";
import { type Arena, openArena } from "./arena.ts";
import { type Case, DIALECTS, unpackCase } from "./case.ts";
import { describe, type Finding, Findings } from "./findings.ts";
import { makeCase } from "./make-case.ts";
import { minimise } from "./minimise.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    dialect: { type: "string" },
    case: { type: "string" },
    replay: { type: "string" },
  },
});
const seed = Number(values.seed);
const seconds = Number(values.seconds);
if (!Number.isSafeInteger(seed) || !(seconds > 0)) throw new Error("--seed and --seconds are numbers");
const only = DIALECTS.find((name) => name === values.dialect);
if (values.dialect !== undefined && only === undefined) throw new Error(`--dialect is one of ${DIALECTS.join(", ")}`);
/** Some wait: after an error event the connection may be cut only when it was surely read. */
const CONCURRENCY = 64;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const arena = await openArena();
try {
  const single = values.replay !== undefined ? unpackCase(values.replay) : undefined;
  if (single !== undefined) await replay(single, 0);
  else if (values.case !== undefined) await replay(makeCase(seed, Number(values.case), only), Number(values.case));
  else await fuzz();
} finally {
  await arena.close();
}

async function fuzz(): Promise<void> {
  const findings = new Findings();
  const until = performance.now() + seconds * 1_000;
  let number = 0;
  const told = { whole: 0, interrupted: 0, refused: 0 };
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (performance.now() < until) {
        const mine = number++;
        const played = makeCase(seed, mine, only);
        const { disagreement, told: heard } = await arena.play(played);
        if ((heard.status ?? 500) >= 400) told.refused++;
        else if (heard.body.includes('"error"')) told.interrupted++;
        else told.whole++;
        if (disagreement !== undefined) findings.add(mine, played, disagreement);
      }
    }),
  );
  say(`${number} cases of seed ${seed}: ${told.whole} whole, ${told.interrupted} interrupted, ${told.refused} refused`);
  const found = [...findings.byKind.values()].sort((a, b) => b.count - a.count);
  for (const finding of found) say(`\n${await shrink(arena, finding)}`);
  say(`\n${found.length === 0 ? "no disagreement" : `${found.length} kinds of disagreement`}`);
  // A run that never broke a stream, or never let one through, has judged nothing.
  const judged = told.whole > 0 && told.interrupted > 0 && told.refused > 0;
  if (!judged) say("too few cases to say anything");
  process.exitCode = found.length === 0 && judged ? 0 : 1;
}

async function shrink(arena: Arena, finding: Finding): Promise<string> {
  const shows = async (smaller: Case): Promise<boolean> =>
    (await arena.play(smaller)).disagreement?.kind === finding.disagreement.kind;
  const smallest = await minimise(finding.played, shows);
  return describe(finding, smallest, await arena.play(smallest), seed);
}

async function replay(played: Case, number: number): Promise<void> {
  const judged = await arena.play(played);
  const disagreement = judged.disagreement ?? { kind: "no disagreement", detail: "" };
  say(describe({ played, number, disagreement, count: 1 }, played, judged, seed));
  process.exitCode = judged.disagreement === undefined ? 0 : 1;
}
