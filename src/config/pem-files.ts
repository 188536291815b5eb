/** The certificates and keys that settings name by file: read, and explained when they are not what they should be. */
import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { ConfigError } from "./config-error.ts";
import type { Complaint } from "./explain-issues.ts";
import type { Config } from "./schema.ts";

export interface PemFiles {
  /** What this server shows its clients; undefined without `tls`. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** The authorities that are trusted for an upstream, by its name; the well-known ones are for those that are not here. */
  readonly authorities: ReadonlyMap<string, string>;
  /** The same for the store that replicas share; undefined for the well-known ones. */
  readonly store: string | undefined;
}

/** @throws ConfigError when a file cannot be used; it holds nothing of what is in the file. */
export function readPemFiles(config: Config): PemFiles {
  const problems: Complaint[] = [];
  const files = read(config, problems);
  if (problems.length > 0) throw new ConfigError(problems.map(({ path, message }) => `${path.join(".")}: ${message}`));
  return files;
}

/** What {@link readPemFiles} would complain about. */
export function findPemProblems(config: Config): Complaint[] {
  const problems: Complaint[] = [];
  read(config, problems);
  return problems;
}

function read({ tls, upstreams, store }: Config, problems: Complaint[]): PemFiles {
  const open = (path: Complaint["path"], file: string, check: (pem: string) => void): string => {
    try {
      // A pipe may never end, and cannot be read again on a reload.
      if (!statSync(file).isFile()) throw new RangeError("is not a regular file");
      const pem = readFileSync(file, "utf8");
      check(pem);
      return pem;
    } catch (error) {
      problems.push({ path, message: `${file}: ${reason(error)}` });
      return "";
    }
  };
  const authorities = new Map<string, string>();
  upstreams.forEach(({ name, ca }, index) => {
    if (ca !== undefined) authorities.set(name, open(["upstreams", index, "ca"], ca, checkCertificates));
  });
  const ca = store === false ? undefined : store.ca;
  const shared = { authorities, store: ca && open(["store", "ca"], ca, checkCertificates) };
  if (tls === false) return { tls: undefined, ...shared };
  const cert = open(["tls", "cert"], tls.cert, checkCertificates);
  const key = open(["tls", "key"], tls.key, (key) => {
    if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) throw new RangeError("holds no private key in PEM form");
    if (/ENCRYPTED/.test(key)) throw new RangeError("the private key is encrypted, and its password cannot be asked for");
    if (cert !== "") createSecureContext({ cert, key });
  });
  return { tls: { cert, key }, ...shared };
}

function checkCertificates(pem: string): void {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs);
  if (certificates === null) throw new RangeError("holds no certificate in PEM form");
  for (const certificate of certificates) new X509Certificate(certificate);
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof RangeError) return message;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "permission denied";
  if (code === "ERR_OSSL_X509_KEY_VALUES_MISMATCH") return "the private key belongs to another certificate";
  return `cannot be used${code === undefined ? "" : ` (${code})`}`;
}
