/** Why there is no connection to the store, in words that say what can be done where the reason itself does not. */

/** Of OpenSSL: nothing that is trusted here has signed it. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
]);

export function explainConnection({ code, message }: Error & { code?: string }): string {
  if (code !== undefined && UNTRUSTED.has(code)) {
    return `its certificate is not trusted here: name the file of the authority that has signed it in store.ca (${message})`;
  }
  if (code === "CERT_HAS_EXPIRED") return `its certificate is not valid any more (${message})`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `its certificate is for another name than the one in store.url (${message})`;
  if (/^(?:WRONGPASS|NOAUTH)\b/.test(message)) return `it does not take the user or the password of store.url (${message})`;
  return message;
}
