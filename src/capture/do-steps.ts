/** Does the steps of a case on a raw socket. */
import type { Socket } from "node:net";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Step } from "./case-file.ts";

export async function doSteps(socket: Socket, steps: readonly Step[]): Promise<void> {
  for (const { send: bytes, chunk, base64, repeat, wait, end } of steps) {
    if (socket.destroyed) return;
    if (bytes !== undefined) socket.write(fill(bytes));
    if (chunk !== undefined) socket.write(`${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
    if (base64 !== undefined) socket.write(Buffer.from(base64, "base64"));
    if (repeat !== undefined) socket.write(repeat[0].repeat(repeat[1]));
    if (wait !== undefined) await sleep(wait);
    if (end === "fin") socket.end();
    if (end === "rst") {
      // A reset takes along what was not read yet, and a reader in the same process gets no turn of its own.
      for (let turns = 0; turns < 20; turns++) await turn();
      socket.resetAndDestroy();
    }
  }
}

/** What {@link fill} would replace, in bytes that were captured. */
export const PLACEHOLDER = /\{\{epochMs\+(\d+)\}\}/;

function fill(text: string): string {
  return text.replace(new RegExp(PLACEHOLDER, "g"), (_, ms) => String(Date.now() + Number(ms)));
}
