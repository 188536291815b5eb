/** OpenAI responses as their servers really send them: last events that leave things out or tell of a failure, items of every kind, numbers that mean nothing. */

import { APIError, OpenAI } from "openai";
import { ResponseStream } from "openai/lib/responses/ResponseStream";
import { describe, expect } from "vitest";
import { codeIn, type Seen, type Sent, send } from "./support/client.ts";
import { typed } from "./support/events.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

function ask(perennial: TestPerennial, fields: object = {}, sent: Omit<Sent, "body" | "method"> = {}): Promise<Seen> {
  return send(`${perennial.baseUrl}/responses`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", input: "hi", stream: true, ...fields }),
    ...sent,
  });
}

const added = (output_index: number, item: object): string => typed("response.output_item.added", { output_index, item });
const done = (output_index: number, item: object): string => typed("response.output_item.done", { output_index, item });
const text = (delta: string, fields: object = {}): string =>
  typed("response.output_text.delta", { output_index: 0, content_index: 0, delta, ...fields });
const completed = (response: object): string => typed("response.completed", { response });

const created = typed("response.created", { response: { id: "r", status: "in_progress", output: [] } });
const message = (said: string): object => ({
  id: `msg_${said}`,
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: said, annotations: [] }],
});
const thought = { id: "rs_1", type: "reasoning", summary: [] };
const whole = completed({ id: "r", status: "completed", output: [message("Hi")] });

describe("an answer via a stream", () => {
  const VIA_STREAM = { nonStreaming: "viaStream" };

  test.for([
    ["is empty", "response.completed", { id: "r", status: "completed", output: [] }],
    ["is missing", "response.completed", { id: "r", status: "completed" }],
    ["is null", "response.completed", { id: "r", status: "completed", output: null }],
    ["is empty, and which is incomplete", "response.incomplete", { id: "r", status: "incomplete", output: [] }],
  ])("whose last output %s has the items that came before, in their order", async ([_what, type, response], { serve }) => {
    const items = [text("Hi", { output_index: 1 }), done(1, message("Hi")), done(0, thought)];
    const { perennial } = await serve([[created, added(0, thought), ...items, typed(type, { response })]], VIA_STREAM);
    const seen = await ask(perennial, { stream: false });
    expect(seen.status).toBe(200);
    expect(JSON.parse(seen.body)).toEqual({ ...response, output: [thought, message("Hi")] });
  });

  test("has items that came whole, without any delta", async ({ serve }) => {
    const { perennial, upstream } = await serve(
      [[created, done(0, message("Hi")), completed({ id: "r", output: [] })]],
      VIA_STREAM,
    );
    expect(JSON.parse((await ask(perennial, { stream: false })).body).output).toEqual([message("Hi")]);
    expect(upstream.requests).toHaveLength(1);
  });

  test("has the items of a server that numbers each of them 0", async ({ serve }) => {
    const { perennial } = await serve(
      [[created, done(0, thought), text("Hi"), done(0, message("Hi")), completed({ id: "r", output: [] })]],
      VIA_STREAM,
    );
    expect(JSON.parse((await ask(perennial, { stream: false })).body).output).toEqual([thought, message("Hi")]);
  });

  test("keeps the output of its last event, whatever came before", async ({ serve }) => {
    const { perennial } = await serve([[created, text("H"), done(0, message("H")), whole]], VIA_STREAM);
    expect(JSON.parse((await ask(perennial, { stream: false })).body).output).toEqual([message("Hi")]);
  });

  test.for([
    ["nothing but deltas came", [created, text("Hi"), completed({ id: "r", status: "completed", output: [] })]],
    [
      "one of its items never came",
      [created, done(0, thought), text("Hi", { output_index: 1 }), completed({ id: "r", status: "completed", output: [] })],
    ],
    [
      "its call of a function never came",
      [
        created,
        text("Hi"),
        done(0, message("Hi")),
        added(1, { type: "function_call", id: "fc", call_id: "c", name: "f", arguments: "" }),
        completed({ id: "r", status: "completed", output: [] }),
      ],
    ],
  ])("is asked for again when %s, not told without it", async ([_what, events], { serve }) => {
    const whole = jsonReply(JSON.stringify({ id: "r", status: "completed", output: [message("Hi")] }));
    const { perennial, upstream } = await serve([events, whole], VIA_STREAM);
    expect(JSON.parse((await ask(perennial, { stream: false })).body).output).toEqual([message("Hi")]);
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false]);
    const second = await serve([events], VIA_STREAM);
    const seen = await ask(second.perennial, { stream: false });
    expect([seen.status, codeIn(seen), second.upstream.requests.length]).toEqual([502, "stream_corrupted", 3]);
  });

  test("may be empty, when the model has nothing to say", async ({ serve }) => {
    const empty = { id: "r", status: "completed", output: [] };
    const { perennial } = await serve([[created, completed(empty)]], { ...VIA_STREAM, upstream: { emptyFallback: "off" } });
    expect(JSON.parse((await ask(perennial, { stream: false })).body)).toEqual(empty);
  });
});

describe("a last event", () => {
  const output = [message("Hi")];

  test.for([
    ["is cancelled", { status: "cancelled", output }, "upstream_error_event"],
    ["has failed", { status: "failed", output }, "upstream_error_event"],
    ["has an error", { status: "completed", error: { code: "server_error", message: "boom" }, output }, "upstream_error_event"],
    ["is still in progress", { status: "in_progress", output }, "stream_truncated"],
    ["is still queued", { status: "queued", output }, "stream_truncated"],
  ])("that says that its response %s is no good end, whatever its name", async ([_what, response, code], { serve }) => {
    for (const type of ["response.completed", "response.incomplete"]) {
      const { perennial } = await serve([[created, text("Hi"), typed(type, { response })]]);
      const streamed = await ask(perennial);
      expect(codeIn(streamed)).toBe(code);
      expect(streamed.body).not.toContain(type);
    }
    const { perennial } = await serve([[created, text("Hi"), completed(response)]], { nonStreaming: "viaStream" });
    expect(codeIn(await ask(perennial, { stream: false }))).toBe(code);
  });

  test.for([
    ["no status", { output }],
    ["null for a status", { status: null, error: null, output }],
    ["another word for its end", { status: "incomplete", output }],
  ])("with %s is believed by its name", async ([_what, response], { serve }) => {
    const { perennial } = await serve([[created, text("Hi"), completed(response)]]);
    expect((await ask(perennial)).body.endsWith(completed(response))).toBe(true);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  });

  test("that is incomplete, though it is named completed, may be empty", async ({ serve }) => {
    const end = completed({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output: [] });
    const { perennial, upstream } = await serve([[created, end]]);
    expect((await ask(perennial)).body).toBe(created + end);
    expect(upstream.requests).toHaveLength(1);
  });
});

test("a response in the background is told as failed when it has an error", async ({ serve }) => {
  const { perennial } = await serve([
    jsonReply(JSON.stringify({ id: "r", status: "queued", error: { message: "boom" }, output: [] })),
  ]);
  expect(codeIn(await ask(perennial, { stream: false, background: true }))).toBe("upstream_error_event");
});

describe("a stream made of a JSON answer", () => {
  const TEXT = "Ulm is nice.";
  const citation = { type: "url_citation", start_index: 0, end_index: 3, title: "Ulm", url: "https://ulm.example/" };
  const logprob = { token: "Ulm", logprob: -0.1, bytes: [85], top_logprobs: [] };
  const ITEMS: Record<string, Record<string, unknown>> = {
    message: {
      ...message(TEXT),
      content: [
        { type: "output_text", text: "Ulm ", annotations: [citation, { ...citation, end_index: 2 }], logprobs: [logprob] },
        { type: "output_text", text: "is nice.", annotations: [] },
      ],
    },
    refusal: { ...message("refused"), content: [{ type: "refusal", refusal: "I won't." }] },
    reasoning: {
      id: "rs_1",
      type: "reasoning",
      summary: [
        { type: "summary_text", text: "Looked." },
        { type: "summary_text", text: "Found." },
      ],
      content: [
        { type: "reasoning_text", text: "Hm, Ulm" },
        { type: "reasoning_text", text: " or Bonn?" },
      ],
      encrypted_content: "gAAAA",
    },
    function_call: {
      id: "fc_1",
      type: "function_call",
      status: "completed",
      call_id: "call_1",
      name: "weather",
      arguments: '{"city":"Ulm"}',
    },
    custom_tool_call: {
      id: "ctc_1",
      type: "custom_tool_call",
      status: "completed",
      call_id: "call_2",
      name: "sql",
      input: "select 1",
    },
    mcp_call: {
      id: "mcp_1",
      type: "mcp_call",
      status: "completed",
      server_label: "maps",
      name: "find",
      arguments: '{"q":"Ulm"}',
      output: "48.4",
      error: null,
    },
    code_interpreter_call: {
      id: "ci_1",
      type: "code_interpreter_call",
      status: "completed",
      container_id: "cntr_1",
      code: "print(1)",
      outputs: null,
    },
    web_search_call: { id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "Ulm" } },
    image_generation_call: { id: "ig_1", type: "image_generation_call", status: "completed", result: "aGk=" },
    mcp_list_tools: { id: "mcpl_1", type: "mcp_list_tools", server_label: "maps", tools: [] },
  };
  const answerOf = (output: unknown[]): Record<string, unknown> => ({
    id: "resp_1",
    object: "response",
    created_at: 1,
    status: "completed",
    error: null,
    incomplete_details: null,
    model: "m",
    output,
    usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
  });
  const official = (perennial: TestPerennial): OpenAI =>
    new OpenAI({ baseURL: perennial.baseUrl, apiKey: "sk-test", maxRetries: 0 });
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape
  const eventsOf = ({ body }: Seen): any[] =>
    [...body.matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, name, data]) => {
      const json = JSON.parse(String(data));
      expect(json.type).toBe(name);
      return json;
    });

  test.for([...Object.keys(ITEMS), "everything"])(
    "gives the official client the same %s as the answer",
    async (name, { serve }) => {
      const output = name === "everything" ? Object.values(ITEMS) : [ITEMS[name]];
      const { perennial } = await serve([jsonReply(JSON.stringify(answerOf(output)))]);
      const { output_text, ...atOnce } = await official(perennial).responses.create({ model: "m", input: "hi" });
      const final = await official(perennial).responses.stream({ model: "m", input: "hi" }).finalResponse();
      expect(final).toMatchObject(atOnce);
      expect(final.output_text).toBe(output_text);
    },
  );

  test.for(Object.keys(ITEMS))("gives %s bit by bit, and nothing twice", async (name, { serve }) => {
    const { perennial } = await serve([jsonReply(JSON.stringify(answerOf([ITEMS[name]])))]);
    const events = eventsOf(await ask(perennial));
    expect(events.map((each) => each.sequence_number)).toEqual([...events.keys()]);
    // What a client has that joins the deltas, and never looks at what is done.
    const bits = events.filter(({ type }) => !/\.(done|completed)$/.test(type)).map((each) => `${JSON.stringify(each)}\n`);
    const { output } = await ResponseStream.fromReadableStream(new Blob(bits).stream()).finalResponse();
    const { status: _, ...item } = ITEMS[name] as Record<string, unknown>;
    expect(output).toHaveLength(1);
    expect(output[0]).toMatchObject(item);
    expect(events.at(-2)).toMatchObject({ type: "response.output_item.done", item: ITEMS[name] });
  });

  test("keeps thoughts, refusals and arguments out of the text", async ({ serve }) => {
    const { perennial } = await serve([jsonReply(JSON.stringify({ ...answerOf(Object.values(ITEMS)), output_text: TEXT }))]);
    const events = eventsOf(await ask(perennial));
    expect(events[0].response).toMatchObject({ status: "in_progress", output: [], output_text: "" });
    const joined = (type: string, field = "delta"): string =>
      events.flatMap((each) => (each.type === type ? [each[field]] : [])).join("");
    expect(joined("response.output_text.delta")).toBe(TEXT);
    expect(joined("response.refusal.delta")).toBe("I won't.");
    expect(joined("response.reasoning_text.delta")).toBe("Hm, Ulm or Bonn?");
    expect(joined("response.reasoning_summary_text.delta")).toBe("Looked.Found.");
    expect(joined("response.function_call_arguments.delta")).toBe('{"city":"Ulm"}');
    expect(joined("response.function_call_arguments.done", "arguments")).toBe('{"city":"Ulm"}');
    expect(joined("response.custom_tool_call_input.delta")).toBe("select 1");
    expect(joined("response.custom_tool_call_input.done", "input")).toBe("select 1");
    expect(joined("response.mcp_call_arguments.delta")).toBe('{"q":"Ulm"}');
    expect(joined("response.mcp_call_arguments.done", "arguments")).toBe('{"q":"Ulm"}');
    expect(joined("response.code_interpreter_call_code.delta")).toBe("print(1)");
    const announced = events.flatMap(({ type, item }) => (type === "response.output_item.added" ? [item] : []));
    for (const item of announced) {
      expect([item.arguments, item.input, item.code].filter(Boolean)).toEqual([]);
      expect([item.content, item.summary].flat().filter(Boolean)).toEqual([]);
    }
    // A thought has no status of its own.
    expect(announced.find(({ type }) => type === "reasoning")).not.toHaveProperty("status");
  });

  test("takes thoughts for thoughts, and text for text, by whatever name a gateway gives their parts", async ({ serve }) => {
    const items = [
      { ...thought, content: [{ type: "text", text: "Hm" }] },
      {
        ...message("x"),
        content: [
          { type: "reasoning_text", text: "Hm" },
          { type: "text", text: "Hi" },
        ],
      },
    ];
    const { perennial } = await serve([jsonReply(JSON.stringify(answerOf(items)))]);
    const deltas = eventsOf(await ask(perennial)).filter(({ delta }) => delta);
    expect(deltas.map(({ type, delta }) => [type, delta])).toEqual([
      ["response.reasoning_text.delta", "Hm"],
      ["response.reasoning_text.delta", "Hm"],
      ["response.output_text.delta", "Hi"],
    ]);
  });
});

describe("a tool", () => {
  const progress = (type: string): string => typed(type, { output_index: 0, item_id: "t" });
  const item = (type: string): object => ({ id: "t", type, status: "in_progress" });

  test.for(["function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"])(
    "that the client runs (%s) is never seen before it is complete",
    async (type, { serve }) => {
      const begun = [created, added(0, item(type)), typed("response.some.delta", { output_index: 0, delta: "{" })];
      const { perennial } = await serve([
        begun,
        [created, added(0, item(type)), done(0, item(type)), completed({ status: "completed" })],
      ]);
      expect((await ask(perennial)).body).not.toContain("response.some.delta");
      expect(await perennial.exchangeLog()).toMatchObject({ outcome: "recovered" });
    },
  );

  test("that the client runs may come whole, and never be announced", async ({ serve }) => {
    const events = [created, done(0, item("function_call")), completed({ status: "completed", output: [] })];
    const { perennial, upstream } = await serve([events]);
    expect((await ask(perennial)).body).toBe(events.join(""));
    expect(upstream.requests).toHaveLength(1);
  });

  test("that the client runs is measured by what it is called with, not by the events around it", async ({
    serve,
    startPerennial,
  }) => {
    const piece = typed("response.function_call_arguments.delta", { output_index: 0, item_id: "t", delta: "水" });
    const pieces = Array.from({ length: 200 }, () => piece);
    const call = item("function_call");
    const events = [created, added(0, call), ...pieces, done(0, call), completed({ status: "completed", output: [call] })];
    const cut = events.slice(0, -2);
    const { perennial, upstream } = await serve([events, cut], { limits: { maxGateBytes: "700B" }, retry: { maxAttempts: 1 } });
    expect((await ask(perennial)).body).toBe(events.join(""));
    expect((await ask(perennial)).body).not.toContain("水");
    const second = await startPerennial(upstream.baseUrl, { limits: { maxGateBytes: "500B" } });
    expect((await ask(second)).body.startsWith(cut.join(""))).toBe(true);
  });

  test.for([
    ["web_search_call", "response.web_search_call.searching"],
    ["file_search_call", "response.file_search_call.searching"],
    ["code_interpreter_call", "response.code_interpreter_call.interpreting"],
    ["image_generation_call", "response.image_generation_call.generating"],
    ["mcp_call", "response.mcp_call.in_progress"],
    ["mcp_list_tools", "response.mcp_list_tools.in_progress"],
  ])("that the server runs (%s) is seen while it runs", async ([type, step], { serve }) => {
    const { perennial } = await serve([`${STREAM_HEAD}${created}${added(0, item(type))}${progress(step)}`], {
      timeouts: { firstToken: "2s", idle: "2s" },
      retry: { maxAttempts: 1 },
    });
    let heard = false;
    const onRead: Sent["onRead"] = (body, abort) => {
      heard = body.includes(step);
      if (heard) abort();
    };
    await ask(perennial, {}, { onRead }).catch(() => {});
    expect(heard).toBe(true);
  });

  test("that draws may show more of its picture than the gate would hold", async ({ serve }) => {
    const picture = "x".repeat(1_200_000);
    const events = [
      created,
      added(0, item("image_generation_call")),
      typed("response.image_generation_call.partial_image", { output_index: 0, item_id: "t", partial_image_b64: picture }),
      done(0, { ...item("image_generation_call"), result: picture }),
      completed({ status: "completed", output: [] }),
    ];
    const { perennial } = await serve([events]);
    expect((await ask(perennial)).body === events.join("")).toBe(true);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "complete" });
  });

  test("that searches for long, and says so, is not stalled", async ({ serve }) => {
    const { perennial } = await serve(
      async (socket) => {
        socket.write(`${STREAM_HEAD}${created}`);
        // Longer than either clock allows for silence.
        for (let step = 0; step < 10; step++) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          socket.write(progress("response.web_search_call.searching"));
        }
        socket.end(whole);
      },
      { timeouts: { firstToken: "700ms", idle: "700ms" } },
    );
    expect((await ask(perennial)).body.endsWith(whole)).toBe(true);
  });

  test("that the server runs is called with what is no text of the answer", async ({ serve }) => {
    const called = typed("response.mcp_call_arguments.delta", { output_index: 0, delta: '{"q":' });
    const { perennial } = await serve([[created, added(0, item("mcp_call")), called]]);
    expect((await ask(perennial)).body).toContain("No text had arrived");
  });
});

describe("numbers", () => {
  const numbered = (...numbers: number[]): string[] => [
    ...numbers.map((sequence_number) => text("Hi", { sequence_number })),
    completed({ status: "completed", output: [message("Hi")] }),
  ];

  test.for([
    ["are all zero", [0, 0, 0]],
    ["start again", [0, 1, 2, 0, 1]],
    ["come twice", [0, 1, 1, 2]],
    ["start again, and mean nothing from there", [4, 5, 0, 7, 3, 9]],
  ])("that %s are those of a server that does not number its events", async ([_what, numbers], { serve }) => {
    const { perennial } = await serve([numbered(...numbers)]);
    expect((await ask(perennial)).body).toBe(numbered(...numbers).join(""));
  });

  test("may begin anywhere", async ({ serve }) => {
    const { perennial } = await serve([numbered(7, 8, 9)]);
    expect((await ask(perennial)).body).toBe(numbered(7, 8, 9).join(""));
  });

  test.for([[[0, 2]], [[0, 1, 2, 4]], [[-1, 1]]])("%j with one missing tell of a loss", async ([numbers], { serve }) => {
    const { perennial } = await serve([numbered(...numbers)]);
    expect(codeIn(await ask(perennial))).toBe("stream_corrupted");
  });

  test("with one missing raise an error in the official client", async ({ serve }) => {
    const { perennial } = await serve([numbered(0, 2)]);
    const client = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "sk-test", maxRetries: 0 });
    const read = async (): Promise<void> => {
      for await (const _ of await client.responses.create({ model: "m", input: "hi", stream: true }));
    };
    await expect(read()).rejects.toBeInstanceOf(APIError);
  });
});
