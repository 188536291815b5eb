/** The settings that hold for all upstreams, and those of them that one upstream may have for itself alone. */
import { z } from "zod";
import { UNSTREAMED_TOTALS } from "../balance/candidate.ts";
import { MAX_DURATION_MS } from "./units.ts";
import { someTime, text } from "./values.ts";

const ALIVE_MS = 600_000;

const offOrTime = z
  .union([z.literal("off"), z.literal(false), someTime()], { error: "expected off, or a duration of more than 0, such as 30s" })
  .transform((value) => (value === "off" ? false : value));

export const timeouts = z
  .strictObject({
    connect: someTime().prefault("5s").describe("Longest wait for a connection to the upstream, TLS included. Default: 5s."),
    queue: someTime()
      .prefault("30s")
      .describe("Longest wait for one of the upstream's connections, where maxConnections limits them. Default: 30s."),
    firstToken: someTime()
      .prefault("3m")
      .describe("Streamed: longest wait of an attempt for the first sign of life, from when its request goes out. Default: 3m."),
    idle: someTime()
      .prefault("2m")
      .describe("After the first content (the head, where nothing is streamed): longest time without one byte. Default: 2m."),
    alive: someTime()
      .optional()
      .describe(
        "Streamed: longest time without content, though there are signs of life such as pings and comments. Default: 10m, or firstToken or idle where that is longer.",
      ),
    total: someTime()
      .prefault("15m")
      .describe(
        "From the request's arrival: no attempt begins after it, and no stream without content lives beyond it. Default: 15m.",
      ),
    unstreamed: someTime()
      .optional()
      .describe("From the request's arrival: longest time for an answer that is not streamed. Default: four times total, 60m."),
    stream: offOrTime
      .prefault("off")
      .describe("Longest time for a stream from its first content, however it flows; or off. Default: off."),
    request: someTime()
      .prefault("2m")
      .describe("Longest time for a client to send its request, head and body; a slower one gets a 408. Default: 2m."),
  })
  .transform(({ alive, unstreamed, ...rest }) => ({
    ...rest,
    alive: alive ?? Math.max(ALIVE_MS, rest.firstToken, rest.idle),
    unstreamed: unstreamed ?? unstreamedAfter(rest.total),
  }))
  .prefault({})
  .describe("How long to wait, as durations of more than 0.");

/** How long an answer that is not streamed may take, where only the total is given. In milliseconds, as that is. */
export function unstreamedAfter(total: number): number {
  return Math.min(UNSTREAMED_TOTALS * total, MAX_DURATION_MS);
}

/** What an upstream leaves out of these is as it is for all. */
export const ownTimeouts = z
  .strictObject({
    connect: someTime().optional().describe("Longest wait for a connection to this upstream, TLS included. Default: as for all."),
    queue: someTime()
      .optional()
      .describe("Longest wait for one of its connections, where maxConnections limits them. Default: as for all."),
    firstToken: someTime().optional().describe("Longest wait of an attempt for its first sign of life. Default: as for all."),
    idle: someTime().optional().describe("After its first content: longest time without one byte. Default: as for all."),
    alive: someTime()
      .optional()
      .describe("Longest time without content, though there are signs of life. Default: as for all, or firstToken or idle here."),
    total: someTime()
      .optional()
      .describe("No attempt begins after it, and no stream without content lives beyond it. Default: as for all."),
    unstreamed: someTime()
      .optional()
      .describe(
        "Longest time for an answer that is not streamed. Default: four times total where that stands here, or as for all.",
      ),
    stream: offOrTime.optional().describe("Longest time for a stream from its first content; or off. Default: as for all."),
  })
  .prefault({})
  .describe("How long to wait for this upstream, as durations of more than 0; over timeouts for all.");

/** Longer it would be no stream any more, and `timeouts.total` could come before the first word. */
const MAX_LAG_MS = 60_000;

const lagTime = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      someTime().refine((ms) => ms <= MAX_LAG_MS, { error: "expected a duration of at most 1m, such as 400ms" }),
    ],
    { error: "expected off, or a duration of at most 1m, such as 400ms" },
  )
  .transform((value) => (value === "off" ? false : value));

const toolCalls = z.enum(["hold", "stream"]);
const open = z.enum(["content", "whole"]);

export const gate = z
  .strictObject({
    open: open
      .default("content")
      .describe(
        "When a streamed answer begins to reach the client: at its first content, or once it is whole, so that every break is retried unseen. Default: content.",
      ),
    toolCalls: toolCalls
      .default("hold")
      .describe("Hand a streamed tool call on when it is complete (hold), or piece by piece as it comes. Default: hold."),
    holdFor: someTime()
      .prefault("60s")
      .describe(
        "Longest time for which one tool call is held; then it is handed on as it comes, since clients give up on a stream without events. Default: 60s.",
      ),
    lag: lagTime
      .prefault("off")
      .describe(
        "Show each streamed answer late by this much, at most 1m, so that what breaks within that time is retried or continued unseen; or off. Default: off.",
      ),
  })
  .prefault({})
  .describe(
    "What is held back for the client's sake; it counts against limits.maxGateBytes, whole answers against limits.maxBodyBytes.",
  );

export const ownGate = z
  .strictObject({
    open: open.optional().describe("Begin at the first content, or once the answer is whole. Default: as for all."),
    toolCalls: toolCalls.optional().describe("Hand on whole tool calls (hold), or pieces as they come. Default: as for all."),
    holdFor: someTime().optional().describe("Longest time for which one tool call is held. Default: as for all."),
    lag: lagTime.optional().describe("How late its streamed answers are shown; or off. Default: as for all."),
  })
  .prefault({})
  .describe("What is held back of this upstream's answers; over gate for all.");

const waysToAsk = z.enum(["direct", "viaStream"]);

export const nonStreaming = waysToAsk
  .default("direct")
  .describe(
    "How a request that is not streamed is sent upstream: as it is, or as a stream that is watched and joined into one answer. Default: direct.",
  );

export const ownNonStreaming = waysToAsk
  .optional()
  .describe("How a request that is not streamed is sent to this upstream: direct, or viaStream. Default: as for all.");

const firstQuestion = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      z.strictObject({
        on: z
          .enum(["start", "idle"])
          .default("start")
          .describe(
            "start: after a start and after the upstream was down; idle: also after a time without requests. Default: start.",
          ),
        after: someTime().prefault("5m").describe("With on: idle, how long without requests, as a duration. Default: 5m."),
        path: z
          .string()
          .optional()
          .describe(
            "Where to ask, as clients do: a path of a known dialect, such as /v1/messages, or /chat/chat of Chatchat. Default: /v1/chat/completions.",
          ),
        request: z
          .record(z.string(), z.unknown())
          .default({})
          .describe(
            "Fields of the request that is asked, such as model; the default question is 你好，你是谁？ in the words of the path.",
          ),
      }),
    ],
    { error: "expected off, or a mapping with on, after, path and request" },
  )
  .transform((value) => (value === "off" ? false : value));

export const warmup = firstQuestion
  .prefault("off")
  .describe(
    "Ask the upstream a small question before the first user does; /readyz is green once it has been answered whole. Default: off.",
  );

export const ownWarmup = firstQuestion
  .optional()
  .describe("The first question to this upstream, in place of warmup for all; or off. Default: as for all.");

const healthEvery = z
  .union([z.literal("off"), z.literal(false), someTime()], { error: "expected off, or a duration of more than 0, such as 10s" })
  .transform((value) => (value === "off" ? false : value));

const healthPath = text(/^\//, "expected a path that begins with /, such as /models");

export const health = z
  .strictObject({
    every: healthEvery
      .prefault("off")
      .describe("How often each upstream is asked whether it answers, as a duration; or off: its requests tell. Default: off."),
    path: healthPath
      .default("/models")
      .describe("Where it is asked, under its base URL; whatever answers but a 5xx is alive. Default: /models."),
  })
  .prefault({})
  .describe("Whether upstreams are asked how they are, so that one that is down is found before a client does.");

export const ownHealth = z
  .strictObject({
    every: healthEvery.optional().describe("How often this upstream is asked whether it answers; or off. Default: as for all."),
    path: healthPath.optional().describe("Where it is asked, under its base URL. Default: as for all."),
  })
  .prefault({})
  .describe("Whether this upstream is asked how it is; over health for all.");
