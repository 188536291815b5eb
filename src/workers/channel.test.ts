import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { Channel, ChannelClosed, type End } from "./channel.ts";

/** Two ends of one pipe, in this process. */
function pipe(): { near: EventEmitter & End; far: EventEmitter & End; close(): void } {
  const make = (): EventEmitter & { connected: boolean; other?: EventEmitter; send(message: unknown): boolean } =>
    Object.assign(new EventEmitter(), {
      connected: true,
      send(this: { other?: EventEmitter }, message: unknown) {
        setImmediate(() => this.other?.emit("message", structuredClone(message)));
        return true;
      },
    });
  const [near, far] = [make(), make()];
  near.other = far;
  far.other = near;
  const close = (): void => {
    for (const end of [near, far]) {
      end.connected = false;
      end.emit("disconnect");
    }
  };
  return { near, far, close } as unknown as ReturnType<typeof pipe>;
}

type Asked = {
  double(number: number): number;
  fail(): never;
  later(): Promise<Map<string, number>>;
  never(): Promise<void>;
};

it("answers calls by their numbers, whatever their order, and tells defects and ends apart", async () => {
  const { near, far, close } = pipe();
  new Channel(far, {
    double: (number: number) => number * 2,
    fail() {
      throw new Error("a defect");
    },
    later: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return new Map([["end", Number.POSITIVE_INFINITY]]);
    },
    never: () => new Promise(() => {}),
  });
  const channel = new Channel<Asked>(near, {});
  // Of other parts of Node that speak over the same pipe.
  near.emit("message", { cmd: "NODE_CLUSTER" });
  const answers = [channel.call("later", undefined), channel.call("double", 4), channel.call("double", 5)];
  expect(await Promise.all(answers)).toEqual([new Map([["end", Number.POSITIVE_INFINITY]]), 8, 10]);
  await expect(channel.call("fail", undefined)).rejects.toThrow("a defect");
  await expect(channel.call("fail", undefined)).rejects.not.toBeInstanceOf(ChannelClosed);
  const waiting = channel.call("never", undefined);
  close();
  await expect(waiting).rejects.toBeInstanceOf(ChannelClosed);
  await expect(channel.call("double", 1)).rejects.toBeInstanceOf(ChannelClosed);
  channel.tell("double", 1);
});
