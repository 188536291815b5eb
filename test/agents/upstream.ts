/** A model server for agents that plays one scenario, and remembers what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messagesSpeaker, type Speaker, type Speech } from "./say-messages.ts";
import { responsesSpeaker } from "./say-responses.ts";
import { type Scenario, type Times, TOOL_MARK } from "./scenarios.ts";

export interface AgentUpstream {
  /** Without `/v1`. */
  readonly url: string;
  /** Requests for an answer. */
  asked(): number;
  /** A tool was run with all of its arguments, and its output came back. */
  toolRan(): boolean;
  close(): void;
}

const SPEAKERS: Readonly<Record<string, Speaker>> = { "/v1/messages": messagesSpeaker, "/v1/responses": responsesSpeaker };

export async function startAgentUpstream(scenario: Scenario, times: Times): Promise<AgentUpstream> {
  let asked = 0;
  let toolRan = false;
  let firstAt: number | undefined;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const part of request.setEncoding("utf8")) text += part;
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const speaker = request.method === "POST" ? SPEAKERS[path] : undefined;
    if (speaker === undefined) return replyToProbe(path, request, response);
    asked++;
    firstAt ??= performance.now();
    if (scenario === "outage" && performance.now() - firstAt < times.outageMs) return refuse(response);
    const body = JSON.parse(text) as Record<string, unknown>;
    // The command itself holds the mark too: what counts is a result.
    if (/tool_result|function_call_output/.test(text) && text.split(TOOL_MARK).length > 2) toolRan = true;
    if (body.stream !== true) return replyJson(response, 200, speaker.answer(body));
    await speaker.stream(body, response, speechFor(text));
  }

  /** The first turn with tools gets the scenario; a title, or what follows a tool's result, gets the plain answer. */
  function speechFor(text: string): Speech {
    const isTurn = text.includes('"tools":[{') && !/tool_result|function_call_output/.test(text);
    return {
      thinkMs: isTurn && scenario === "hidden thinking" ? times.thinkMs : 0,
      toolMs: isTurn && scenario === "long tool call" ? times.toolMs : undefined,
      breaks: scenario === "break in mid-answer",
    };
  }

  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    toolRan: () => toolRan,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function replyJson(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse): void {
  replyJson(response, 503, { type: "error", error: { type: "overloaded_error", message: "The server is restarting." } });
}

/** What agents ask beside answers: whether anything is there, which models, how many tokens. */
function replyToProbe(path: string, request: IncomingMessage, response: ServerResponse): void {
  if (path.endsWith("/count_tokens")) replyJson(response, 200, { input_tokens: 10 });
  else if (path.endsWith("/models")) replyJson(response, 200, { object: "list", data: [], models: [] });
  else if (request.method === "HEAD") response.writeHead(200).end();
  else replyJson(response, 404, { error: { message: "not found", code: "404" } });
}
