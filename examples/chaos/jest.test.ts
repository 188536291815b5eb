/** The same with Jest, by bare `fetch`: the fault is chosen by a header, so that the model's name may stay as it is. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type ChaosServer, createChaosServer } from "perennial/chaos";

describe("my gateway's client", () => {
  let chaos: ChaosServer;
  let url: string;

  beforeAll(async () => {
    chaos = createChaosServer({ tokenDelayMs: 0 });
    ({ url } = await chaos.listen());
  });
  afterAll(() => chaos.close());

  const ask = (fault: string) =>
    fetch(`${url}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-chaos": fault },
      body: JSON.stringify({ model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: "Hello" }] }),
    });

  test("hears of a rate limit when to come back", async () => {
    const response = await ask("429:7");
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("7");
  });

  test("hears that the connection broke", async () => {
    const response = await ask("reset:2");
    await expect(response.text()).rejects.toThrow();
  });
});
