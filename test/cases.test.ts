/** What real upstreams send, recreated from public reports: each case from a real socket, and what the client is told. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadCases } from "./cases/case.ts";
import { type CasePlayer, startCasePlayer } from "./cases/play.ts";

/** Some upstreams stay open, or load, for seconds. */
const TIME_LIMIT_MS = 60_000;

let player: CasePlayer;
beforeAll(async () => {
  player = await startCasePlayer();
});
afterAll(() => player.close());

const cases = loadCases();

for (const one of cases) {
  test.concurrent(`${one.id}: ${one.title}`, async () => expect(await player.play(one)).toEqual([]), TIME_LIMIT_MS);
}
