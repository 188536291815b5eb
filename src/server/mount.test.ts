import Fastify, { type FastifyInstance } from "fastify";
import { expect, it, onTestFinished } from "vitest";
import { mountServer } from "./mount.ts";

it.each([
  ["/llm", "/llm/v1/a?b=/c", "/v1/a?b=/c"],
  ["/llm", "/llm/", "/"],
  ["/llm/v1", "/llm/v1/a", "/v1/a"],
  ["/llm/v1/", "/llm/v1/a", "/v1/a"],
  ["/v1/llm", "/v1/llm/a", "/a"],
  ["/v1", "/v1/a", "/v1/a"],
])("under %s what is asked at %s is asked at %s, with its body unread", async (prefix, url, expected) => {
  const server = {
    async routing(request: AsyncIterable<Buffer> & { url: string }, response: { end(text: string): void }) {
      let body = "";
      for await (const chunk of request) body += chunk;
      response.end(JSON.stringify([request.url, body]));
    },
  };
  const app = Fastify();
  onTestFinished(() => app.close());
  app.addHook("onRequest", async (_request, reply) => void reply.header("x-app", "mine"));
  app.register(async (host) => mountServer(host, server as unknown as FastifyInstance), { prefix });
  for (const type of ["application/json", "text/plain", "x/y"]) {
    const { body, headers } = await app.inject({ method: "POST", url, headers: { "content-type": type }, body: "{no json" });
    expect([JSON.parse(body), headers["x-app"]]).toEqual([[expected, "{no json"], "mine"]);
  }
});
