// The order in which jest takes the files: those that take minutes first, so that no core is idle at the end. Jest itself goes by size, and theirs is small.
// JavaScript, as jest.config.js is: the package's types describe its CommonJS half, Node imports the other.
import TestSequencer from '@jest/test-sequencer';

const LONGEST = ['/test/lab/', '/test/browser/', '/test/gateway/', '/test/security/'];

function rankOf({ path }) {
  const rank = LONGEST.findIndex((folder) => path.includes(folder));
  return rank < 0 ? LONGEST.length : rank;
}

export default class LongestFirst extends TestSequencer {
  sort(tests) {
    return super.sort(tests).sort((a, b) => rankOf(a) - rankOf(b));
  }
}
