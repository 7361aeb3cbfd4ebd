// Checks that say what they saw: the first that fails ends the program with an error.
import { isDeepStrictEqual, inspect } from "node:util";

export function equal(what, expected, actual) {
  if (!isDeepStrictEqual(expected, actual)) {
    console.error(`FAILED ${what}: expected ${inspect(expected)}, got ${inspect(actual, { depth: 6 })}`);
    process.exit(1);
  }
  console.log(`ok      ${what}`);
}

/** The error that `promise` ends with; none is a failure. */
export async function errorOf(what, promise) {
  const outcome = await promise.then(
    () => null,
    (error) => error,
  );
  if (outcome === null) equal(what, "an error", "none");
  return outcome;
}
