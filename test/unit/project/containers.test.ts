import { describe, expect, test } from '@jest/globals';
import { loadSettings } from '../../../src/config/load.ts';
import { definitionOf, SETTING_NAMES } from '../../../src/config/schema.ts';
import { readPackage, readProjectFile, readYaml } from './files.ts';

interface Service {
  readonly image?: string;
  readonly build?: { readonly target: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly networks?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
}

interface ComposeFile {
  readonly services: Readonly<Record<'gateway' | 'redis' | 'web' | 'simulator', Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
}

const { services, networks } = readYaml('docker-compose.yml') as ComposeFile;
const { gateway, redis, web, simulator } = services;

/** The instructions of each stage, by the stage's name; continued lines are one. */
function readStages(): Map<string, string[]> {
  const stages = new Map<string, string[]>();
  let current: string[] = [];
  const lines = readProjectFile('Dockerfile').replaceAll(/\\\n/g, ' ').split('\n');
  for (const line of lines.filter((text) => text.trim() !== '' && !text.startsWith('#'))) {
    const name = /^FROM \S+ AS (\S+)$/.exec(line)?.[1];
    if (name) {
      current = [];
      stages.set(name, current);
    }
    current.push(line);
  }
  return stages;
}

const STAGES = readStages();
const stage = (name: string): string[] => STAGES.get(name) ?? [];
const instruction = (name: string, keyword: string): string =>
  stage(name).findLast((line) => line.startsWith(`${keyword} `)) ?? '';

describe('the image', () => {
  test('is the gateway where no target is named', () => {
    expect([...STAGES.keys()].at(-1)).toBe('gateway');
  });

  test('has the Node that development has', () => {
    const node = readPackage().devDependencies.node;
    expect(stage('base')[0]).toBe(`FROM node:${node}-bookworm-slim AS base`);
  });

  test.each(['gateway', 'simulator'])('runs %s as a user that is not root, told by its number', (name) => {
    expect(instruction(name, 'USER')).toMatch(/^USER [1-9]\d*:[1-9]\d*$/);
  });

  test('starts Node itself, so that SIGTERM reaches it', () => {
    expect(instruction('gateway', 'CMD')).toBe('CMD ["node", "dist/main.js"]');
    expect(stage('gateway').some((line) => line.startsWith('ENTRYPOINT'))).toBe(false);
  });

  test('checks that it is live, without a tool that the image does not have', () => {
    const check = instruction('gateway', 'HEALTHCHECK');
    const [command, flag, script] = JSON.parse(/CMD (\[.*\])$/.exec(check)?.[1] ?? '[]') as string[];
    expect([command, flag]).toEqual(['node', '-e']);
    expect(script).toContain('/health/live');
    expect(script).toContain('process.env.PORT || 3000');
  });

  test('runs in production, with what production needs and no more', () => {
    expect(stage('gateway')).toContain('ENV NODE_ENV=production');
    expect(stage('dependencies').join('\n')).toContain('npm ci --omit=dev');
    expect(stage('gateway').filter((line) => line.startsWith('COPY'))).toEqual([
      'COPY --from=dependencies /app/node_modules node_modules',
      'COPY --from=build /app/dist dist',
      'COPY config config',
      'COPY package.json ./',
    ]);
  });

  test('holds no secret', () => {
    const secrets = SETTING_NAMES.map(definitionOf).filter(({ secret }) => secret !== undefined);
    const given = [...STAGES.values()].flat().filter((line) => /^(?:ENV|ARG) /.test(line));
    for (const { variable } of secrets) expect(given.filter((line) => line.includes(variable))).toEqual([]);
  });

  test('is built from named files only', () => {
    const [first, ...named] = readProjectFile('.dockerignore')
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    expect(named.filter((line) => !line.startsWith('!'))).toEqual([]);
    const copied = [...STAGES.values()].flat().flatMap((line) => {
      const [keyword, ...paths] = line.split(' ');
      return keyword === 'COPY' && !paths[0]?.startsWith('--') ? paths.slice(0, -1) : [];
    });
    expect(new Set(copied)).toEqual(new Set(named.map((line) => line.slice(1))));
  });
});

describe('docker-compose.yml', () => {
  test('keeps sessions in a Redis that writes them down and throws none away', () => {
    const command = redis.command?.join(' ') ?? '';
    expect(command).toContain('--appendonly yes');
    expect(command).toContain('--maxmemory-policy noeviction');
    expect(redis.volumes).toEqual(['sessions:/data']);
  });

  test('asks for a password of Redis, and puts it into no command line', () => {
    expect(redis.environment?.REDIS_PASSWORD).toMatch(/^\$\{REDIS_PASSWORD:\?/);
    expect(redis.command?.join(' ')).toContain('requirepass');
    expect(redis.command?.join(' ')).not.toMatch(/[^$]\$\{?REDIS_PASSWORD|--requirepass/);
  });

  test('shows Redis to the gateway alone', () => {
    expect(redis.ports).toBeUndefined();
    expect(redis.networks).toEqual(['store']);
    expect(networks.store?.internal).toBe(true);
    expect(web.networks).not.toContain('store');
    expect(simulator.networks).not.toContain('store');
  });

  test('takes only a PONG for a healthy Redis, and waits for it', () => {
    expect(redis.healthcheck?.test.join(' ')).toContain('grep -q PONG');
    expect(gateway.depends_on?.redis?.condition).toBe('service_healthy');
  });

  test('has the simulator only in the profile demo', () => {
    expect(simulator.profiles).toEqual(['demo']);
    expect(simulator.build?.target).toBe('simulator');
    expect(STAGES.has('simulator')).toBe(true);
  });

  test.each(Object.entries(services))('gives %s nothing that it does not need', (_name, service) => {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
  });

  test('pins every image that is not built here', () => {
    for (const { image, build } of Object.values(services)) {
      if (!build) expect(image).toMatch(/^[a-z]+:\d+\.\d+\.\d+-alpine$/);
    }
  });

  test('publishes the gateway on this machine only', () => {
    expect(gateway.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
  });

  test('gives the gateway settings that it takes in production', () => {
    const example = new Map(
      readProjectFile('.env.example')
        .split('\n')
        .flatMap((line) => {
          const match = /^([A-Z_]+)=(.*)$/.exec(line);
          return match ? [[match[1] ?? '', match[2] ?? '']] : [];
        }),
    );
    example.set('REDIS_PASSWORD', 'a'.repeat(48)).set('SESSION_KEYS', `k1:${'A'.repeat(43)}`);
    const env = Object.fromEntries(
      Object.entries(gateway.environment ?? {}).map(([name, text]) => [name, substitute(text, example)]),
    );
    const loaded = loadSettings({ env: { ...env, NODE_ENV: 'production' } });
    expect(loaded).toMatchObject({ kind: 'ok', settings: { sessionStore: 'redis' } });
  });

  test('lets the gateway drain before it is killed', () => {
    const [delay, timeout] = (['shutdownDelay', 'shutdownTimeout'] as const).map((name) =>
      Number.parseInt(definitionOf(name).byDefault ?? '', 10),
    );
    expect(Number.parseInt(gateway.stop_grace_period ?? '', 10)).toBeGreaterThan((delay ?? 0) + (timeout ?? 0));
  });
});

/** What compose does with `${NAME:-default}` and `${NAME:?message}`. */
function substitute(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{([A-Z_]+):([-?])([^}]*)\}/g, (_all, name: string, kind: string, rest: string) => {
    const value = values.get(name);
    if (!value && kind === '?') throw new Error(`${name} is required`);
    return value || rest;
  });
}
