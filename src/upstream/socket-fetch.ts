/** `fetch` through a socket of this machine, without a port; without timeouts of its own, since who answers there has them. */
import { Agent, fetch } from "undici";

export interface SocketFetch {
  /** @param path with the query. */
  fetch(path: string, request: Request): Promise<Response>;
  close(): Promise<void>;
}

/** A Response of these has no body, and its constructor insists. */
const BODILESS = new Set([101, 204, 205, 304]);

export function createSocketFetch(socketPath: string): SocketFetch {
  const dispatcher = new Agent({ connect: { socketPath }, headersTimeout: 0, bodyTimeout: 0 });
  return {
    async fetch(path, request) {
      const { method, signal, redirect } = request;
      const body = request.body === null ? null : Buffer.from(await request.arrayBuffer());
      const headers = [...request.headers] as [string, string][];
      const { status, statusText, ...response } = await fetch(`http://localhost${path}`, {
        method,
        headers,
        body,
        signal,
        redirect,
        dispatcher,
      }).then((seen) => ({ status: seen.status, statusText: seen.statusText, headers: [...seen.headers], body: seen.body }));
      // The class that the program knows: undici's own is another than Node's.
      const answer = new Response(BODILESS.has(status) ? null : (response.body as ReadableStream | null), {
        status,
        statusText,
        headers: response.headers as [string, string][],
      });
      Object.defineProperty(answer, "url", { value: request.url });
      return answer;
    },
    close: () => dispatcher.destroy(),
  };
}
