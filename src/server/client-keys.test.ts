import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { createKeyCheck, NO_KEY_NEEDED, refuseModel } from "./client-keys.ts";

const idOf = (key: string): string => createHash("sha256").update(key).digest("base64");
const TEAM = { key: "team-key", name: "team", priority: 2, models: ["gpt-*"] };

it("finds whose key a request has brought, wherever clients put it", () => {
  const keyOf = createKeyCheck(["plain-key", TEAM.key], [TEAM]);
  const team = { id: idOf(TEAM.key), client: { id: idOf(TEAM.key), name: "team", priority: 2, models: ["gpt-*"] } };
  const plain = { id: idOf("plain-key"), client: undefined };
  for (const [headers, holder] of [
    [{ authorization: "Bearer team-key" }, team],
    [{ authorization: "bearer   team-key" }, team],
    [{ "x-api-key": "team-key" }, team],
    [{ "api-key": "team-key" }, team],
    [{ authorization: "Bearer plain-key", "x-api-key": "team-key" }, plain],
    [{ authorization: "Basic plain-key", "x-api-key": "plain-key" }, plain],
    [{ "x-api-key": "plain-key", "api-key": "team-key" }, plain],
    [{ authorization: "Bearer other-key" }, undefined],
    [{ authorization: "plain-key" }, undefined],
    [{ authorization: "Bearer plain-key " }, undefined],
    [{ authorization: "Bearer" }, undefined],
    [{ authorization: "No Bearer plain-key" }, undefined],
    [{}, undefined],
  ] as const) {
    expect([headers, keyOf(headers)]).toEqual([headers, holder]);
  }
  expect(createKeyCheck([])({ authorization: "Bearer any" })).toEqual({ id: NO_KEY_NEEDED, client: undefined });
});

const CLIENT = { id: "1", name: "team", priority: 0, models: ["gpt-*", "glm-4"] };

it.each([
  ["POST", "gpt-4.1", undefined],
  ["POST", "glm-4", undefined],
  ["GET", undefined, undefined],
  ["HEAD", undefined, undefined],
  ["OPTIONS", undefined, undefined],
  ["POST", undefined, "requests that do not name their model"],
  ["DELETE", undefined, "requests that do not name their model"],
  ["GET", "glm-5", 'the model "glm-5"'],
  ["POST", "glm-45", 'the model "glm-45"'],
  ["POST", "m".repeat(300), `the model "${"m".repeat(200)}"`],
])("%s for the model %s, with a key that is for others, is refused by name or let through", (method, model, what) => {
  expect(() => refuseModel(undefined, method, model)).not.toThrow();
  expect(() => refuseModel({ ...CLIENT, models: undefined }, method, model)).not.toThrow();
  const ask = (): void => refuseModel(CLIENT, method, model);
  if (what === undefined) return expect(ask).not.toThrow();
  const message = `The key "team" is not for ${what} (auth.keys: models).`;
  expect(ask).toThrow(expect.objectContaining({ code: "unauthorized", status: 403, message }));
});
