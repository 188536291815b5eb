/** Which Node can run this program. In words that any Node can read: no syntax here may be newer than Node 12. */

/** The same as `engines` in package.json. */
const NEEDED = [22, 19];

/** @param version as `process.versions.node` has it. @returns what to tell a user whose Node is too old; undefined for one that will do. */
export function explainOldNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [neededMajor = 0, neededMinor = 0] = NEEDED;
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return undefined;
  return (
    `this is Node.js ${version}, and Perennial needs ${NEEDED.join(".")} or newer: ` +
    "install it from https://nodejs.org or with `nvm install 24` (in a checkout, `npm start` brings its own)"
  );
}
