// A client and a test take turns, a line of JSON each: settings, where to go, where it ended, what came of it.
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export async function hear() {
  const { value } = await lines.next();
  return JSON.parse(value);
}

export function say(thing) {
  process.stdout.write(`${JSON.stringify(thing)}\n`);
}

export function end() {
  process.exit(0);
}
