// deploy/kubernetes by Kubernetes's published schemas, by the gateway's settings, and by what must fit together.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { loadSettings } from '../../../src/config/load.ts';
import { definitionOf } from '../../../src/config/schema.ts';
import { type Manifest, schemaFaults, unknownFields } from '../../support/kubernetes-schemas.ts';
import { ROOT, readPackage, readProjectFile, readYaml } from './files.ts';

const FOLDER = 'deploy/kubernetes/';
const FILES = readdirSync(ROOT + FOLDER).filter((name) => name !== 'kustomization.yaml');
// biome-ignore lint/suspicious/noExplicitAny: manifests of eight kinds, each looked into where it is of interest
type Loose = Manifest & Record<string, any>;
const manifests: Loose[] = FILES.flatMap((name) =>
  parseAllDocuments(readProjectFile(FOLDER + name)).map((document) => document.toJS() as Loose),
);
const kustomization = readYaml(`${FOLDER}kustomization.yaml`) as Loose;
const named = (kind: string, name = 'finvera-gateway'): Loose => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
};
const deployment = named('Deployment');
const pod = deployment.spec.template.spec;
const [container] = pod.containers;
const literals: Readonly<Record<string, string>> = Object.fromEntries(
  kustomization.configMapGenerator[0].literals.map((line: string) => line.split(/=(.*)/s).slice(0, 2)),
);

describe('the Kubernetes manifests', () => {
  test('are valid by the published schemas', () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual([
      'Deployment',
      'HorizontalPodAutoscaler',
      'Namespace',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'Service',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
    ]);
    expect(schemaFaults(manifests)).toEqual([]);
    expect(unknownFields(manifests)).toEqual([]);
  }, 60_000);

  test('would not be with a wrong value, a missing or a misspelt field', () => {
    const wrong = structuredClone(deployment);
    wrong.spec.replicas = 'two';
    delete wrong.spec.template.spec.containers[0].name;
    expect(schemaFaults([wrong]).join()).toMatch(/replicas must be integer/);
    const misspelt = structuredClone(deployment);
    misspelt.spec.template.spec.containers[0].securityContext.readOnlyRootFileSystem = true;
    expect(unknownFields([misspelt]).join()).toContain('readOnlyRootFileSystem');
    expect(schemaFaults([{ ...deployment, kind: 'Deplyoment' }])).toHaveLength(1);
  }, 60_000);

  test('are all in the kustomization, and nothing else is', () => {
    expect([...kustomization.resources].sort()).toEqual(FILES.sort());
    for (const { kind, metadata } of manifests) {
      expect(metadata.name).toMatch(kind === 'Namespace' ? /^finvera$/ : /^finvera-gateway(-management)?$/);
    }
    expect(kustomization.namespace).toBe('finvera');
  });
});

describe('the gateway in its pod', () => {
  test('has settings that it takes in production, each of a name that it knows', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-secrets-'));
    try {
      writeFileSync(join(folder, 'session-keys'), `k1:${'A'.repeat(43)}\n`);
      writeFileSync(join(folder, 'redis-url'), 'rediss://:secret@redis:6379\n');
      const [{ mountPath }] = container.volumeMounts;
      const files = container.env.map(({ name, value }: { name: string; value: string }) => [
        name,
        value.replace(mountPath, folder),
      ]);
      const env = { ...literals, ...Object.fromEntries(files), NODE_ENV: 'production' };
      expect(Object.keys(env)).toEqual(expect.arrayContaining(['SESSION_KEYS_FILE', 'REDIS_URL_FILE', 'PUBLIC_URL']));
      const loaded = loadSettings({ env });
      expect(loaded).toMatchObject({ kind: 'ok', warnings: [], settings: { sessionStore: 'redis', production: true } });
      expect(loadSettings({ env: { ...env, SHUTDOWN_DELEY: '5s' } })).not.toMatchObject({ kind: 'ok', warnings: [] });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    expect(container.envFrom).toEqual([{ configMapRef: { name: kustomization.configMapGenerator[0].name } }]);
  });

  test('gets its secrets as files of a whole folder, so that changed ones arrive', () => {
    const [mount] = container.volumeMounts;
    expect(mount).toMatchObject({ name: pod.volumes[0].name, readOnly: true });
    expect(mount.subPath).toBeUndefined();
    for (const { value } of container.env) expect(value).toMatch(`${mount.mountPath}/`);
    expect(pod.volumes[0].secret.defaultMode).toBe(0o440);
  });

  test('has no rights: not root, nothing to write, no capability, no token of the cluster', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.serviceAccountName).toBe(named('ServiceAccount').metadata.name);
    expect(named('Namespace', 'finvera').metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('restricted');
    const user = `USER ${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}\n`;
    expect(readProjectFile('Dockerfile')).toContain(user);
    expect(container.resources.limits.memory).toBeDefined();
    expect(container.resources.requests).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) });
  });

  test('is asked for its health where it answers, and restarted for no Redis', () => {
    const ports = Object.fromEntries(
      container.ports.map(({ name, containerPort }: { name: string; containerPort: number }) => [name, containerPort]),
    );
    expect(ports).toEqual({
      http: Number(definitionOf('port').byDefault),
      management: Number(definitionOf('managementPort').byDefault),
    });
    for (const probe of [container.startupProbe, container.livenessProbe]) {
      expect(probe.httpGet).toEqual({ path: '/health/live', port: 'http' });
    }
    expect(container.readinessProbe.httpGet).toEqual({ path: '/health/ready', port: 'http' });
  });

  test('may drain before it is killed, and is out of the balancing before it stops to listen', () => {
    const seconds = (text: string) => Number.parseInt(text, 10);
    const delay = seconds(literals.SHUTDOWN_DELAY ?? '');
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(
      delay + seconds(definitionOf('shutdownTimeout').byDefault ?? ''),
    );
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(delay).toBeGreaterThan(periodSeconds * failureThreshold);
  });
});

describe('what belongs to the pod', () => {
  const labels = deployment.spec.template.metadata.labels;

  test('finds it by its labels', () => {
    expect(deployment.spec.selector.matchLabels).toEqual(labels);
    expect(pod.topologySpreadConstraints[0].labelSelector.matchLabels).toEqual(labels);
    expect(named('PodDisruptionBudget').spec.selector.matchLabels).toEqual(labels);
    expect(named('NetworkPolicy').spec.podSelector.matchLabels).toEqual(labels);
    for (const name of ['finvera-gateway', 'finvera-gateway-management']) {
      expect(named('Service', name).spec.selector).toEqual(labels);
    }
  });

  test('runs two at least, one of which always stays', () => {
    expect(deployment.spec.replicas).toBe(2);
    expect(deployment.spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
    expect(named('PodDisruptionBudget').spec.maxUnavailable).toBe(1);
    const { scaleTargetRef, minReplicas } = named('HorizontalPodAutoscaler').spec;
    expect(scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: deployment.metadata.name });
    expect(minReplicas).toBe(deployment.spec.replicas);
  });

  test('keeps the count of replicas to the autoscaler', () => {
    expect(kustomization.patches[0].target).toEqual({ kind: 'Deployment', name: deployment.metadata.name });
    expect(kustomization.patches[0].patch).toContain('path: /spec/replicas');
  });

  test('leads the public to the public port, and only Prometheus to the management port', () => {
    expect(named('Service').spec.ports).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
    const management = named('Service', 'finvera-gateway-management');
    expect(management.spec.ports[0].targetPort).toBe('management');
    const { selector, endpoints } = named('ServiceMonitor').spec;
    expect(selector.matchLabels).toEqual(management.metadata.labels);
    expect(endpoints[0]).toMatchObject({ port: management.spec.ports[0].name, path: '/metrics' });
    const { ingress, policyTypes } = named('NetworkPolicy').spec;
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(ingress.map(({ ports }: { ports: { port: string }[] }) => ports.map(({ port }) => port))).toEqual([
      ['http'],
      ['management'],
    ]);
  });

  test('may ask for names and reach Redis, a collector of traces where the settings would name it, and Finvera', () => {
    const { egress } = named('NetworkPolicy').spec;
    const goal = readProjectFile(`${FOLDER}kustomization.yaml`).match(
      /# - OTEL_EXPORTER_OTLP_ENDPOINT=http:\/\/([\w-]+)\.([\w-]+):(\d+)/,
    );
    expect(egress.map(({ ports }: { ports: { port: number }[] }) => ports.map(({ port }) => port))).toEqual([
      [53, 53],
      [6379],
      [Number(goal?.[3])],
      [443],
    ]);
    expect(egress[2].to).toEqual([
      {
        podSelector: { matchLabels: { 'app.kubernetes.io/name': goal?.[1] } },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': goal?.[2] } },
      },
    ]);
  });

  test('is scraped as the job that the alerts name', () => {
    const [endpoint] = named('ServiceMonitor').spec.endpoints;
    const [{ replacement }] = endpoint.relabelings;
    expect(readProjectFile('deploy/prometheus/alerts.yml')).toContain(`job="${replacement}"`);
  });

  test('has the version of the package', () => {
    const { version } = readPackage();
    expect(kustomization.images).toEqual([expect.objectContaining({ name: container.image, newTag: version })]);
  });
});
