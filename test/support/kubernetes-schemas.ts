// Holds manifests against Kubernetes's published schemas and the Prometheus operator's. The schemas know wrong values and
// missing fields; fields that do not exist are found by the types that are made from the same schemas.
import { fileURLToPath } from 'node:url';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Namespace, Service, ServiceAccount } from 'kubernetes-models/v1';
import ts from 'typescript';

/** As much of a manifest as all of them have. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}

interface Model {
  readonly model: new (data: never) => { validate(): void };
  readonly module: string;
}

const CORE = 'kubernetes-models/v1';
const MODELS: Readonly<Record<string, Model>> = {
  'v1 Namespace': { model: Namespace, module: CORE },
  'v1 Service': { model: Service, module: CORE },
  'v1 ServiceAccount': { model: ServiceAccount, module: CORE },
  'apps/v1 Deployment': { model: Deployment, module: 'kubernetes-models/apps/v1' },
  'autoscaling/v2 HorizontalPodAutoscaler': {
    model: HorizontalPodAutoscaler,
    module: 'kubernetes-models/autoscaling/v2',
  },
  'networking.k8s.io/v1 NetworkPolicy': { model: NetworkPolicy, module: 'kubernetes-models/networking.k8s.io/v1' },
  'policy/v1 PodDisruptionBudget': { model: PodDisruptionBudget, module: 'kubernetes-models/policy/v1' },
  'monitoring.coreos.com/v1 ServiceMonitor': {
    model: ServiceMonitor,
    module: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
  },
};

/** What is wrong with each manifest by the schemas, in their order; empty where nothing is. */
export function schemaFaults(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((manifest) => {
    const { apiVersion, kind, metadata } = manifest;
    const known = MODELS[`${apiVersion} ${kind}`];
    if (!known) return [`${apiVersion} ${kind}: no schema of that name is looked at`];
    try {
      new known.model(manifest as never).validate();
      return [];
    } catch (error) {
      return [`${kind} ${metadata.name}: ${(error as Error).message}`];
    }
  });
}

/** Fields that do not exist, as the compiler words it: a misspelt one would be ignored by a cluster. */
export function unknownFields(manifests: readonly Manifest[]): string[] {
  const file = fileURLToPath(new URL('manifests.ts', import.meta.url));
  const lines = manifests.map(({ apiVersion, kind, ...rest }, i) => {
    const { module } = MODELS[`${apiVersion} ${kind}`] ?? { module: CORE };
    const type = `import(${JSON.stringify(module)}).I${kind}`;
    return `export const m${i}: ${type} = ${JSON.stringify({ apiVersion, kind, ...rest })};`;
  });
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2024,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, languageVersion) =>
    name === file
      ? ts.createSourceFile(name, `${lines.join('\n')}\n`, languageVersion)
      : getSourceFile(name, languageVersion);
  const program = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(program, program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
