import { expect, it } from "vitest";
import { NaiveClient } from "./naive-client.ts";

const chunk = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;

function lived(...reads: string[]): NaiveClient {
  const client = new NaiveClient();
  client.head(200);
  for (const read of reads) client.read(read);
  return client;
}

it("adds up what comes, however it is cut into reads", () => {
  const whole = chunk("Hello ") + chunk("world");
  expect(lived(...whole).reading).toEqual({ text: "Hello world", end: "not yet" });
});

it("believes [DONE], and the end of the body", () => {
  expect(lived(chunk("a"), "data: [DONE]\n\n", chunk("b")).reading).toEqual({ text: "a", end: "over" });
  const client = lived(chunk("a"));
  client.end("clean");
  expect(client.reading.end).toBe("over");
});

it.each([
  ["an error event", (client: NaiveClient) => client.read('data: {"error":{"code":"stream_truncated"}}\n\n'), "stream_truncated"],
  ["an HTTP error", (client: NaiveClient) => client.head(429), "HTTP 429"],
  ["a connection that breaks", (client: NaiveClient) => client.end("cut"), ""],
])("throws at %s, once", (_what, live, error) => {
  const client = new NaiveClient();
  live(client);
  client.end("clean");
  expect(client.reading.end).toEqual({ error });
});
