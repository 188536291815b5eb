/** The fixture that all tests stand on: what it opened is closed, and what went wrong is told. */
import { test as bare, describe, expect } from "vitest";
import { send } from "./support/client.ts";
import { createOpened } from "./support/opened.ts";
import { test } from "./support/test.ts";

bare("everything is closed, the last first, though one of them does not close, and its error is told", async () => {
  const closed: string[] = [];
  const opened = createOpened();
  opened.add({ close: () => closed.push("upstream") });
  opened.add({ close: () => Promise.reject(new Error("stuck")) });
  opened.add({ close: () => closed.push("perennial") });
  await expect(opened.closeAll()).rejects.toThrow("stuck");
  expect(closed).toEqual(["perennial", "upstream"]);
});

describe("a set-up that fails half-way", () => {
  let left: string;

  test("says why", async ({ serve, startUpstream }) => {
    left = (await startUpstream((socket) => socket.end())).baseUrl;
    await expect(serve([], { timeouts: { idle: "soon" } })).rejects.toThrow(/idle/);
  });

  bare("leaves nothing open", async () => {
    await expect(send(left)).rejects.toThrow("ECONNREFUSED");
  });
});
