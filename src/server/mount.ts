/** Puts the server's routes under a prefix of another Fastify app: its requests are answered here, on its connections. */
import type { FastifyInstance, FastifyPluginAsync } from "fastify";

export type HostApp = FastifyInstance;
export type HostPlugin<Options extends object> = FastifyPluginAsync<Options>;

/** TRACE is left out, as it is in the server itself. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** @param host a context of its own, as `register` makes one: its parsers and its routes touch nothing else. */
export function mountServer(host: HostApp, server: FastifyInstance): void {
  // `/v1` belongs to the paths of the API, also where the prefix ends with it.
  const cut = host.prefix.replace(/\/v1\/?$/, "").length;
  // Bodies are read there, or passed on unread.
  host.removeAllContentTypeParsers();
  host.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
  host.route({
    method: METHODS,
    url: "/*",
    handler(request, reply) {
      reply.hijack();
      // What the host's own hooks have said, of CORS for example, stays said.
      for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value);
      request.raw.url = request.raw.url?.slice(cut) || "/";
      server.routing(request.raw, reply.raw);
    },
  });
}
