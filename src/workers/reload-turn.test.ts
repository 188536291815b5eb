import { expect, it } from "vitest";
import type { PreparedReload } from "../runtime/runtime.ts";
import { ReloadTurn } from "./reload-turn.ts";

function createPrepared(did: string[], name: string): PreparedReload {
  return {
    async commit() {
      did.push(`${name} committed`);
      return { changed: [], needsRestart: [] };
    },
    async cancel() {
      did.push(`${name} cancelled`);
    },
  };
}

it("cancels nothing that is in force, and all that is not, however late it was ready", async () => {
  const did: string[] = [];
  const turn = new ReloadTurn();
  await expect(turn.commit()).rejects.toThrow("nothing to commit");
  await turn.prepare(Promise.resolve(createPrepared(did, "first")));
  await turn.commit();
  // The next one is refused here, or elsewhere: all are told to cancel.
  await expect(turn.prepare(Promise.reject(new Error("refused")))).rejects.toThrow("refused");
  await turn.cancel();
  await turn.cancel();
  const late = Promise.withResolvers<PreparedReload>();
  void turn.prepare(late.promise);
  const cancelled = turn.cancel();
  late.resolve(createPrepared(did, "late"));
  await cancelled;
  expect(did).toEqual(["first committed", "late cancelled"]);
});
