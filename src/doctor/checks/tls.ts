/** The upstream's certificate: whether it is trusted, and for how long. */
import type { Facts } from "../facts.ts";
import { type Finding, fault, note, ok } from "../finding.ts";

const DAY_MS = 86_400_000;
/** Renewal is due, and has not happened: most authorities' programs renew 30 days ahead. In days. */
const SOON = 14;

const PRIVATE = "name its authority in the upstream's setting ca (a PEM file)";

const DISTRUST: readonly (readonly [RegExp, string, string])[] = [
  [/EXPIRED/, "has expired", "renew it at the server"],
  [/NOT_YET_VALID/, "is not valid yet", "check this machine's clock, and the server's"],
  [/SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED/, "is signed by an authority that is not known here", PRIVATE],
  [
    /UNABLE_TO_VERIFY_LEAF|UNABLE_TO_GET_ISSUER/,
    "has no chain to an authority that is known here",
    `have the server send the certificates between, or ${PRIVATE}`,
  ],
  [/ALTNAME/, "is for another name", "write the name that the certificate is for in baseUrl"],
];

export function checkTls({ certificate }: Facts): Finding[] {
  if (certificate === undefined) return [];
  const { issuer, validTo, now, distrust } = certificate;
  if (distrust !== undefined) {
    const [, what, advice] = DISTRUST.find(([word]) => word.test(distrust)) ?? [/./, "is not trusted", PRIVATE];
    return [fault("tls", `the certificate, of ${issuer}, ${what} (${distrust})`, advice)];
  }
  const days = Math.floor((validTo - now) / DAY_MS);
  if (days < 0) return [fault("tls", "the certificate has expired", "renew it at the server")];
  const says = `the certificate, of ${issuer}, is valid for ${days} more day${days === 1 ? "" : "s"}`;
  return [days < SOON ? note("tls", says, "renew it at the server") : ok("tls", says)];
}
