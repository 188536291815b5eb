/** The same generation, told again by its upstream: what clients have comes to nobody twice, and what is another comes to nobody. */
import { describe, expect, test } from "vitest";
import type { EventKind } from "../../core/event-sink.ts";
import { Failure } from "../../core/failure.ts";
import type { StreamEvent } from "../../core/stream-event.ts";
import { continueChat } from "../../dialect/continue-chat.ts";
import { NumberedSplice } from "./numbered-splice.ts";
import { ReplaySplice } from "./replay-splice.ts";

function sink() {
  const told: string[] = [];
  return {
    told,
    flows: false,
    push: ({ data }: StreamEvent, kind: EventKind) => void told.push(`${kind} ${data}`),
    flush() {
      return this.flows;
    },
    finish: () => void told.push("finish"),
  };
}

const seamOf = (act: () => void): unknown => {
  try {
    act();
    return "none";
  } catch (thrown) {
    return thrown instanceof Failure && thrown.seam;
  }
};

const chunk = (content: string, id = "c"): StreamEvent => ({
  event: undefined,
  data: JSON.stringify({ id, choices: [{ index: 0, delta: { content } }] }),
});

function replay(given: readonly StreamEvent[], isWanted = true) {
  const next = sink();
  const record = continueChat.record();
  for (const event of given) record.add(event);
  let accepted = 0;
  const accept = (): boolean => {
    accepted++;
    return isWanted;
  };
  const splice = new ReplaySplice({ next, given: record, again: continueChat.record(), accept });
  const push = (...events: StreamEvent[]): void => {
    for (const event of events) splice.push(event, "content");
  };
  return { splice, push, next, accepted: () => accepted };
}

describe("from its beginning (llama.cpp)", () => {
  const given = [chunk("one"), chunk(" two")];

  test("what clients have is swallowed, and what follows goes on; it is taken once", () => {
    const { splice, push, next, accepted } = replay(given);
    push(chunk("one"));
    expect([accepted(), splice.flush()]).toEqual([0, true]);
    push(chunk(" two"));
    expect([accepted(), next.told, splice.flush()]).toEqual([1, [], false]);
    push(chunk(" three"), chunk(" two"));
    splice.finish();
    expect([accepted(), next.told]).toEqual([1, [`content ${chunk(" three").data}`, `content ${chunk(" two").data}`, "finish"]]);
  });

  test.each<[string, readonly StreamEvent[], string | undefined]>([
    ["other words", [chunk("one"), chunk(" tow")], "sequence"],
    ["another answer", [chunk("one", "d"), chunk(" two", "d")], "sequence"],
    ["more in as many events", [chunk("one"), chunk(" two and")], "sequence"],
    ["more in fewer events", [chunk("one two and")], "sequence"],
    ["the same in other pieces", [chunk("on"), chunk("e two")], "none"],
  ])("%s: refused as %s", (_what, events, seam) => {
    const { push, next } = replay(given);
    expect(seamOf(() => push(...events))).toBe(seam);
    expect(next.told).toEqual([]);
  });

  test("its end before that is no end of the answer", () => {
    const { splice, push, next } = replay(given);
    push(chunk("one"));
    expect([seamOf(() => splice.finish()), next.told]).toEqual(["sequence", []]);
  });

  test("that comes too late for its run is given to nobody", () => {
    const { splice, push, next, accepted } = replay(given, false);
    push(...given, chunk(" three"), chunk(" four"));
    splice.finish();
    expect([accepted(), next.told, splice.flush()]).toEqual([1, [], true]);
  });
});

const numbered = (number: number | undefined): StreamEvent => ({ event: undefined, data: `${number}` });

function numbers(last: number | undefined, isWanted = true) {
  const next = sink();
  let accepted = 0;
  const splice = new NumberedSplice({
    next,
    last,
    numberOf: ({ data }) => (data === "undefined" ? undefined : Number(data)),
    accept() {
      accepted++;
      return isWanted;
    },
  });
  const push = (...all: (number | undefined)[]): void => {
    for (const number of all) splice.push(numbered(number), "meta");
  };
  return { splice, push, next, accepted: () => accepted };
}

describe("from behind what clients have (responses in the background)", () => {
  test("the next number goes on, and all that follow; what has none as well", () => {
    const { splice, push, next, accepted } = numbers(4);
    expect(splice.flush()).toBe(true);
    push(5, undefined, 6, 8);
    expect(splice.flush()).toBe(false);
    splice.finish();
    expect([accepted(), next.told]).toEqual([1, ["meta 5", "meta undefined", "meta 6", "meta 8", "finish"]]);
  });

  test.each<[number | undefined, readonly (number | undefined)[], readonly string[]]>([
    [4, [4], []],
    [4, [6], []],
    [4, [undefined], []],
    [undefined, [1], []],
    [4, [5, 5], ["meta 5"]],
    [4, [5, 6, undefined, 6], ["meta 5", "meta 6", "meta undefined"]],
    [4, [5, 4], ["meta 5"]],
  ])("behind %s, %j is not the answer, or tells of it again", (last, all, told) => {
    const { push, next } = numbers(last);
    expect(seamOf(() => push(...all))).toBe("sequence");
    expect(next.told).toEqual(told);
  });

  test("nothing at all is no end of the answer; what comes too late is given to nobody", () => {
    expect(seamOf(() => numbers(4).splice.finish())).toBe("sequence");
    const { splice, push, next, accepted } = numbers(4, false);
    push(5, 6);
    splice.finish();
    expect([accepted(), next.told, splice.flush()]).toEqual([1, [], true]);
  });
});
