// The server of a chat made with the AI SDK: useChat({ resume: true }) finds its answer again after the page was reloaded.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { convertToModelMessages, streamText, type UIMessage } from "ai";

const BASE_URL = process.env.PERENNIAL_URL ?? "http://127.0.0.1:8787/v1";

/** The stream of the answer that is made for a chat, by the chat's id. With several servers it belongs into their database. */
const streams = new Map<string, string>();

/** POST /api/chat */
export async function POST(request: Request): Promise<Response> {
  const { id, messages } = (await request.json()) as { id: string; messages: UIMessage[] };
  streams.delete(id);
  const perennial = createOpenAICompatible({
    name: "perennial",
    baseURL: BASE_URL,
    headers: { "x-perennial-replay": "1" },
    async fetch(input, init) {
      const response = await fetch(input, init);
      const stream = response.headers.get("x-perennial-stream");
      if (stream !== null) streams.set(id, stream);
      return response;
    },
  });
  return streamText({
    model: perennial("gpt-4o-mini"),
    messages: await convertToModelMessages(messages),
  }).toUIMessageStreamResponse();
}

/** GET /api/chat/:id/stream, which useChat({ resume: true }) asks when the page opens: 204 means that there is nothing to resume. */
export async function GET(_request: Request, id: string): Promise<Response> {
  const stream = streams.get(id);
  if (stream === undefined) return new Response(null, { status: 204 });
  const answer = await fetch(`${BASE_URL}/streams/${stream}`);
  // Not kept any more, or not begun.
  if (answer.status !== 200) return new Response(null, { status: 204 });
  // The SDK reads the answer from where it stands in place of asking for one.
  const perennial = createOpenAICompatible({ name: "perennial", baseURL: BASE_URL, fetch: async () => answer });
  return streamText({ model: perennial("gpt-4o-mini"), prompt: "resumed", maxRetries: 0 }).toUIMessageStreamResponse();
}
