import { expect, it } from "vitest";
import { storedRequest } from "./stored-request.ts";

const body = Buffer.from('{"model":"m"}');
const asked = (path: string, more: object = {}) =>
  storedRequest({ method: "POST", path, headers: {}, body, ...more }, 1_000)?.path;

it("keeps what is asked, and of the headers those alone that say nothing of who asks", () => {
  const headers = {
    authorization: "Bearer secret",
    "x-api-key": "secret",
    "proxy-authorization": "secret",
    cookie: "secret",
    "x-forwarded-for": "secret",
    "openai-organization": "secret",
    "idempotency-key": "secret",
    "content-encoding": "gzip",
    "content-type": "application/json",
    "anthropic-version": "2023-06-01",
    "x-perennial-recovery": "resume",
  };
  const plain = Buffer.from('{"model":"plain"}');
  const stored = storedRequest({ method: "POST", path: "/chat/completions", headers, body, plain }, 1_000);
  expect(stored).toEqual({
    method: "POST",
    path: "/chat/completions",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01", "x-perennial-recovery": "resume" },
    body: '{"model":"plain"}',
  });
});

it("keeps no request whose query may hold a key, whose body is too large, or is no text", () => {
  expect(asked("/chat/completions?api-version=1&beta=true")).toBe("/chat/completions?api-version=1&beta=true");
  for (const path of ["/chat/completions?key=secret", "/chat/completions?api-version=1&sig=secret", "/x?%6bey=secret"])
    expect(asked(path)).toBeUndefined();
  expect(asked("/chat/completions", { body: Buffer.alloc(1_001, "a") })).toBeUndefined();
  expect(asked("/chat/completions", { body: Buffer.from([0xff, 0xfe]) })).toBeUndefined();
});
