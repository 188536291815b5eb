/** The failing upstream, in a process of its own so that it takes no time from the clients: started by the soak, asked over IPC. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type ChaosRequest, createChaosServer } from "../../src/chaos/chaos-server.ts";
import { readHoldings } from "./holdings.ts";
import { answerParent } from "./messages.ts";

export type ChaosQuestion =
  | { readonly ask: "url" }
  /** How many requests have come, and which faults they got. */
  | { readonly ask: "faults" }
  /** Open connections. */
  | { readonly ask: "connections" }
  /** Waits until the request of this model has come: @returns whether it has. */
  | { readonly ask: "arrived"; readonly model: string }
  /** Waits until the server has seen that the client of this model left: @returns whether it has. */
  | { readonly ask: "left"; readonly model: string };

/** Requests that are remembered: more than can come while one is waited for. */
const KEPT = 20_000;
const COUNT_EVERY_MS = 200;
const WAIT_MS = 5_000;

const { values } = parseArgs({ options: { rate: { type: "string" }, seed: { type: "string" } } });
const chaos = createChaosServer({
  rate: Number(values.rate),
  seed: Number(values.seed),
  tokenDelayMs: 0,
  // Longer than Perennial waits for anything: a stall is ended by whoever asked.
  stallMs: 60_000,
  keepRequests: KEPT,
});
const { url } = await chaos.listen(0, "127.0.0.1");

const faults: Record<string, number> = {};
let counted: ChaosRequest | undefined;

function countFaults(): Record<string, number> {
  const { requests } = chaos;
  const latest = requests.at(-1);
  for (let i = requests.length - 1; i >= 0 && requests[i] !== counted; i--) {
    const name = requests[i]?.fault?.split(":", 1)[0] ?? "none";
    faults[name] = (faults[name] ?? 0) + 1;
  }
  counted = latest;
  return faults;
}
setInterval(countFaults, COUNT_EVERY_MS);

async function waitFor(model: string, isTrue: (request: ChaosRequest) => boolean): Promise<boolean> {
  for (let waited = 0; waited < WAIT_MS; waited += 20) {
    const request = chaos.requests.findLast(({ body }) => (body as { model?: string } | undefined)?.model === model);
    if (request !== undefined && isTrue(request)) return true;
    await sleep(20);
  }
  return false;
}

answerParent(async (question: ChaosQuestion): Promise<unknown> => {
  switch (question.ask) {
    case "url":
      return url;
    case "faults":
      return countFaults();
    case "connections":
      return (await readHoldings()).sockets;
    case "arrived":
      return waitFor(question.model, () => true);
    case "left":
      return waitFor(question.model, (request) => request.abortedByClient);
  }
});
process.on("disconnect", () => process.exit());
