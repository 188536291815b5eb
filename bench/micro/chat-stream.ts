/** A streamed chat completion as OpenAI words it, cut into reads of so many events: what the micro-benchmark is fed with. */

const WORDS =
  ' the of a stream proxy answer token and then 水 while model says (that) `code` it\'s\n\n **bold** 3.14 "quoted" café'.split(
    " ",
  );

/** Fields as api.openai.com sends them in 2026, padding of `obfuscation` included. */
function chunk(delta: object, finish: string | null, number: number): string {
  const json = {
    id: "chatcmpl-CfQ0b1x2y3z4a5b6c7d8e9f0",
    object: "chat.completion.chunk",
    created: 1_764_100_000,
    model: "gpt-4o-mini-2024-07-18",
    service_tier: "default",
    system_fingerprint: "fp_560af6e559",
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    usage: null,
    obfuscation: "9bQ2xYtR".slice(0, number % 9),
  };
  return `data: ${JSON.stringify(json)}\n\n`;
}

export interface ChatReads {
  readonly first: Buffer;
  /** Content, `eventsPerRead` events in each. */
  readonly reads: readonly Buffer[];
  readonly last: Buffer;
}

export function chatReads(events: number, eventsPerRead: number): ChatReads {
  const content = Array.from({ length: events }, (_, i) => chunk({ content: ` ${WORDS[i % WORDS.length]}` }, null, i));
  const reads: Buffer[] = [];
  for (let i = 0; i < events; i += eventsPerRead) reads.push(Buffer.from(content.slice(i, i + eventsPerRead).join("")));
  return {
    first: Buffer.from(chunk({ role: "assistant", content: "", refusal: null }, null, 0)),
    reads,
    last: Buffer.from(`${chunk({}, "stop", 1)}data: [DONE]\n\n`),
  };
}

/** A conversation of some length, with tools: about 9 KB, as agents send them. */
export function chatRequest(): Buffer {
  const text = "Please look at the stream that broke off yesterday, and say what its client was told. ".repeat(4);
  return Buffer.from(
    JSON.stringify({
      model: "gpt-4o-mini",
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.2,
      messages: Array.from({ length: 20 }, (_, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content: `${i}: ${text}` })),
      tools: Array.from({ length: 4 }, (_, i) => ({
        type: "function",
        function: {
          name: `tool_${i}`,
          description: "Reads a part of a file.",
          parameters: { type: "object", properties: { path: { type: "string" }, line: { type: "integer" } }, required: ["path"] },
        },
      })),
    }),
  );
}
