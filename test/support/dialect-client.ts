/** An upstream and a client of one dialect, for the suites that run over all of them. */
import { type Seen, send } from "./client.ts";
import { type DialectFixture, FIXTURES } from "./dialect-fixtures.ts";
import { type RawRequest, sendFramed } from "./raw-upstream.ts";
import type { Serve, Served } from "./test.ts";

/** Events make a stream, a string is sent as it is, and its end is the connection's. */
type DialectReply = readonly string[] | string;

export function serveDialect(
  serve: Serve,
  fixture: Pick<DialectFixture, "upstream">,
  answer: (request: RawRequest) => DialectReply,
  settings: Record<string, unknown> = {},
): Promise<Served> {
  return serve(
    (socket, request) => {
      const reply = answer(request);
      if (typeof reply === "string") socket.end(reply);
      else sendFramed(socket, "chunked", reply);
    },
    { ...settings, upstream: { ...fixture.upstream, ...(settings.upstream as object) } },
  );
}

export function askDialect(
  { url }: { readonly url: string },
  fixture: DialectFixture,
  fields: object = {},
  headers: Record<string, string> = {},
): Promise<Seen> {
  return send(url + fixture.path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "m", stream: true, ...fixture.request, ...fields }),
  });
}

export const byName = (name: string): DialectFixture => FIXTURES.find((fixture) => fixture.name === name) as DialectFixture;
