/** A Redis of the test's own, and a way to it that can be closed, as networks are. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface RedisProcess {
  readonly port: number;
  stop(): Promise<void>;
  /** On the same port, with nothing of what it had. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** @param args for the server, such as a password. */
export async function startRedis(args: readonly string[] = []): Promise<RedisProcess> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const redis: RedisProcess = {
    port,
    async start() {
      child = spawn(
        "redis-server",
        ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...args],
        {
          stdio: "ignore",
          cwd: "/tmp",
        },
      );
      for (let tries = 0; tries < 200 && !(await answers(port)); tries++) await sleep(50);
    },
    async stop() {
      if (child === undefined || child.exitCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
    close: () => redis.stop(),
  };
  await redis.start();
  return redis;
}

export interface Way {
  readonly url: string;
  /** Nothing passes any more, and nobody is told: as where a cable was pulled. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function startWay(port: number): Promise<Way> {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.on("data", (chunk) => {
        if (!isFrozen) other.write(chunk);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}/0`,
    freeze() {
      isFrozen = true;
    },
    thaw() {
      isFrozen = false;
      // What was lost on its way is lost.
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Whether something there says anything at all to a line. */
export async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise((resolve) => {
    socket.on("error", () => resolve(false));
    socket.on("data", () => {
      socket.destroy();
      resolve(true);
    });
    socket.write("PING\r\n");
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
