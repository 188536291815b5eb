/**
 * Clients that lose their connection at random, again and again, and come back each time in one of three ways: what they have in the
 * end must be one answer, with no event left out and none twice, and its upstream must have been asked once.
 */
import { type Agent, request } from "node:http";
import { ANSWER } from "../../src/chaos/answer.ts";
import { mulberry32 } from "../../src/chaos/random-faults.ts";
import { readEvents } from "../conformance/events.ts";
import { splitEvents } from "../support/returning-client.ts";

export interface DroppersOptions {
  readonly baseUrl: string;
  readonly count: number;
  readonly concurrency: number;
  readonly seed: number;
}

export interface Dropped {
  readonly runs: number;
  readonly drops: number;
  /** Everything that is against the contract, in words. */
  readonly problems: readonly string[];
}

/** Slow enough that most come back to an answer that is still made. */
const WHOLE = "slow:4";
const BROKEN = "truncate:9";
const MOST_DROPS = 4;
const WAYS = ["get", "last-event-id", "idempotency-key"] as const;
const PATIENCE_MS = 30_000;

interface Part {
  readonly status: number;
  readonly stream: string;
  /** Events that came whole. */
  readonly events: readonly string[];
  readonly end: "left" | "over";
}

export async function runDroppers({ baseUrl, count, concurrency, seed }: DroppersOptions, agent: Agent): Promise<Dropped> {
  const random = mulberry32(seed ^ 0x0ddba11);
  const problems: string[] = [];
  let runs = 0;
  let drops = 0;
  const each = async (): Promise<void> => {
    while (runs < count) {
      const number = ++runs;
      const found = await dropAndReturn(baseUrl, agent, random, `dropper-${number}`);
      drops += found.drops;
      if (found.problem !== undefined && problems.length < 20) problems.push(`dropper-${number}: ${found.problem}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, each));
  return { runs: count, drops, problems };
}

async function dropAndReturn(
  baseUrl: string,
  agent: Agent,
  random: () => number,
  model: string,
): Promise<{ drops: number; problem: string | undefined }> {
  const isBroken = random() < 0.2;
  const body = JSON.stringify({ model, stream: true, messages: [{ role: "user", content: `Question of ${model}` }] });
  const post = {
    "content-type": "application/json",
    "x-perennial-replay": "1",
    "x-chaos": isBroken ? BROKEN : WHOLE,
    "idempotency-key": model,
  };
  let have: string[] = [];
  let stream = "";
  for (let drops = 0; ; drops++) {
    const leaveAfter = drops < MOST_DROPS ? 1 + Math.floor(random() * 14) : Number.POSITIVE_INFINITY;
    const way = drops === 0 ? undefined : (WAYS[Math.floor(random() * WAYS.length)] ?? "get");
    const last = { "last-event-id": `${stream}:${have.length}` };
    const part =
      way === "get"
        ? await readPart(`${baseUrl}/streams/${stream}`, { agent, headers: last, leaveAfter })
        : await readPart(`${baseUrl}/chat/completions`, {
            agent,
            headers: way === "last-event-id" ? { ...post, ...last } : post,
            body,
            leaveAfter,
          });
    if (part.status === 204 && way === "get") return { drops, problem: complain(have, stream, { isBroken, model }) };
    if (part.status !== 200) return { drops, problem: `HTTP ${part.status} (${way})` };
    if (stream !== "" && part.stream !== stream) return { drops, problem: `another stream (${way})` };
    stream = part.stream;
    // With the key alone it is told from the beginning.
    have = way === "idempotency-key" ? keepLonger(have, part.events) : [...have, ...part.events];
    if (part.end === "over") return { drops, problem: complain(have, stream, { isBroken, model }) };
  }
}

/** What it has again must be the same; it may have left before it had it all again. */
function keepLonger(have: string[], again: readonly string[]): string[] {
  const isSame = again.every((event, at) => have[at] === undefined || have[at] === event);
  if (!isSame) return ["what came again is not the same"];
  return again.length > have.length ? [...again] : have;
}

function complain(
  have: readonly string[],
  stream: string,
  { isBroken, model }: { isBroken: boolean; model: string },
): string | undefined {
  const wrong = have.findIndex((event, at) => !event.endsWith(`\nid: ${stream}:${at + 1}\n\n`));
  if (wrong !== -1) return `event ${wrong + 1} is ${JSON.stringify(have[wrong]?.slice(0, 200))}`;
  const { data } = readEvents(have.join(""));
  const said = data.slice(0, -1).map((item) => JSON.parse(item));
  const text = said.map((item) => item.choices?.[0]?.delta?.content ?? "").join("");
  if (said.some((item) => item.model !== model)) return "an event of another client's answer";
  const last = data.at(-1) ?? "";
  if (isBroken) return last.includes('"code":"stream_truncated"') && ANSWER.startsWith(text) ? undefined : `ended with ${last}`;
  return last === "[DONE]" && text === ANSWER ? undefined : `ended with ${last}, and said ${JSON.stringify(text)}`;
}

function readPart(
  url: string,
  more: { agent: Agent; headers: Record<string, string>; body?: string; leaveAfter: number },
): Promise<Part> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: more.body === undefined ? "GET" : "POST", agent: more.agent, headers: more.headers });
    const patience = setTimeout(() => outgoing.destroy(new Error(`nothing came for ${PATIENCE_MS} ms`)), PATIENCE_MS);
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      let text = "";
      const over = (end: Part["end"], events = splitEvents(text)): void => {
        clearTimeout(patience);
        const stream = String(incoming.headers["x-perennial-stream"] ?? "");
        resolve({ status: incoming.statusCode ?? 0, stream, events, end });
      };
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        text += chunk;
        const events = splitEvents(text);
        if (events.length < more.leaveAfter) return;
        over("left", events.slice(0, more.leaveAfter));
        outgoing.destroy();
      });
      // A broken answer is cut behind its error event.
      incoming.on("end", () => over("over"));
      incoming.on("error", () => over("over"));
    });
    outgoing.end(more.body);
  });
}
