import { describe, expect, it } from "vitest";
import { ReadTurns } from "./read-turns.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const READ_BYTES = 64 * 1024;

/** An upstream that floods: as soon as it is read again, as much comes again. */
function flood(name: string, log: string[], reads: number): ReadTurns {
  let left = reads;
  const read = (): void => {
    log.push(name);
    if (--left > 0) turns.onRead(READ_BYTES);
  };
  const turns = new ReadTurns(() => log.push(`${name} paused`), read);
  turns.onRead(READ_BYTES);
  return turns;
}

describe("ReadTurns", () => {
  it("pauses what brings much in one turn of the event loop, and reads on in the next", async () => {
    const log: string[] = [];
    const turns = new ReadTurns(
      () => log.push("pause"),
      () => log.push("resume"),
    );
    turns.onRead(READ_BYTES - 1);
    expect(log).toEqual([]);
    turns.onRead(1);
    turns.onRead(READ_BYTES);
    expect(log).toEqual(["pause"]);
    expect(turns.isWaiting).toBe(true);
    await nextTurn();
    expect(log).toEqual(["pause", "resume"]);
    expect(turns.isWaiting).toBe(false);
  });

  it("never pauses what comes little by little, however long", async () => {
    const log: string[] = [];
    const turns = new ReadTurns(
      () => log.push("pause"),
      () => log.push("resume"),
    );
    for (let i = 0; i < 20; i++) {
      turns.onRead(READ_BYTES - 1);
      await nextTurn();
    }
    expect(log).toEqual([]);
  });

  it("gives each one turn in a turn of the event loop: undici hands over an empty chunk when there is nothing left to read", async () => {
    let resumed = 0;
    const turns: ReadTurns = new ReadTurns(
      () => {},
      () => {
        resumed++;
        turns.onRead(resumed === 1 ? READ_BYTES : 0);
      },
    );
    turns.onRead(READ_BYTES);
    await nextTurn();
    expect(resumed).toBe(1);
    await nextTurn();
    expect(resumed).toBe(2);
    expect(turns.isWaiting).toBe(false);
  });

  it("reads those that flood one after the other, and the others' turn comes in between", async () => {
    const log: string[] = [];
    flood("a", log, 3_000);
    flood("b", log, 3_000);
    const busy = performance.now() + 30;
    const slow = new ReadTurns(
      () => {},
      () => {
        while (performance.now() < busy);
      },
    );
    slow.onRead(READ_BYTES);
    await nextTurn();
    const resumed = log.filter((what) => !what.endsWith("paused"));
    expect(resumed.slice(0, 2)).toEqual(["a", "b"]);
    // What took its time has ended the turn of all.
    expect(resumed.length).toBeLessThan(6_000);
    while (log.filter((what) => !what.endsWith("paused")).length < 6_000) await nextTurn();
  });
});
