/** One client and what became of its request: judged byte by byte, against the one answer that is right. */
import { type Agent, type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWER } from "../../src/chaos/answer.ts";
import { type Answer, addChoices, emptyAnswer } from "../conformance/answer.ts";
import type { Seen } from "../conformance/ask.ts";
import { readEvents } from "../conformance/events.ts";
import { type Judgement, judge } from "../conformance/judge.ts";
import type { ClientKind } from "./mix.ts";

export interface Visit {
  readonly baseUrl: string;
  readonly agent: Agent;
  readonly kind: ClientKind;
  /** Its own, and in every event of the answer: an event of somebody else's answer would show. */
  readonly model: string;
  /** Resolves when the upstream has got the request. */
  readonly arrived: () => Promise<boolean>;
  /** What the upstream does with its attempts. @defaultValue whatever its kind is for */
  readonly spec?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Visited extends Judgement {
  /** Why a verdict that is good in itself is not, such as another client's event. */
  readonly complaint: string | undefined;
  readonly attempts: number;
  readonly events: number;
  readonly bytes: number;
  readonly body: Buffer;
}

/** Longer than Perennial may be silent, with its retries and waits, before it says how it ends. */
const PATIENCE_MS = 20_000;
const FLOOD_BYTES = 6 * 1024 ** 2;
/** Longer than Perennial's idle timeout. */
const LONG_PAUSE_MS = 1_500;
const SHORT_PAUSE_MS = 20;
const PAUSE_EVERY_BYTES = 256 * 1024;

/** What a client asks for beside its own text; those that leave need a stream that outlasts them, on a busy machine too. */
const ASKED: Readonly<Record<ClientKind, string | undefined>> = {
  streamed: undefined,
  "not streamed": undefined,
  "leaves in mid-stream": "slow:150",
  "leaves while it waits": "stall-first",
  "reads slowly": `flood:${FLOOD_BYTES}`,
};

const RIGHT = rightAnswer(ANSWER);

export async function visit({ baseUrl, agent, kind, model, arrived, spec, headers: own }: Visit): Promise<Visited> {
  const streamed = kind !== "not streamed";
  const messages = [{ role: "user", content: `Question of ${model}` }];
  const text = JSON.stringify({ model, stream: streamed, temperature: 0, messages });
  const fault = spec ?? ASKED[kind];
  const headers = {
    ...own,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...(fault === undefined ? {} : { "x-chaos": fault }),
  };
  const parts: Buffer[] = [];
  let response: IncomingMessage | undefined;
  const seen = await new Promise<Seen>((resolve) => {
    const outgoing = request(`${baseUrl}/chat/completions`, { method: "POST", headers, agent });
    const patience = setTimeout(() => over("open"), PATIENCE_MS);
    function over(end: Seen["end"]): void {
      clearTimeout(patience);
      resolve({ status: response?.statusCode, headers: response?.headers ?? {}, body: Buffer.concat(parts), end });
      // A response that came to its end leaves its connection to the next client.
      if (end !== "clean") outgoing.destroy();
    }
    outgoing.on("error", () => over("cut"));
    outgoing.on("response", (incoming) => {
      response = incoming;
      let events = 0;
      let bytes = 0;
      let pauseAt = 1;
      incoming.on("data", (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        // Only for those whose own slowness takes the time: comments must not make a hang look alive.
        if (kind === "reads slowly") patience.refresh();
        events += part.includes('"content":"A') || events > 0 ? 1 : 0;
        if (kind === "leaves in mid-stream" && events >= 3) over("cut");
        if (kind === "reads slowly" && bytes >= pauseAt) {
          incoming.pause();
          void sleep(pauseAt === 1 ? LONG_PAUSE_MS : SHORT_PAUSE_MS).then(() => incoming.resume());
          pauseAt = bytes + PAUSE_EVERY_BYTES;
        }
      });
      incoming.on("end", () => over("clean"));
      incoming.on("error", () => over("cut"));
    });
    outgoing.end(text);
    if (kind === "leaves while it waits") void arrived().then(() => over("cut"));
  });
  const body = seen.body.toString("utf8");
  const data = streamed ? readEvents(body).data : [body];
  const judgement = judge(seen, { streamed, rights: [kind === "reads slowly" ? floodAnswer(data) : RIGHT] });
  return {
    ...judgement,
    complaint: complain(data, seen, model),
    attempts: Number(seen.headers["x-perennial-attempts"] ?? 0),
    events: data.length,
    bytes: seen.body.length,
    body: seen.body,
  };
}

/** What the judge does not look at: every event must be of this client's own answer, and of one single attempt. */
function complain(data: readonly string[], { headers, status }: Seen, model: string): string | undefined {
  if (status === undefined || status >= 400) return undefined;
  if (headers["x-perennial-id"] === undefined) return "no x-perennial-id";
  const ids = new Set<string>();
  for (const item of data) {
    const id = /"id":"(chatcmpl-[^"]*)"/.exec(item)?.[1];
    if (id === undefined) continue;
    ids.add(id);
    if (!item.includes(`"model":"${model}"`)) return `an event of another client's answer: ${item.slice(0, 200)}`;
  }
  return ids.size > 1 ? `events of ${ids.size} attempts in one answer` : undefined;
}

/** The flood sends one piece until its bytes are reached, so what it says follows from how long the event of a piece is. */
function floodAnswer(data: readonly string[]): Answer {
  const piece = "flood ".repeat(170);
  const event = data.find((item) => item.includes(piece)) ?? "";
  const bytes = Buffer.byteLength(`data: ${event}\n\n`);
  return rightAnswer(piece.repeat(Math.ceil(FLOOD_BYTES / bytes)));
}

function rightAnswer(content: string): Answer {
  const answer = emptyAnswer();
  addChoices(answer, { choices: [{ index: 0, message: { content }, finish_reason: "stop" }] });
  return answer;
}
