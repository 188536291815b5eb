/** Looks up the upstream's name, and looks at its certificate, trusted or not. */
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls, type PeerCertificate } from "node:tls";
import type { AddressFacts, CertificateFacts } from "./facts.ts";

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "");
const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === "https:" ? 443 : 80));

export async function lookUp(url: URL, timeoutMs: number): Promise<AddressFacts> {
  try {
    const found = await lookup(hostOf(url), { all: true });
    return { kind: "found", addresses: found.map(({ address }) => address), connectMs: await timeConnect(url, timeoutMs) };
  } catch (error) {
    return { kind: "unknown", code: (error as NodeJS.ErrnoException).code ?? "?" };
  }
}

/** Undefined where none was made. */
function timeConnect(url: URL, timeoutMs: number): Promise<number | undefined> {
  const began = performance.now();
  return new Promise((resolve) => {
    const socket = connectTcp({ host: hostOf(url), port: portOf(url), timeout: timeoutMs });
    const end = (ms: number | undefined): void => {
      socket.destroy();
      resolve(ms);
    };
    socket.once("connect", () => end(Math.ceil(performance.now() - began)));
    for (const event of ["error", "timeout"]) socket.once(event, () => end(undefined));
  });
}

/** @param ca authorities that are trusted in place of the well-known ones, as PEM. */
export function lookAtCertificate(url: URL, ca: string | undefined, timeoutMs: number): Promise<CertificateFacts | undefined> {
  const host = hostOf(url);
  return new Promise((resolve) => {
    const socket = connectTls({
      host,
      port: portOf(url),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca }),
      // Only to look: nothing is sent on this connection.
      rejectUnauthorized: false,
      timeout: timeoutMs,
    });
    const end = (facts: CertificateFacts | undefined): void => {
      socket.destroy();
      resolve(facts);
    };
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerCertificate();
      const distrust = socket.authorizationError as unknown as Error | string | undefined;
      const code = distrust instanceof Error ? ((distrust as NodeJS.ErrnoException).code ?? distrust.message) : distrust;
      end({
        issuer: issuerOf(certificate),
        validTo: Date.parse(certificate.valid_to),
        now: Date.now(),
        distrust: code ?? undefined,
      });
    });
    for (const event of ["error", "timeout"]) socket.once(event, () => end(undefined));
  });
}

/** A server's text goes to a terminal: no more of it than a name has. */
function issuerOf({ issuer }: PeerCertificate): string {
  const name = String(issuer?.O ?? issuer?.CN ?? "an authority without a name");
  return name.replace(/[^\p{L}\p{N} .,'&()-]/gu, "").slice(0, 80);
}
