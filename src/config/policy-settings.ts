/** The settings that hold for all upstreams, and those of them that one upstream may have for itself alone. */
import { z } from "zod";
import { someTime } from "./values.ts";

export const timeouts = z
  .strictObject({
    connect: someTime().prefault("5s").describe("Longest wait for a connection to the upstream, TLS included. Default: 5s."),
    firstToken: someTime().prefault("60s").describe("Longest wait for the first content of an attempt. Default: 60s."),
    idle: someTime().prefault("30s").describe("Longest silence between two pieces of content; pings do not count. Default: 30s."),
    total: someTime().prefault("10m").describe("Longest time for the whole exchange, all attempts included. Default: 10m."),
    request: someTime()
      .prefault("2m")
      .describe("Longest time for a client to send its request, head and body; a slower one gets a 408. Default: 2m."),
  })
  .prefault({})
  .describe("How long to wait, as durations of more than 0.");

/** What an upstream leaves out of these is as it is for all. */
export const ownTimeouts = z
  .strictObject({
    connect: someTime().optional().describe("Longest wait for a connection to this upstream, TLS included. Default: as for all."),
    firstToken: someTime().optional().describe("Longest wait for its first content in an attempt. Default: as for all."),
    idle: someTime()
      .optional()
      .describe("Longest silence between two pieces of its content; pings do not count. Default: as for all."),
    total: someTime().optional().describe("Longest time for the whole exchange, all attempts included. Default: as for all."),
  })
  .prefault({})
  .describe("How long to wait for this upstream, as durations of more than 0; over timeouts for all.");

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
  })
  .prefault({})
  .describe(
    "What is held back for the client's sake; it counts against limits.maxGateBytes, whole answers against limits.maxBodyBytes.",
  );

export const ownGate = z
  .strictObject({
    open: open.optional().describe("Begin at the first content, or once the answer is whole. Default: as for all."),
    toolCalls: toolCalls.optional().describe("Hand on whole tool calls (hold), or pieces as they come. Default: as for all."),
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
