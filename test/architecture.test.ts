// The design's table of which folder may import which, enforced on the real sources and proven on planted ones.
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { MAY_IMPORT, type Sources, violationsIn } from './support/import-rules.ts';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

function readSources(): Sources {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return Object.fromEntries(
    files.sort().map((file) => [file.split(sep).join('/'), readFileSync(join(SRC, file), 'utf8')]),
  );
}

const whyOf = (file: string, text: string) => violationsIn({ [file]: text }).map(({ why }) => why);

describe('the sources', () => {
  test('keep to the rules', () => {
    expect(violationsIn(readSources())).toEqual([]);
  });

  test('are all seen by the check', () => {
    const files = Object.keys(readSources());
    for (const file of ['main.ts', 'gateway.ts', 'kernel/errors.ts', 'refresh/refresh-coordinator.ts']) {
      expect(files).toContain(file);
    }
  });
});

describe('a planted import is caught', () => {
  test.each([
    ['kernel/errors.ts', "import { x } from '../config/settings.ts';", 'kernel may not import config'],
    ['config/load.ts', "import { x } from '../observability/logger.ts';", 'config may not import observability'],
    [
      'forwarding/http-forwarder.ts',
      "import type { S } from '../session/session.ts';",
      'forwarding may not import session',
    ],
    ['session/sessions.ts', "import { x } from '../finvera/finvera-client.ts';", 'session may not import finvera'],
    ['session/sessions.ts', "export { x } from '../finvera/finvera-client.ts';", 'session may not import finvera'],
    ['session/sessions.ts', "export * from '../finvera/finvera-client.ts';", 'session may not import finvera'],
    [
      'session/sessions.ts',
      "const x = await import('../finvera/finvera-client.ts');",
      'session may not import finvera',
    ],
    ['session/sessions.ts', "type X = import('../finvera/finvera-client.ts').X;", 'session may not import finvera'],
    ['session/sessions.ts', "const x = require('../finvera/finvera-client.ts');", 'session may not import finvera'],
    ['session/deep/file.ts', "import '../../finvera/finvera-client.ts';", 'session may not import finvera'],
    ['finvera/finvera-client.ts', "import '../session/sessions.ts';", 'finvera may not import session'],
    ['guards/cors.ts', "import '../forwarding/route-table.ts';", 'guards may not import forwarding'],
    ['guards/cors.ts', "import '../routes/answer.ts';", 'guards may not import routes'],
    ['routes/bff.ts', "import '../redis/redis-keys.ts';", 'routes may not import redis'],
    ['routes/bff.ts', "import '../lifecycle/drain.ts';", 'routes may not import lifecycle'],
    ['streams/stream-hub.ts', "import '../refresh/refresh-coordinator.ts';", 'streams may not import refresh'],
    ['cache/cache-key.ts', "import '../session/session.ts';", 'cache may not import session'],
    ['kernel/clock.ts', "import '../gateway.ts';", 'kernel may not import gateway.ts'],
    ['cli/start-process.ts', "import '../main.ts';", 'cli may not import main.ts'],
    ['gateway.ts', "import './main.ts';", 'gateway.ts may not import main.ts'],
    ['gateway.ts', "import './cli/start-process.ts';", 'gateway.ts may not import cli'],
    ['gateway.ts', "import '../simulator/simulator.ts';", 'lies outside src/'],
    ['kernel/errors.ts', "import '../../test/support/test-clock.ts';", 'lies outside src/'],
    ['utils/things.ts', '', 'utils is not in the table'],
  ])('in %s: %s', (file, text, why) => {
    expect(whyOf(file, text)).toEqual([expect.stringContaining(why)]);
  });

  test('also among many that are allowed', () => {
    const text = [
      "import { randomBytes } from 'node:crypto';",
      "import type { Clock } from '../kernel/clock.ts';",
      "import { GatewayError } from '../kernel/errors.ts';",
      "import { refreshLockKey } from '../redis/redis-keys.ts';",
      "import { x } from './session.ts';",
      "import { y } from '../routes/bff.ts';",
    ].join('\n');
    expect(whyOf('session/sessions.ts', text)).toEqual(['session may not import routes (../routes/bff.ts)']);
  });

  test('also where its name is computed', () => {
    expect(whyOf('session/sessions.ts', 'const x = await import(name);')).toEqual([
      'a computed import cannot be checked',
    ]);
  });

  test('but not one in a comment or in a string', () => {
    const text = "// import '../routes/bff.ts';\nconst text = \"import '../routes/bff.ts'\";";
    expect(whyOf('session/sessions.ts', text)).toEqual([]);
  });
});

describe('packages stay in their place', () => {
  test.each([
    ['session/sessions.ts', 'ioredis'],
    ['session/sessions.ts', 'ioredis/built/Redis.js'],
    ['gateway.ts', 'ioredis'],
    ['session/session.ts', 'express'],
    ['forwarding/http-forwarder.ts', 'express'],
    ['observability/logger.ts', 'express'],
  ])('%s may not import %s', (file, name) => {
    expect(whyOf(file, `import type { X } from '${name}';`)).toEqual([
      expect.stringContaining(`may not import ${name.split('/')[0]}`),
    ]);
  });

  test.each([
    ['redis/redis-client.ts', 'ioredis'],
    ['session/redis-session-store.ts', 'ioredis'],
    ['routes/bff.ts', 'express'],
    ['guards/authenticate.ts', 'express'],
    ['frontend/static-folder.ts', 'express'],
    ['gateway.ts', 'express'],
    ['session/session.ts', 'zod'],
  ])('%s may import %s', (file, name) => {
    expect(whyOf(file, `import { x } from '${name}';`)).toEqual([]);
  });

  test.each(['zod', 'node:crypto', '../kernel/errors.ts'])('the browser client may not import %s', (name) => {
    expect(whyOf('client/client.ts', `import { x } from '${name}';`)).toHaveLength(1);
  });
});

describe('globals stay in their place', () => {
  const ENV = 'only config/load.ts reads process.env';
  const PROCESS = 'only main.ts, cli/ and standard-output.ts use process';
  const TIME = 'only kernel/clock.ts reads the time of day';

  test.each([
    ['gateway.ts', 'const x = process.env.PORT;', ENV],
    ['cli/run-command.ts', 'const x = process.env;', ENV],
    ['main.ts', "const x = process.env['PORT'];", ENV],
    ['session/sessions.ts', 'process.exit(1);', PROCESS],
    ['session/sessions.ts', 'const { env } = process;', PROCESS],
    ['session/sessions.ts', "const x = process['env'];", PROCESS],
    ['session/sessions.ts', 'globalThis.process.exit(1);', PROCESS],
    ['config/load.ts', 'process.exit(1);', PROCESS],
    ['session/sessions.ts', "import { env } from 'node:process';", 'process is a global here, not an import'],
    ['session/sessions.ts', 'const x = Date.now();', TIME],
    ['session/sessions.ts', 'const x = new Date();', TIME],
    ['session/sessions.ts', 'const x = Date();', TIME],
    ['session/sessions.ts', 'const now = Date.now;', TIME],
  ])('%s: %s', (file, text, why) => {
    expect(whyOf(file, text)).toEqual([why]);
  });

  test.each([
    ['config/load.ts', 'const x = process.env;'],
    ['main.ts', 'process.exit(1);'],
    ['cli/start-process.ts', 'process.exitCode = 1;'],
    ['kernel/clock.ts', 'const x = Date.now();'],
    ['session/sessions.ts', 'const x = new Date(0).toISOString();'],
    ['session/sessions.ts', 'const x = Date.parse(text);'],
    ['session/sessions.ts', 'const x = performance.now(); setTimeout(f, 1);'],
    ['session/sessions.ts', '// process.env and Date.now() stay elsewhere'],
    ['session/sessions.ts', "const x = { process: 1 }; x.process; type X = { process: 'store' };"],
  ])('%s may: %s', (file, text) => {
    expect(whyOf(file, text)).toEqual([]);
  });
});

describe('cycles', () => {
  test('between two folders are caught', () => {
    const why = violationsIn({
      'session/a.ts': "import '../redis/b.ts';",
      'redis/b.ts': "import '../session/a.ts';",
    });
    expect(why).toContainEqual({ file: 'session', why: 'is part of a cycle of imports' });
    expect(why).toContainEqual({ file: 'redis', why: 'is part of a cycle of imports' });
  });

  test('around corners are caught, and only what is part of them', () => {
    const files = violationsIn({
      'routes/a.ts': "import '../guards/b.ts';",
      'guards/b.ts': "import '../session/c.ts';",
      'session/c.ts': "import '../redis/d.ts';",
      'redis/d.ts': "import '../guards/b.ts';",
    })
      .filter(({ why }) => why.includes('cycle'))
      .map(({ file }) => file);
    expect(files).toEqual(['guards', 'session', 'redis']);
  });

  test('are not in the table itself', () => {
    const sources = Object.entries(MAY_IMPORT).map(([part, others]) => [
      part.endsWith('.ts') ? part : `${part}/file.ts`,
      others.map((other) => `import '${part.endsWith('.ts') ? './' : '../'}${other}';`).join('\n'),
    ]);
    expect(violationsIn(Object.fromEntries(sources)).filter(({ why }) => why.includes('cycle'))).toEqual([]);
  });
});
