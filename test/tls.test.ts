/** TLS on both sides: Perennial's own certificate, its renewal, and upstreams whose authority only their owner knows. */
import { generateKeyPairSync } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer as createTlsServer, type SecureVersion, type TLSSocket } from "node:tls";
import { expect, vi } from "vitest";
import { ConfigError } from "../src/config/config-error.ts";
import { loadConfig } from "../src/config/load.ts";
import { chat, readStream, send } from "./support/client.ts";
import { chatEvents, frame } from "./support/raw-upstream.ts";
import { test as fixtureTest, type Tools, withRows } from "./support/test.ts";

const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;
const CA = readFileSync(fixture("ca.pem"));
const WHOLE = frame("chunked", chatEvents(["Hello"]));

/** A folder with a certificate and its key, and Perennial on TLS with them. */
const test = withRows(
  fixtureTest
    .extend("folder", () => {
      const folder = mkdtempSync(join(tmpdir(), "perennial-tls-"));
      for (const name of ["server.pem", "server-key.pem"]) copyFileSync(fixture(name), join(folder, name));
      return folder;
    })
    .extend("serveTls", ({ folder, serve }) => (settings: Record<string, unknown> = {}) => {
      const tls = { cert: join(folder, "server.pem"), key: join(folder, "server-key.pem") };
      return serve([WHOLE], { tls, ...settings });
    }),
);

/** A streamed chat completion over TLS, and the name in the certificate that was shown. */
function chatOverTls(baseUrl: string): Promise<{ status: number; text: string; serial: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${baseUrl}/chat/completions`, { method: "POST", ca: CA, agent: false }, (response) => {
      const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: readStream(body).text, serial: serialNumber }));
    });
    outgoing.on("error", reject);
    outgoing.end('{"stream":true}');
  });
}

test("clients are served over TLS, with HTTP/1.1 and nothing older than TLS 1.2", async ({ serveTls }) => {
  const { url, baseUrl } = (await serveTls()).perennial;
  expect(url).toMatch(/^https:/);
  expect(await chatOverTls(baseUrl)).toMatchObject({ status: 200, text: "Hello" });
  await expect(send(url.replace("https:", "http:"))).rejects.toThrow();
  const old = connect({
    port: Number(new URL(url).port),
    ca: CA,
    minVersion: "TLSv1.1",
    maxVersion: "TLSv1.1",
    ciphers: "ALL@SECLEVEL=0",
  });
  await expect(new Promise((_resolve, reject) => old.once("error", reject))).rejects.toThrow();
});

test("what is refused over plain HTTP is refused here too", async ({ serveTls }) => {
  const { url } = (await serveTls({ timeouts: { request: "300ms" } })).perennial;
  const say = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ port: Number(new URL(url).port), ca: CA, servername: "localhost" });
      let seen = "";
      socket.on("data", (chunk) => {
        seen += chunk;
      });
      socket.on("close", () => resolve(seen));
      socket.on("error", () => {});
      socket.write(text);
    });
  expect(await say(`GET /v1/${"a".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`)).toContain("HTTP/1.1 431");
  expect(await say("GET /v1/models HTTP/1.1\r\n")).toContain("HTTP/1.1 408");
});

test("a renewed certificate is shown after a reload, and running connections go on", async ({ serveTls, folder }) => {
  const { perennial, upstream } = await serveTls();
  const { baseUrl, reload } = perennial;
  const before = await chatOverTls(baseUrl);
  copyFileSync(fixture("renewed.pem"), join(folder, "server.pem"));
  copyFileSync(fixture("renewed-key.pem"), join(folder, "server-key.pem"));
  const yaml = join(folder, "perennial.yaml");
  writeFileSync(
    yaml,
    `upstreams: [{ baseUrl: "${upstream.baseUrl}" }]\ntls: { cert: server.pem, key: server-key.pem }\nport: 0\n`,
  );
  const load = () => loadConfig({ file: yaml, env: {}, flags: {}, cwd: "/" }).config;
  expect((await reload(load())).changed).toContain("certificates");
  const after = await chatOverTls(baseUrl);
  expect(after).toMatchObject({ status: 200, text: "Hello" });
  expect(after.serial).not.toBe(before.serial);
  // One that cannot be used is refused, and the last good one stays.
  const config = load();
  writeFileSync(join(folder, "server.pem"), "");
  await expect(reload(config)).rejects.toThrow(ConfigError);
  expect((await chatOverTls(baseUrl)).serial).toBe(after.serial);
});

test("to begin or to end with TLS needs a restart", async ({ serveTls, folder }) => {
  const { perennial, upstream } = await serveTls();
  const { reload } = perennial;
  copyFileSync(fixture("server.pem"), join(folder, "server.pem"));
  writeFileSync(join(folder, "perennial.yaml"), `upstreams: [{ baseUrl: "${upstream.baseUrl}" }]\ntls: off\nport: 0\n`);
  const { config } = loadConfig({ env: {}, flags: {}, cwd: folder });
  expect((await reload(config)).needsRestart).toContain("tls");
});

test("files that cannot be used are named with their line, and nothing in them is quoted", ({ folder }) => {
  const problemsOf = (yaml: string): readonly string[] => {
    writeFileSync(join(folder, "perennial.yaml"), yaml);
    try {
      loadConfig({ file: join(folder, "perennial.yaml"), env: {}, flags: {}, cwd: folder });
    } catch (error) {
      return (error as ConfigError).problems.map((problem) => problem.replaceAll(`${folder}/`, ""));
    }
    return [];
  };
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  writeFileSync(join(folder, "other-key.pem"), other.export({ type: "pkcs8", format: "pem" }));
  const locked = other.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" });
  writeFileSync(join(folder, "locked-key.pem"), locked);
  writeFileSync(join(folder, "broken.pem"), "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n");
  const at = "perennial.yaml:1";
  expect(problemsOf("tls: { cert: server.pem, key: server-key.pem }")).toEqual([]);
  expect(problemsOf("tls: { cert: none.pem, key: none-key.pem }")).toEqual([
    `${at}:8: tls.cert: none.pem: there is no such file`,
    `${at}:24: tls.key: none-key.pem: there is no such file`,
  ]);
  const store = 'store: { url: "rediss://h", ca: server-key.pem }';
  expect(problemsOf(store)).toEqual([`${at}:29: store.ca: server-key.pem: holds no certificate in PEM form`]);
  expect(problemsOf("tls: { cert: server-key.pem, key: server.pem }")).toEqual([
    `${at}:8: tls.cert: server-key.pem: holds no certificate in PEM form`,
    `${at}:30: tls.key: server.pem: holds no private key in PEM form`,
  ]);
  expect(problemsOf("tls: { cert: server.pem, key: other-key.pem }")).toEqual([
    `${at}:26: tls.key: other-key.pem: the private key belongs to another certificate`,
  ]);
  expect(problemsOf("tls: { cert: server.pem, key: locked-key.pem }")).toEqual([
    `${at}:26: tls.key: locked-key.pem: the private key is encrypted, and its password cannot be asked for`,
  ]);
  expect(problemsOf("upstreams: [{ baseUrl: https://a, ca: broken.pem }]")).toEqual([
    expect.stringMatching(/upstreams\[0\]\.ca: broken\.pem: cannot be used \(/),
  ]);
  expect(problemsOf("tls: { cert: server.pem }")).toEqual([`${at}:1: tls.key: is missing; expected the name of a file`]);
});

/** An upstream over TLS. */
async function startTlsUpstream(closing: Tools["closing"]): Promise<{ baseUrl: string; connections: () => number }> {
  let connections = 0;
  const server = createServer(
    { cert: readFileSync(fixture("server.pem")), key: readFileSync(fixture("server-key.pem")) },
    (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).end(chatEvents(["Hello"]).join(""));
    },
  );
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing({
    close() {
      server.close();
      server.closeAllConnections();
    },
  });
  return { baseUrl: `https://localhost:${(server.address() as AddressInfo).port}/v1`, connections: () => connections };
}

test("an upstream with a private authority is trusted with its ca, and with nothing less", async ({
  startPerennial,
  closing,
}) => {
  const { baseUrl } = await startTlsUpstream(closing);
  const settings = { retry: { maxAttempts: 1 } };
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  closing({ close: () => vi.unstubAllEnvs() });
  const perennial = await startPerennial(baseUrl, settings);
  const refused = await chat(perennial.baseUrl);
  expect(refused.status).toBe(502);
  expect(JSON.parse(refused.body).error).toMatchObject({
    code: "upstream_unreachable",
    message: expect.stringContaining("certificate is not trusted"),
  });
  const trusting = await startPerennial(baseUrl, { ...settings, upstream: { ca: fixture("ca.pem") } });
  expect(readStream((await chat(trusting.baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  // The right authority for another name.
  const misled = await startPerennial(baseUrl.replace("localhost", "ip6-localhost.localhost"), {
    ...settings,
    upstream: { ca: fixture("ca.pem") },
  });
  expect((await chat(misled.baseUrl)).status).toBe(502);
});

test.for(["1.2", "1.3"])(
  "a new TLS connection (%s) that dies before any byte of its answer costs an attempt; a kept one does not",
  async (version, { startPerennial, closing }) => {
    let asked = 0;
    let dies = (number: number): boolean => number === 1;
    const tls = createTlsServer(
      {
        cert: readFileSync(fixture("server.pem")),
        key: readFileSync(fixture("server-key.pem")),
        minVersion: `TLSv${version}` as SecureVersion,
        maxVersion: `TLSv${version}` as SecureVersion,
      },
      (socket) => {
        socket.on("error", () => {});
        socket.on("data", () => (dies(++asked) ? socket.destroy() : socket.write(WHOLE)));
      },
    );
    await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
    closing(tls);
    const baseUrl = `https://localhost:${(tls.address() as AddressInfo).port}/v1`;
    const perennial = await startPerennial(baseUrl, { upstream: { ca: fixture("ca.pem") }, retry: { maxAttempts: 2 } });
    expect((await chat(perennial.baseUrl)).headers["x-perennial-attempts"]).toBe("2");
    expect(asked).toBe(2);
    dies = (number) => number === 4;
    expect((await chat(perennial.baseUrl)).headers["x-perennial-attempts"]).toBe("1");
    const kept = await chat(perennial.baseUrl);
    expect([kept.headers["x-perennial-attempts"], readStream(kept.body).text, asked]).toEqual(["1", "Hello", 5]);
  },
);
