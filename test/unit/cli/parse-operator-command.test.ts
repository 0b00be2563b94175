import { describe, expect, test } from '@jest/globals';
import { helpOf, OPERATOR_COMMAND_NAMES } from '../../../src/cli/operator-commands.ts';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';

const parse = (text: string) => parseArguments(text === '' ? [] : text.split(' '));
const NOTHING = { all: false, yes: false, json: false };

describe("an operator's command", () => {
  test.each([
    ['sessions list --all', { command: 'sessions list', ...NOTHING, all: true }],
    ['sessions list --user u1 --json', { command: 'sessions list', ...NOTHING, user: 'u1', json: true }],
    ['sessions list --user=u1', { command: 'sessions list', ...NOTHING, user: 'u1' }],
    ['sessions show abc', { command: 'sessions show', ...NOTHING, id: 'abc' }],
    ['sessions end --yes --all', { command: 'sessions end', ...NOTHING, all: true, yes: true }],
    ['sessions end -- -abc', { command: 'sessions end', ...NOTHING, id: '-abc' }],
    ['sessions show -bcdefghij_-LMN0', { command: 'sessions show', ...NOTHING, id: '-bcdefghij_-LMN0' }],
    [
      `sessions end -${'-B'.repeat(21)} --yes`,
      { command: 'sessions end', ...NOTHING, id: `-${'-B'.repeat(21)}`, yes: true },
    ],
    ['sessions end --user -bcdefghij_-LMN0', { command: 'sessions end', ...NOTHING, user: '-bcdefghij_-LMN0' }],
    ['keys new', { command: 'keys new', ...NOTHING }],
    ['doctor --json', { command: 'doctor', ...NOTHING, json: true }],
  ])('%s is understood', (text, expected) => {
    expect(parse(text)).toEqual({ kind: 'operator', arguments: expected });
  });

  test.each([
    ['sessions', /^sessions has no such command\. There are: sessions list, sessions show, sessions end\./],
    ['sessions lst', /Did you mean sessions list\?/],
    ['sessions list', /needs one of --user ID or --all\.$/],
    ['sessions list --all --user u1', /needs one of/],
    ['sessions end', /needs one of ID or --user ID or --all\.$/],
    ['sessions end abc --all', /needs one of/],
    ['sessions end abc def', /^one ID at a time/],
    ['sessions show', /^sessions show needs ID\.$/],
    ['sessions list abc --all', /^it takes no argument\.$/],
    ['sessions list --user', /^--user needs a value: ID\.$/],
    ['sessions list --user --json', /^--user needs a value/],
    ['sessions list --all=1', /^--all takes no value\.$/],
    ['sessions list --al', /^unknown flag --al\. Did you mean --all\?/],
    ['sessions list --all --yes', /^unknown flag --yes\./],
    ['sessions show --not-any-of-our', /^unknown flag --not-any-of-our\./],
    ['sessions list -x', /^unknown flag -x\./],
    ['sessions list --constructor', /^unknown flag --constructor\./],
    ['doctor --user u1', /^unknown flag --user\./],
    ['keys', /^keys has no such command\. There are: keys new\./],
  ])('%s is refused with a sentence', (text, sentence) => {
    const parsed = parse(text);
    expect(parsed).toMatchObject({ kind: 'invalid', problem: expect.stringMatching(sentence) });
  });

  test.each(OPERATOR_COMMAND_NAMES)('%s --help shows its use, with examples and exit codes', (name) => {
    expect(parse(`${name} --help`)).toEqual({ kind: 'operator-help', command: name });
    expect(helpOf(name)).toContain(`Usage: node dist/main.js ${name}`);
    expect(helpOf(name)).toMatch(/Examples:\n {2}node dist\/main\.js/);
    expect(helpOf(name)).toContain('Exit codes: 0 done, 1 not done (why is said), 2 not understood.');
  });

  test('does not repeat what may be a secret', () => {
    for (const text of ['sessions list --user=a --canary=canary', 'sessions canary', 'sessions list canary --all']) {
      expect(JSON.stringify(parse(text)).replaceAll('--canary', '')).not.toContain('canary');
    }
  });
});
