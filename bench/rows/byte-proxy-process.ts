/**
 * The cheapest proxy that Node can be: bytes in, bytes out, nothing understood. The benchmark's yardstick.
 *   node byte-proxy-process.ts UPSTREAM PORT
 */
import { createServer } from "node:http";
import { Pool } from "undici";

const pool = new Pool(process.argv[2] ?? "", { connections: null, allowH2: false });
const server = createServer((request, response) => {
  const body: Buffer[] = [];
  request.on("data", (part: Buffer) => body.push(part));
  request.on("end", () => {
    pool.dispatch(
      { method: "POST", path: request.url ?? "/", body: Buffer.concat(body), headers: { "content-type": "application/json" } },
      {
        onRequestStart() {},
        onResponseStart(_controller, status) {
          response.writeHead(status, { "content-type": "text/event-stream" });
        },
        onResponseData(_controller, part) {
          response.write(part);
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          response.destroy();
        },
      },
    );
  });
});
server.listen({ port: Number(process.argv[3]), host: "127.0.0.1" });
