/** Four upstreams on one port, in a process of their own: a and b fail at random, c and d do not until they are told to. */
import { parseArgs } from "node:util";
import { type ChaosRequest, createChaosServer } from "../../../src/chaos/chaos-server.ts";
import { answerParent } from "../messages.ts";

export type UpstreamQuestion =
  /** Where one of them listens. */
  | { readonly ask: "url"; readonly of: string }
  /** Requests for answers that each has got, by its letter. */
  | { readonly ask: "counts" }
  /** From now on requests get this fault; undefined ends it. */
  | { readonly ask: "play"; readonly fault: string | undefined };

const { values } = parseArgs({ options: { a: { type: "string" }, b: { type: "string" }, seed: { type: "string" } } });
const chaos = createChaosServer({
  rate: { a: Number(values.a), b: Number(values.b) },
  seed: Number(values.seed),
  tokenDelayMs: 0,
  // Longer than Perennial waits for anything: a stall is ended by whoever asked.
  stallMs: 60_000,
  keepRequests: 20_000,
});
const { urlOf } = await chaos.listen(0, "127.0.0.1");

const counts: Record<string, number> = {};
let counted: ChaosRequest | undefined;

function count(): Record<string, number> {
  const { requests } = chaos;
  const latest = requests.at(-1);
  for (let i = requests.length - 1; i >= 0 && requests[i] !== counted; i--) {
    const { upstream = "", method } = requests[i] as ChaosRequest;
    if (method === "POST") counts[upstream] = (counts[upstream] ?? 0) + 1;
  }
  counted = latest;
  return { ...counts };
}
// More often than requests are forgotten.
setInterval(count, 200);

answerParent((question: UpstreamQuestion): unknown => {
  if (question.ask === "url") return urlOf(question.of);
  if (question.ask === "counts") return count();
  chaos.play(question.fault);
  return undefined;
});
process.on("disconnect", () => process.exit());
