/** What servers on FastAPI, uvicorn and sse-starlette have in common on the wire. */
import type { Endpoint, JsonObject } from "../personality.ts";
import { jsonReply, reply, type Send, type Step, send } from "../script.ts";

/** One event as sse-starlette writes it: CRLF line ends, and each line of the data a field of its own. */
export function starletteEvent(data: string): Send {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\r\n`);
  return send(`${lines.join("")}\r\n`);
}

export const UVICORN = {
  // uvicorn's timeout_keep_alive.
  keepAliveMs: 5_000,
  hidesKeepAlive: true,
  headers: { server: "uvicorn" },
  errorBody: (status: number, message: string) => ({ detail: status === 404 ? "Not Found" : message }),
  unreadableStatus: 422,
} as const;

/** An exception before the first byte of a reply. */
export function internalError(): Iterable<Step> {
  return reply(500, "text/plain; charset=utf-8", "Internal Server Error");
}

/** pydantic's refusal of a body without a field it must have; undefined when the fields are there. */
export function refuseMissing(fields: JsonObject, names: readonly string[]): (() => Iterable<Step>) | undefined {
  const missing = names.filter((name) => fields[name] === undefined || fields[name] === null);
  if (missing.length === 0) return undefined;
  const detail = missing.map((name) => ({ type: "missing", loc: ["body", name], msg: "Field required", input: fields }));
  return () => jsonReply(422, { detail });
}

/** FastAPI's own page; both Chatchats redirect their root to it. */
export const DOCS_PAGES: Readonly<Record<string, Endpoint>> = {
  "GET /": {
    answer: () => undefined,
    quirk: () => () => reply(307, "text/html; charset=utf-8", "", { location: "/docs" }),
  },
  "GET /docs": {
    answer: () => undefined,
    quirk: () => () =>
      reply(
        200,
        "text/html; charset=utf-8",
        '<!DOCTYPE html>\n<html>\n<head>\n<title>Langchain-Chatchat API Server - Swagger UI</title>\n</head>\n<body>\n<div id="swagger-ui"></div>\n</body>\n</html>\n',
      ),
  },
};
