/** A failure in words: what happened, how far the answer had come, and advice that is true. */
import { expect, test } from "vitest";
import { Failure, type FailureCode, type FailureDetails } from "../core/failure.ts";
import { createJsonRoute } from "../dialect/json-routes.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import { failureMessage } from "./failure-message.ts";

interface Asked {
  /** Passed through; otherwise a chat, streamed or not, or what is never streamed. */
  readonly as?: "passthrough" | "stream" | "whole" | "embeddings";
  readonly method?: string;
  readonly attempts?: number;
  readonly characters?: number;
  readonly bytes?: number;
}

function messageOf(code: FailureCode, details: FailureDetails, asked: Asked, text = "it broke"): string {
  const { as = "stream", method = "POST", attempts = 1, characters = 0, bytes = 0 } = asked;
  const exchange = {
    api:
      as === "passthrough"
        ? undefined
        : { request: { stream: as === "stream" }, dialect: as === "embeddings" ? createJsonRoute("embeddings") : openAiChat },
    request: { method, headers: {}, body: method === "GET" ? null : Buffer.from("{}") },
    attempts: Array(attempts).fill({}),
    stats: { characters, bytes },
  };
  return failureMessage(new Failure(code, text, details), exchange as never);
}

const AGAIN = "Send the request again";

test.each<[FailureCode, FailureDetails, Asked, string]>([
  [
    "stream_truncated",
    { scope: "again" },
    { characters: 5 },
    `Incomplete stream: it broke. The answer is incomplete: 5 characters had arrived, after 1 attempt. ${AGAIN}.`,
  ],
  ["stream_stalled", { scope: "again" }, { attempts: 2 }, `It broke. No text had arrived, after 2 attempts. ${AGAIN}.`],
  ["empty_stream", { scope: "again" }, { as: "whole" }, `It broke. No answer had arrived, after 1 attempt. ${AGAIN}.`],
  [
    "stream_truncated",
    { scope: "again" },
    { as: "passthrough", method: "GET", bytes: 9 },
    `Incomplete stream: it broke. The answer is incomplete, after 1 attempt. ${AGAIN}.`,
  ],
  [
    "upstream_unreachable",
    { scope: "again" },
    { as: "passthrough" },
    `It broke. No answer had arrived, after 1 attempt. ${AGAIN}, if it may be done twice.`,
  ],
  [
    "upstream_status",
    { scope: "elsewhere" },
    {},
    "It broke. No text had arrived, after 1 attempt. This upstream would refuse the same request again.",
  ],
  [
    "upstream_status",
    { scope: "never" },
    {},
    "It broke. No text had arrived, after 1 attempt. The same request would fail again.",
  ],
  [
    "upstream_status",
    { scope: "never", upstreamMessage: "why?" },
    {},
    "It broke: why? No text had arrived, after 1 attempt. The same request would fail again.",
  ],
  [
    "upstream_status",
    { scope: "never", upstreamMessage: "余额不足。" },
    {},
    "It broke: 余额不足。 No text had arrived, after 1 attempt. The same request would fail again.",
  ],
  [
    "stream_truncated",
    { scope: "again", seam: "tail" },
    { characters: 1 },
    `Incomplete stream: it broke. It could not be continued (tail). The answer is incomplete: 1 characters had arrived, after 1 attempt. ${AGAIN}.`,
  ],
  ["deadline_exceeded", { setting: "timeouts.total" }, { attempts: 0 }, "It broke. To get it whole, raise timeouts.total."],
  [
    "deadline_exceeded",
    { setting: "timeouts.total" },
    { attempts: 0, as: "whole" },
    "It broke. To get it whole, raise timeouts.total, or stream.",
  ],
  ...(["passthrough", "embeddings"] as const).map((as): [FailureCode, FailureDetails, Asked, string] => [
    "deadline_exceeded",
    { setting: "timeouts.total" },
    { attempts: 0, as },
    "It broke. To get it whole, raise timeouts.total.",
  ]),
  [
    "stream_stalled",
    { setting: "timeouts.idle" },
    {},
    `It broke. No text had arrived, after 1 attempt. ${AGAIN}; if that happens each time, raise timeouts.idle.`,
  ],
  ["draining", {}, {}, `It broke. No text had arrived, after 1 attempt. ${AGAIN} in a moment.`],
  ["draining", {}, { attempts: 0 }, "It broke."],
  ...(["overloaded", "circuit_open", "rate_limited", "internal_error", "client_gone"] as const).map(
    (code) =>
      [code, { scope: "again" }, {}, "It broke. No text had arrived, after 1 attempt."] as [
        FailureCode,
        FailureDetails,
        Asked,
        string,
      ],
  ),
])("%s %o of %o", (code, details, asked, message) => {
  expect(messageOf(code, details, asked)).toBe(message);
});

test("what ends a sentence already gets no second end", () => {
  for (const [text, begins] of [
    ["no!", "No! No text"],
    ["no?", "No? No text"],
    ["no.", "No. No text"],
    ["no", "No. No text"],
    ["", "No text"],
  ])
    expect(messageOf("draining", {}, {}, text).trim()).toMatch(new RegExp(`^${begins?.replace(/[.?]/g, "\\$&")}`));
});
