/** What counts as less for an agent behind Perennial, and what does not. */
import { expect, test } from "vitest";
import { complaintsOf, type Outcome, printTable, type Row } from "./compare.ts";

const whole: Outcome = {
  gotAnswer: true,
  toldError: false,
  isEndless: false,
  toolRan: true,
  asked: 1,
  seconds: 1,
  elsewhere: [],
  output: "",
};
const failed: Outcome = { ...whole, gotAnswer: false, toldError: true };
const silent: Outcome = { ...whole, gotAnswer: false };

const row = (direct: Outcome, through: Outcome, scenario: Row["scenario"] = "whole"): Row => ({
  agent: "claude",
  scenario,
  direct,
  through,
});

test.each([
  ["the same", row(whole, whole), []],
  ["more through Perennial", row(failed, whole, "outage"), []],
  ["an error both ways", row(failed, failed), []],
  ["an error in place of an answer", row(whole, failed), ["gets less"]],
  ["a tool that was not run", row(whole, { ...whole, toolRan: false }), ["gets less"]],
  ["an error that is hidden", row(failed, silent), ["is told less"]],
  ["a healthy answer that is paid for twice", row(whole, { ...whole, asked: 2 }), ["pays more often"]],
  ["an outage that is asked about more often", row(whole, { ...whole, asked: 9 }, "outage"), []],
  ["a request to somebody else", row(whole, { ...whole, elsewhere: ["example.com:443"] }), ["asked another host"]],
])("%s", (_name, compared, expected) => {
  expect(complaintsOf(compared)).toEqual(expected);
});

test("the table says which row is worse", () => {
  expect(printTable([row(whole, silent)])).toContain("**less, without an error**, 1 s, 1 asked | **gets less** |");
});
