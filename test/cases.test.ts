/** What real upstreams send, recreated from public reports: each case from a real socket, and what the client is told. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadCases } from "./cases/case.ts";
import { type CasePlayer, startCasePlayer } from "./cases/play.ts";

/** Cases that wait for another part of Perennial, each with what it waits for. Delete the line with the work. */
const NOT_YET: Readonly<Record<string, string>> = {
  "clock-first-token-default": "the new clocks",
  "clock-idle-default": "the new clocks",
  "clock-silence-unstreamed": "the new clocks",
  "clock-loading": "outages to be counted in time",
  "end-json-without-last-chunk": "a finished JSON answer to count without its last chunk",
  "end-never-closed": "the clock behind a finish",
  "label-application-json": "the body to say what it is, whatever its label",
  "label-json-and-done-as-sse": "the body to say what it is, whatever its label",
  "label-json-as-sse": "the body to say what it is, whatever its label",
  "label-messages-octet-stream": "the body to say what it is, whatever its label",
  "label-none": "the body to say what it is, whatever its label",
  "label-sse-for-unstreamed": "the body to say what it is, whatever its label",
  "label-text-html": "the body to say what it is, whatever its label",
  "label-two-types": "the body to say what it is, whatever its label",
  "once-gzip": "compressed answers to be read",
  "ours-stream-options": "what we changed to be taken back",
  "redirect-301": "redirects to end at Perennial",
  "redirect-307": "redirects to end at Perennial",
  "redirect-308-slash": "redirects to end at Perennial",
};

/** Some upstreams stay open, or load, for seconds. */
const TIME_LIMIT_MS = 60_000;

let player: CasePlayer;
beforeAll(async () => {
  player = await startCasePlayer();
});
afterAll(() => player.close());

const cases = loadCases();

for (const one of cases) {
  const reason = NOT_YET[one.id];
  const play = async (): Promise<void> => expect(await player.play(one)).toEqual([]);
  if (reason === undefined) test.concurrent(`${one.id}: ${one.title}`, play, TIME_LIMIT_MS);
  else test.skip(`${one.id}: ${one.title} (waits for ${reason})`, play);
}

test("every case that waits is a case", () => {
  const ids = new Set(cases.map(({ id }) => id));
  expect(Object.keys(NOT_YET).filter((id) => !ids.has(id))).toEqual([]);
});
