/** A Fastify app that serves models beside its own routes. */
import Fastify from "fastify";
import { perennial } from "perennial";
import { createChaosServer } from "perennial/chaos";
import { expect, test } from "vitest";

test("an app answers under its own prefix, with its own say in who may ask", async () => {
  const chaos = createChaosServer({ tokenDelayMs: 0 });
  const { url: upstream } = await chaos.listen();

  const app = Fastify();
  app.get("/", () => ({ hello: "world" }));
  app.register(async (models) => {
    models.addHook("onRequest", async (request, reply) => {
      if (request.headers["x-user"] === undefined) return reply.code(401).send({ error: { message: "who are you?" } });
    });
    models.register(perennial, { prefix: "/llm", upstream, open: true, retry: { backoff: { initial: "10ms" } } });
  });
  const address = await app.listen({ port: 0 });

  const ask = (headers: Record<string, string>) =>
    fetch(`${address}/llm/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "chaos/empty+ok", stream: true, messages: [{ role: "user", content: "Hello" }] }),
    });
  const answer = await ask({ "x-user": "me" });
  expect(await answer.text()).toMatch(/data: \[DONE\]\s*$/);
  expect(answer.headers.get("x-perennial-attempts")).toBe("2");
  expect((await ask({})).status).toBe(401);
  expect(await (await fetch(address)).json()).toEqual({ hello: "world" });

  await app.close();
  await chaos.close();
});
