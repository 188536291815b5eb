import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import { expect, it } from "vitest";
import { watchPendingResponses } from "./pending-responses.ts";

function watched() {
  const idle: boolean[][] = [];
  const responses: { finished: boolean }[] = [];
  const broken: string[] = [];
  const server = Object.assign(new EventEmitter(), {
    closeIdleConnections: () => void idle.push(responses.map(({ finished }) => finished)),
  });
  const pending = watchPendingResponses(server as unknown as Server);
  return {
    server,
    pending,
    idle,
    broken,
    respond(name: string, state: { writableEnded?: boolean; writableFinished?: boolean } = {}) {
      const socket = { resetAndDestroy: () => {}, destroy: () => void broken.push(name) };
      const { writableEnded = false, writableFinished = false } = state;
      const response = Object.assign(new EventEmitter(), { writableEnded, writableFinished, finished: writableEnded, socket });
      responses.push(response);
      server.emit("request", {}, response);
      return response;
    },
  };
}

it("does not count a connection as idle whose client has not taken all, and leaves no mark of that", () => {
  const { server, respond, idle } = watched();
  const [running, ended, whole] = [
    respond("running"),
    respond("ended", { writableEnded: true }),
    respond("whole", { writableEnded: true, writableFinished: true }),
  ];
  server.closeIdleConnections();
  expect(idle).toEqual([[false, false, true]]);
  expect([running, ended, whole].map(({ finished }) => finished)).toEqual([false, true, true]);
});

it("breaks what is left off, and nothing that is over: its connection may be another answer's by then", () => {
  const { pending, respond, broken } = watched();
  respond("over").emit("close");
  respond("left");
  pending.breakOff();
  expect(broken).toEqual(["left"]);
});
