import { describe, expect, it } from "vitest";
import type { MinuteView } from "../telemetry/history/view.ts";
import { conditionOf, isItWorking, whoseFault } from "./verdict.ts";

const minute = (outcomes: MinuteView["outcomes"], lost = 0): MinuteView => ({ at: 0, outcomes, lost });
const hour = (...last: MinuteView[]): MinuteView[] => [...Array.from({ length: 60 - last.length }, () => minute({})), ...last];

describe("is it working?", () => {
  it.each([
    ["nothing was asked yet", 0, hour(), { is: "idle" }],
    ["nothing was asked in this hour", 7, hour(), { is: "quiet" }],
    ["clients that leave, and refusals, say nothing", 7, hour(minute({ cancelled: 3, rejected: 2 })), { is: "quiet" }],
    ["a request that was refused upstream says nothing", 7, hour(minute({ failed: 3, complete: 1 })), { is: "yes", judged: 1 }],
    ["all whole", 7, hour(minute({ complete: 5, recovered: 2 })), { is: "yes", whole: 7, mended: 2, judged: 7, when: "lately" }],
    ["few are lost", 7, hour(minute({ complete: 5, interrupted: 2 }, 2)), { is: "mostly", whole: 5, judged: 7 }],
    ["most are lost", 7, hour(minute({ complete: 1, failed: 2 }, 2)), { is: "no", whole: 1, judged: 3 }],
  ])("%s", (_what, total, minutes, expected) => {
    expect(isItWorking({ total, minutes })).toMatchObject(expected);
  });

  it("judges the last five minutes by themselves: an outage may be over", () => {
    const calm = [minute({}), minute({}), minute({}), minute({})];
    const over = hour(minute({ failed: 90 }, 90), ...calm, minute({ complete: 3 }));
    expect(isItWorking({ total: 93, minutes: over })).toMatchObject({ is: "yes", when: "lately", judged: 3 });
    const silent = hour(minute({ failed: 90 }, 90), ...calm, minute({}));
    expect(isItWorking({ total: 90, minutes: silent })).toMatchObject({ is: "no", when: "hour" });
  });
});

describe("whose fault?", () => {
  it("is that of which most failures came, and names the worst upstream", () => {
    expect(whoseFault([])).toEqual([]);
    const blames = whoseFault([
      { upstream: "a", code: "empty_stream", fault: "upstream", count: 3 },
      { upstream: undefined, code: "unauthorized", fault: "request", count: 4 },
      { upstream: "b", code: "stream_truncated", fault: "upstream", count: 2 },
    ]);
    expect(blames).toEqual([
      { fault: "upstream", count: 5, upstream: "a" },
      { fault: "request", count: 4, upstream: undefined },
    ]);
  });
});

it.each([
  [undefined, "idle"],
  [{ attempts: 0, failed: 0 }, "idle"],
  [{ attempts: 9, failed: 0 }, "well"],
  [{ attempts: 30, failed: 1 }, "well"],
  [{ attempts: 9, failed: 1 }, "shaky"],
  [{ attempts: 9, failed: 5 }, "bad"],
])("an upstream of %o is %s", (tally, condition) => {
  expect(conditionOf(tally)).toBe(condition);
});
