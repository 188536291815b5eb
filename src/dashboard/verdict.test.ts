import { describe, expect, it } from "vitest";
import type { Rest } from "../core/upstream-state.ts";
import type { MinuteView, UpstreamView } from "../telemetry/history/view.ts";
import { conditionOf, isItWorking, whoIsOut, whoseFault } from "./verdict.ts";

const minute = (outcomes: MinuteView["outcomes"], lost = 0): MinuteView => ({ at: 0, outcomes, lost });
const hour = (...last: MinuteView[]): MinuteView[] => [...Array.from({ length: 60 - last.length }, () => minute({})), ...last];

const rest = (more: Partial<Rest> = {}): Rest => ({
  ...{
    part: "m",
    why: "outage",
    failure: "upstream_status",
    status: 503,
    lastedMs: 9_000,
    waitMs: 1,
    isAsked: false,
    waiting: 0,
  },
  ...more,
});
const upstream = (name: string, rests: readonly Rest[] = [], keys: UpstreamView["keys"] = []): UpstreamView => ({
  ...{ name, rests, keys, open: 0, counts: { outage: rests.length, breaker: 0 }, health: undefined, breaker: "closed" },
  ...{ host: "", profile: undefined, api: "openai", maxConnections: undefined },
});

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
    expect(isItWorking({ total, minutes, upstreams: [], upstreamCount: 0 })).toMatchObject(expected);
  });

  it("judges the last five minutes by themselves: an outage may be over", () => {
    const calm = [minute({}), minute({}), minute({}), minute({})];
    const over = hour(minute({ failed: 90 }, 90), ...calm, minute({ complete: 3 }));
    expect(isItWorking({ total: 93, minutes: over, upstreams: [upstream("a")], upstreamCount: 1 })).toMatchObject({
      is: "yes",
      when: "lately",
      judged: 3,
    });
    const silent = hour(minute({ failed: 90 }, 90), ...calm, minute({}));
    expect(isItWorking({ total: 90, minutes: silent, upstreams: [], upstreamCount: 0 })).toMatchObject({
      is: "no",
      when: "hour",
    });
  });
});

describe("who is out?", () => {
  const whole = rest({ part: undefined });
  it.each([
    ["nobody", [upstream("a"), upstream("b")], 2, undefined],
    ["one model, for which nobody waits", [upstream("a", [rest()])], 1, undefined],
    ["one of two, whole", [upstream("a", [whole]), upstream("b")], 2, undefined],
    ["all of them", [upstream("a", [whole]), upstream("b", [whole])], 2, "a"],
    ["all that are shown, but not all", [upstream("a", [whole])], 2, undefined],
    ["that for which most wait", [upstream("a", [rest({ waiting: 1 })]), upstream("b", [rest(), rest({ waiting: 5 })])], 2, "b"],
    ["nobody yet: it has only begun", [upstream("a", [rest({ waiting: 1, lastedMs: 100 })])], 1, undefined],
  ])("%s", (_what, upstreams, upstreamCount, expected) => {
    expect(whoIsOut({ upstreams, upstreamCount })?.upstream.name).toBe(expected);
    const verdict = isItWorking({ total: 1, minutes: hour(minute({ complete: 5 })), upstreams, upstreamCount });
    expect(verdict.is).toBe(expected === undefined ? "yes" : "out");
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
  expect(conditionOf(upstream("a"), tally)).toBe(condition);
});

it("an upstream is in the condition that it is in now, whatever it was lately", () => {
  const well = { attempts: 9, failed: 0 };
  const refused = { why: "refused", status: 401, waitMs: 1, parts: undefined } as const;
  const [bad, good] = [
    { number: 1, rest: refused },
    { number: 2, rest: undefined },
  ];
  expect(conditionOf(upstream("a", [rest(), rest({ part: undefined })]), well)).toBe("out");
  expect(conditionOf(upstream("a", [rest()]), well)).toBe("partly");
  expect(conditionOf(upstream("a", [], [bad]), well)).toBe("keyless");
  expect(conditionOf(upstream("a", [], [bad, good]), well)).toBe("well");
});
