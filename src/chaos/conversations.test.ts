/** The counters behind sequences: bounded in number and in time. */
import { expect, it } from "vitest";
import { conversationKey, createConversations } from "./conversations.ts";

it("begins again after the last step, and forgets what is over", () => {
  const conversations = createConversations();
  expect([1, 2, 3, 4].map(() => conversations.nextAttempt("a", 3))).toEqual([0, 1, 2, 0]);
  expect(conversations.size).toBe(1);
  expect(conversations.nextAttempt("b", 1)).toBe(0);
  expect(conversations.size).toBe(1);
});

it("forgets a conversation ten minutes after its last attempt", () => {
  let now = 0;
  const conversations = createConversations({ now: () => now });
  conversations.nextAttempt("a", 4);
  now += 599_999;
  expect(conversations.nextAttempt("a", 4)).toBe(1);
  now += 600_000;
  expect(conversations.nextAttempt("a", 4)).toBe(0);
});

it("forgets the oldest beyond its limit", () => {
  const conversations = createConversations({ limit: 2 });
  for (const key of ["a", "b", "c", "d"]) conversations.nextAttempt(key, 2);
  expect(conversations.size).toBeLessThanOrEqual(3);
  expect(conversations.nextAttempt("d", 2)).toBe(1);
  expect(conversations.nextAttempt("a", 2)).toBe(0);
});

it("takes requests for one conversation that differ only in how they are streamed", () => {
  const body = { model: "m", messages: [{ role: "user", content: "细水长流" }] };
  const key = conversationKey("500,ok", "/v1/chat/completions", body);
  expect(conversationKey("500,ok", "/v1/chat/completions", { ...body, stream: true, stream_options: {} })).toBe(key);
  expect(conversationKey("500,ok", "/v1/chat/completions", { ...body, temperature: 1 })).not.toBe(key);
  expect(conversationKey("502,ok", "/v1/chat/completions", body)).not.toBe(key);
});
