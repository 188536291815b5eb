import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { readBody } from "./body-limit.ts";

it("waits for no body of a client that has left before it was read", async () => {
  const incoming = Object.assign(new PassThrough(), { headers: {} });
  incoming.destroy();
  await once(incoming, "close");
  await expect(readBody(incoming as unknown as IncomingMessage, 10)).rejects.toMatchObject({
    code: "invalid_request",
    message: "The request body broke off.",
  });
});
