/** Anthropic messages: what their clients would notice, from the odd ends of imitating servers to every kind of block. */

import Anthropic from "@anthropic-ai/sdk";
import { describe, expect } from "vitest";
import { codeIn, type Seen, send } from "./support/client.ts";
import { DONE, typed } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { jsonReply, sendFramed } from "./support/raw-upstream.ts";
import { begin } from "./support/replies.ts";
import { type Answer, type Serve, type Served, test } from "./support/test.ts";

/** A string is a JSON answer; an array is a stream, in which a number is a silence of so many milliseconds. */
type Reply = object | readonly (string | number)[];

/** Answers the requests in order, the last reply again and again. */
async function serveMessages(serve: Serve, replies: readonly Reply[], settings: Record<string, unknown> = {}): Promise<Served> {
  return serve(replies.map(toAnswer), { upstream: { emptyFallback: "off" }, ...settings });
}

function toAnswer(reply: Reply): Answer {
  return async (socket) => {
    if (!Array.isArray(reply)) {
      socket.write(jsonReply(JSON.stringify(reply)));
    } else if (reply.every((part) => typeof part === "string")) {
      sendFramed(socket, "chunked", reply);
    } else {
      begin(socket);
      for (const part of reply) {
        if (typeof part === "string") socket.write(part);
        else await new Promise((resolve) => setTimeout(resolve, part));
      }
      socket.end();
    }
  };
}

function ask(perennial: TestPerennial, fields: object = {}): Promise<Seen> {
  return send(`${perennial.baseUrl}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", max_tokens: 9, stream: true, messages: [], ...fields }),
  });
}

/** What a client that does not stream gets of an upstream that is watched as a stream. */
// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
async function joined(serve: Serve, events: readonly string[]): Promise<any> {
  const { perennial } = await serveMessages(serve, [events], { nonStreaming: "viaStream" });
  const seen = await ask(perennial, { stream: false });
  expect(seen.status).toBe(200);
  return JSON.parse(seen.body);
}

const start = typed("message_start", {
  message: {
    id: "m",
    type: "message",
    role: "assistant",
    model: "m",
    content: [],
    usage: { input_tokens: 25, output_tokens: 1 },
  },
});
const block = (content_block: object, index = 0): string => typed("content_block_start", { index, content_block });
const delta = (fields: object, index = 0): string => typed("content_block_delta", { index, delta: fields });
const blockStop = (index = 0): string => typed("content_block_stop", { index });
const reason = (stop_reason: string | null, fields: object = {}): string =>
  typed("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 9 }, ...fields });
const stop = typed("message_stop");
const hi = [block({ type: "text", text: "" }), delta({ type: "text_delta", text: "Hi" }), blockStop()];
const end = [reason("end_turn"), stop];

describe("a message", () => {
  test.for([
    ["an engine that was aborted", [reason(null), stop, DONE], "stream_truncated"],
    ["the reason abort", [reason("abort"), stop], "upstream_error_event"],
    ["the reason error", [reason("error"), stop, DONE], "upstream_error_event"],
  ])("that stops with %s is not told as whole", async ([_what, last, code], { serve }) => {
    const { perennial } = await serveMessages(serve, [[start, ...hi, ...last]]);
    const seen = await ask(perennial);
    expect(codeIn(seen)).toBe(code);
    expect(seen.body).not.toContain("message_stop");
    expect(seen.body).not.toContain('"stop_reason":"');
  });

  test("that an engine gave up before its first word is asked for again, unseen", async ({ serve }) => {
    const whole = [start, ...hi, ...end];
    const { perennial } = await serveMessages(serve, [[start, reason("abort"), stop], [start, reason(null), stop, DONE], whole]);
    expect((await ask(perennial)).body).toBe(whole.join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
  });

  test.for([
    ["after its end", [...end, DONE], "complete"],
    ["in the place of message_stop", [reason("end_turn"), DONE], "repaired"],
    ["before message_stop", [reason("end_turn"), DONE, stop], "complete"],
  ])("with a [DONE] %s is whole, and its client never sees that line", async ([_where, last, outcome], { serve }) => {
    const { perennial } = await serveMessages(serve, [[start, ...hi, ...last]]);
    expect((await ask(perennial)).body).toBe([start, ...hi, ...end].join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome });
  });

  test.for(["pause_turn", "compaction", "model_context_window_exceeded", "some_reason_of_next_year"])(
    "that stops with %s is whole",
    async (stop_reason, { serve }) => {
      const events = [start, ...hi, reason(stop_reason), stop];
      const { perennial } = await serveMessages(serve, [events]);
      expect((await ask(perennial)).body).toBe(events.join(""));
    },
  );

  test.for([
    [
      "a summary of what was said",
      [block({ type: "compaction", content: null }), delta({ type: "compaction_delta", content: "Sum" })],
    ],
    [
      "thoughts that are not shown",
      [block({ type: "thinking", thinking: "" }), delta({ type: "signature_delta", signature: "s" })],
    ],
    ["thoughts that are encrypted", [block({ type: "redacted_thinking", data: "x" })]],
    ["a file", [block({ type: "container_upload", file_id: "file_1" })]],
  ])("of nothing but %s is not empty", async ([_what, content], { serve }) => {
    const events = [start, ...content, blockStop(), reason("compaction"), stop];
    const { perennial } = await serveMessages(serve, [events]);
    expect((await ask(perennial)).body).toBe(events.join(""));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete", attempts: [{}] });
  });
});

const answer = (content: readonly object[], fields: object = {}): Record<string, unknown> => ({
  id: "m",
  type: "message",
  role: "assistant",
  model: "m",
  content,
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 25, output_tokens: 9 },
  ...fields,
});

describe.each([true, false])("an answer in JSON, asked for with stream: %s,", (stream) => {
  test.for([
    ["no block", []],
    ["an empty text", [{ type: "text", text: "" }]],
    ["an empty thought", [{ type: "thinking", thinking: "", signature: "" }]],
    ["a summary that failed", [{ type: "compaction", content: null }]],
  ])("with %s is asked for again", async ([_what, content], { serve }) => {
    const { perennial, upstream } = await serveMessages(serve, [answer(content), answer([{ type: "text", text: "Hi" }])]);
    expect((await ask(perennial, { stream })).body).toContain('"Hi"');
    expect(upstream.requests).toHaveLength(2);
  });

  test("that is empty at every attempt is told as it is: the model may have nothing to say", async ({ serve }) => {
    const { perennial, upstream } = await serveMessages(serve, [answer([{ type: "text", text: "" }])]);
    expect(await ask(perennial, { stream })).toMatchObject({ status: 200, body: expect.stringContaining("end_turn") });
    expect(upstream.requests).toHaveLength(3);
  });

  test.for([
    ["a tool call without input", [{ type: "tool_use", id: "t", name: "now", input: {} }]],
    ["a summary", [{ type: "compaction", content: "Sum" }]],
    ["a thought that is not shown", [{ type: "thinking", thinking: "", signature: "s" }]],
    ["a tool's result", [{ type: "web_search_tool_result", tool_use_id: "t", content: [{ title: "Hm" }] }]],
  ])("with %s is whole at once", async ([_what, content], { serve }) => {
    const { perennial, upstream } = await serveMessages(serve, [answer(content)]);
    expect((await ask(perennial, { stream })).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  });

  test.for(["abort", "error"])("that stopped with %s is asked for again", async (stop_reason, { serve }) => {
    const content = [{ type: "text", text: "Hi" }];
    const { perennial } = await serveMessages(serve, [answer(content, { stop_reason }), answer(content)]);
    expect((await ask(perennial, { stream })).body).toContain("end_turn");
    expect(await perennial.exchangeLog()).toMatchObject({ attempts: [{ failure: "upstream_error_event" }, {}] });
  });
});

describe("a stream made of an answer in JSON", () => {
  const citation = { type: "char_location", cited_text: "Hi", document_index: 0, document_title: "T", start_char_index: 0 };
  const search = { type: "server_tool_use", id: "s", name: "web_search", input: { query: "Ulm" } };
  const found = {
    type: "web_search_tool_result",
    tool_use_id: "s",
    content: [{ type: "web_search_result", url: "u", title: "T" }],
  };
  const cache = { cache_creation_input_tokens: 3, cache_read_input_tokens: 4, cache_creation: { ephemeral_5m_input_tokens: 3 } };
  const text = { type: "text", text: "Hi", citations: null };
  const stable: [what: string, answer: Record<string, unknown>][] = [
    ["text", answer([text])],
    ["thinking with its signature", answer([{ type: "thinking", thinking: "Hm", signature: "sig" }, text])],
    ["thinking that is not shown", answer([{ type: "thinking", thinking: "", signature: "sig" }, text])],
    ["redacted thinking", answer([{ type: "redacted_thinking", data: "x" }, text])],
    [
      "tool calls",
      answer(
        [
          text,
          { type: "tool_use", id: "t", name: "weather", input: { city: "Ulm", days: [1, 2] } },
          { type: "tool_use", id: "u", name: "now", input: {} },
        ],
        { stop_reason: "tool_use" },
      ),
    ],
    ["a server's tools and their results", answer([search, found, text])],
    ["citations", answer([{ ...text, citations: [citation, { ...citation, document_index: 1 }] }])],
    ["what the cache did", answer([text], { usage: { input_tokens: 25, output_tokens: 9, service_tier: "standard", ...cache } })],
    ["a stop sequence", answer([text], { stop_reason: "stop_sequence", stop_sequence: "###" })],
    ["a container", answer([text], { container: { id: "c", expires_at: "2026-01-01T00:00:00Z" } })],
    ["no container", answer([text], { container: null })],
    [
      "why it refused",
      answer([text], { stop_reason: "refusal", stop_details: { type: "refusal", category: "cyber", explanation: "No." } }),
    ],
  ];
  /** What only the beta of the client knows. */
  const beta: [what: string, answer: Record<string, unknown>][] = [
    [
      "MCP's tools and their results",
      answer([
        { type: "mcp_tool_use", id: "x", name: "echo", server_name: "e", input: { a: 1 } },
        { type: "mcp_tool_result", tool_use_id: "x", is_error: false, content: [{ type: "text", text: "1" }] },
        text,
      ]),
    ],
    ["a summary", answer([{ type: "compaction", content: "Sum", encrypted_content: "x", signature: "s" }])],
    ["what was cleared of its context", answer([text], { context_management: { applied_edits: [{ type: "clear" }] } })],
  ];

  const asked = { model: "m", max_tokens: 9, messages: [] };
  const official = ({ url }: TestPerennial): Anthropic => new Anthropic({ baseURL: url, apiKey: "sk-ant", maxRetries: 0 });

  test.for(stable)("gives the official client the same final message: %s", async ([_what, whole], { serve }) => {
    const { perennial } = await serveMessages(serve, [whole]);
    expect(plain(await official(perennial).messages.stream(asked).finalMessage())).toEqual(whole);
  });

  test.for([...stable, ...beta])("gives the beta of the client the same final message: %s", async ([_what, whole], { serve }) => {
    const { perennial } = await serveMessages(serve, [whole]);
    expect(plain(await official(perennial).beta.messages.stream(asked).finalMessage())).toEqual(whole);
  });

  test.for([...stable, ...beta])("is joined to the same answer again: %s", async ([_what, whole], { serve }) => {
    const { perennial } = await serveMessages(serve, [whole]);
    const events = (await ask(perennial)).body;
    expect(await joined(serve, [events])).toEqual(whole);
  });

  test("says why it stopped, and in which container, where clients take that from", async ({ serve }) => {
    const details = { stop_details: { type: "refusal" }, container: { id: "c" }, context_management: { applied_edits: [] } };
    const { perennial } = await serveMessages(serve, [answer([text], details)]);
    const { body } = await ask(perennial);
    const last = JSON.parse(/^data: (.*"message_delta".*)$/m.exec(body)?.[1] as string);
    const { context_management, ...inDelta } = details;
    expect(last).toMatchObject({ delta: inDelta, context_management });
    expect(/^data: (.*"message_start".*)$/m.exec(body)?.[1]).not.toContain("refusal");
  });

  test("says its citations one by one", async ({ serve }) => {
    const { perennial } = await serveMessages(serve, [answer([{ ...text, citations: [citation, citation] }])]);
    expect((await ask(perennial)).body.match(/"citations_delta"/g)).toHaveLength(2);
  });

  test("has a usage even where the answer has none, since clients count on it", async ({ serve }) => {
    const { usage, ...whole } = answer([text]);
    const { perennial } = await serveMessages(serve, [whole]);
    const client = new Anthropic({ baseURL: perennial.url, apiKey: "sk-ant", maxRetries: 0 });
    expect(await client.messages.stream({ model: "m", max_tokens: 9, messages: [] }).finalText()).toBe("Hi");
  });

  /** Without what only the client adds. */
  function plain(message: object): unknown {
    const added = ["parsed", "parsed_output"];
    return JSON.parse(JSON.stringify(message, (key, value) => (added.includes(key) ? undefined : value)));
  }
});

describe("an answer joined of a stream", () => {
  test("says what was cleared of its context", async ({ serve }) => {
    const context_management = { applied_edits: [{ type: "clear_tool_uses_20250919", cleared_tool_uses: 8 }] };
    expect(await joined(serve, [start, ...hi, reason("end_turn", { context_management }), stop])).toMatchObject({
      context_management,
      stop_reason: "end_turn",
    });
  });

  test("holds the summary, and what must be sent back with it", async ({ serve }) => {
    const compacted = [
      block({ type: "compaction", content: null, signature: "s" }),
      delta({ type: "compaction_delta", content: "Sum", encrypted_content: "x" }),
      blockStop(),
    ];
    const { content } = await joined(serve, [start, ...compacted, reason("compaction"), stop]);
    expect(content).toEqual([{ type: "compaction", content: "Sum", encrypted_content: "x", signature: "s" }]);
  });

  test("keeps the numbers that the last count leaves open", async ({ serve }) => {
    const usage = { input_tokens: null, output_tokens: 9, cache_read_input_tokens: null };
    expect((await joined(serve, [start, ...hi, reason("end_turn", { usage }), stop])).usage).toEqual({
      input_tokens: 25,
      output_tokens: 9,
      cache_read_input_tokens: null,
    });
  });

  test("names the model that took over", async ({ serve }) => {
    const fallback = { type: "fallback", from: { model: "m" }, to: { model: "n" } };
    const taken = [block(fallback), blockStop(), ...hi.map((event) => event.replace('"index":0', '"index":1'))];
    expect(await joined(serve, [start, ...taken, ...end])).toMatchObject({ model: "n", content: [fallback, { text: "Hi" }] });
  });

  test("has the last signature only: it comes whole, and would be refused when doubled", async ({ serve }) => {
    const thought = [
      block({ type: "thinking", thinking: "", signature: "" }),
      delta({ type: "thinking_delta", thinking: "Hm" }),
      delta({ type: "signature_delta", signature: "sig" }),
      delta({ type: "signature_delta", signature: "sig" }),
      blockStop(),
    ];
    const { content } = await joined(serve, [start, ...thought, ...end]);
    expect(content).toEqual([{ type: "thinking", thinking: "Hm", signature: "sig" }]);
  });

  test.for([
    ["a text", { type: "text_delta", text: "Hi" }],
    ["a thought", { type: "thinking_delta", thinking: "Hi" }],
    ["a summary", { type: "compaction_delta", content: "Hi" }],
  ])("is an error when %s came whose beginning was lost", async ([_what, piece], { serve }) => {
    const { perennial } = await serveMessages(serve, [[start, delta(piece), ...end]], { nonStreaming: "viaStream" });
    const seen = await ask(perennial, { stream: false });
    expect([seen.status, codeIn(seen)]).toEqual([502, "stream_corrupted"]);
  });

  test("is an error when a tool is called that has no name", async ({ serve }) => {
    const { perennial } = await serveMessages(
      serve,
      [[start, ...hi, delta({ type: "input_json_delta", partial_json: '{"city":"Ulm"}' }, 1), reason("tool_use"), stop]],
      {
        nonStreaming: "viaStream",
      },
    );
    const seen = await ask(perennial, { stream: false });
    expect([seen.status, codeIn(seen)]).toEqual([502, "stream_corrupted"]);
  });

  test("keeps every block, also where all of them have the same number", async ({ serve }) => {
    const thought = [block({ type: "thinking", thinking: "" }), delta({ type: "thinking_delta", thinking: "Hm" }), blockStop()];
    expect((await joined(serve, [start, ...thought, ...hi, ...end])).content).toEqual([
      { type: "thinking", thinking: "Hm" },
      { type: "text", text: "Hi" },
    ]);
  });
});

describe("a silence", () => {
  const quick = { timeouts: { firstToken: "5s", idle: "1500ms" }, retry: { maxAttempts: 1 } };

  test("before and after the signature of thoughts that are not shown is no stall", async ({ serve }) => {
    const thought = [
      block({ type: "thinking", thinking: "", signature: "" }, 1),
      850,
      delta({ type: "signature_delta", signature: "sig" }, 1),
      blockStop(1),
      850,
      ...hi.map((event) => event.replace('"index":0', '"index":2')),
    ];
    const { perennial } = await serveMessages(serve, [[start, ...hi, 850, ...thought, ...end]], quick);
    expect((await ask(perennial)).body).toContain("message_stop");
  });

  test("after a signature that nothing follows is one", async ({ serve }) => {
    const signed = [block({ type: "thinking", thinking: "" }), delta({ type: "signature_delta", signature: "sig" })];
    const { perennial } = await serveMessages(serve, [[start, ...signed, 5_000]], quick);
    expect(codeIn(await ask(perennial))).toBe("stream_stalled");
  });

  test("after a block that begins with nothing waits for the first content still", async ({ serve }) => {
    const { perennial } = await serveMessages(
      serve,
      [
        [start, block({ type: "thinking", thinking: "" }), 5_000],
        [start, ...hi, ...end],
      ],
      {
        timeouts: { firstToken: "300ms", alive: "400ms", idle: "5s" },
      },
    );
    expect(codeIn(await ask(perennial))).toBe("first_token_timeout");
    expect(await perennial.exchangeLog()).toMatchObject({ attempts: [{ failure: "first_token_timeout" }] });
  });
});

test("an ordinary tool call in many small pieces is not too large: only what the tool is called with counts", async ({
  serve,
  startPerennial,
}) => {
  const pieces = Array.from({ length: 200 }, () => delta({ type: "input_json_delta", partial_json: "水" }));
  const input = [delta({ type: "input_json_delta", partial_json: '{"city":"' }), ...pieces];
  const call = [block({ type: "tool_use", id: "t", name: "weather", input: {} }), ...input];
  const whole = [start, ...call, delta({ type: "input_json_delta", partial_json: '"}' }), blockStop(), reason("tool_use"), stop];
  const cut = whole.slice(0, -4);
  const settings = { limits: { maxGateBytes: "700B" }, retry: { maxAttempts: 1 } };
  const { perennial, upstream } = await serveMessages(serve, [whole, cut], settings);
  expect((await ask(perennial)).body).toBe(whole.join(""));
  expect((await ask(perennial)).body).not.toContain("水");
  const second = await startPerennial(upstream.baseUrl, { limits: { maxGateBytes: "500B" } });
  expect((await ask(second)).body.startsWith(cut.join(""))).toBe(true);
});
