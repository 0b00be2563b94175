// The rules of which part of src/ may use what, checked on sources as text: imports between folders, packages that stay
// in one place, and the globals that only one file may touch.
import ts from 'typescript';

/** Sources by their path below src/, with `/`. */
export type Sources = Readonly<Record<string, string>>;

export interface Violation {
  readonly file: string;
  readonly why: string;
}

const KERNEL = ['kernel'];
const BASE = ['kernel', 'config', 'observability'];
/** Everything that has a folder, for those who put it together. */
const COMPOSED = [
  ...BASE,
  'lifecycle',
  'http-client',
  'redis',
  'finvera',
  'forwarding',
  'frontend',
  'session',
  'cache',
  'refresh',
  'streams',
  'guards',
  'routes',
];

/** The design's table: a folder (or a file of src/ itself, by its name) and what it may import besides itself. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  client: [],
  'http-client': [],
  config: KERNEL,
  observability: ['kernel', 'config'],
  lifecycle: ['kernel', 'config'],
  redis: BASE,
  finvera: [...BASE, 'http-client'],
  forwarding: [...BASE, 'http-client'],
  frontend: BASE,
  session: [...BASE, 'redis'],
  cache: [...BASE, 'redis'],
  refresh: [...BASE, 'redis', 'session', 'finvera'],
  streams: [...BASE, 'session', 'redis'],
  guards: [...BASE, 'redis', 'session', 'refresh'],
  routes: [...BASE, 'session', 'cache', 'finvera', 'refresh', 'forwarding', 'streams', 'guards', 'frontend'],
  assembly: COMPOSED,
  'gateway.ts': ['assembly', ...COMPOSED],
  cli: ['gateway.ts', ...COMPOSED],
  'library.ts': ['gateway.ts', ...COMPOSED],
  'main.ts': ['cli', 'gateway.ts', ...BASE],
};

/** Packages that only some files may import. */
const PACKAGE_PLACES: Readonly<Record<string, RegExp>> = {
  ioredis: /^redis\/|\/redis-[^/]*\.ts$/,
  express: /^(?:routes|guards|frontend)\/|^gateway\.ts$/,
};

const ENVIRONMENT_READER = 'config/load.ts';
const PROCESS_USERS = /^main\.ts$|^cli\/|^observability\/standard-output\.ts$/;
const CLOCK = 'kernel/clock.ts';

/** Every violation in these sources, in the order of the files. */
export function violationsIn(sources: Sources): Violation[] {
  const violations = Object.entries(sources).flatMap(([file, text]) =>
    [...importFaults(file, text), ...globalFaults(file, text)].map((why) => ({ file, why })),
  );
  return [...violations, ...cyclesIn(sources)];
}

/** The part a file belongs to: its folder, or itself where it lies in src/. */
function partOf(file: string): string {
  return file.split('/')[0] as string;
}

function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** The path below src/ that a relative import names; starts with `..` where it leaves src/. */
function resolveImport(file: string, specifier: string): string {
  const parts = file.split('/').slice(0, -1);
  for (const step of specifier.split('/')) {
    if (step === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (step !== '.') parts.push(step);
  }
  return parts.join('/');
}

function importFaults(file: string, text: string): string[] {
  const part = partOf(file);
  const allowed = MAY_IMPORT[part];
  if (!allowed) return [`${part} is not in the table of what may import what`];
  const faults: string[] = [];
  for (const specifier of importsOf(text)) {
    if (!specifier.startsWith('.')) {
      const fault = packageFault(file, specifier);
      if (fault) faults.push(fault);
      continue;
    }
    const target = resolveImport(file, specifier);
    const other = partOf(target);
    if (other === '..') faults.push(`imports ${specifier}, which lies outside src/`);
    else if (other !== part && !allowed.includes(other)) faults.push(`${part} may not import ${other} (${specifier})`);
  }
  return faults;
}

function packageFault(file: string, specifier: string): string | undefined {
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] ?? '');
  if (partOf(file) === 'client') return `the browser client imports nothing, not ${specifier}`;
  if (/^(?:node:)?process$/.test(specifier)) return 'process is a global here, not an import';
  const place = PACKAGE_PLACES[name];
  return place && !place.test(file) ? `may not import ${name}` : undefined;
}

/** Uses of `process` and of the time that are not in their one place. */
function globalFaults(file: string, text: string): string[] {
  const faults: string[] = [];
  const visit = (node: ts.Node): void => {
    const use = useOfGlobal(node);
    if (use === 'process.env' && file !== ENVIRONMENT_READER) faults.push('only config/load.ts reads process.env');
    if (use === 'process' && !PROCESS_USERS.test(file))
      faults.push('only main.ts, cli/ and standard-output.ts use process');
    if (isUnreadableImport(node)) faults.push('a computed import cannot be checked');
    if (use === 'time' && file !== CLOCK) faults.push('only kernel/clock.ts reads the time of day');
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return faults;
}

function useOfGlobal(node: ts.Node): 'process.env' | 'process' | 'time' | undefined {
  // `new Date()` and `Date()` without arguments are the time of day, too.
  if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && isNamed(node.expression, 'Date')) {
    return node.arguments === undefined || node.arguments.length === 0 || ts.isCallExpression(node)
      ? 'time'
      : undefined;
  }
  if (!ts.isIdentifier(node) || isOnlyAName(node)) return undefined;
  const access = node.parent;
  const member = ts.isPropertyAccessExpression(access) && access.expression === node ? access.name.text : undefined;
  if (node.text === 'process') return member === 'env' ? 'process.env' : 'process';
  return node.text === 'Date' && member === 'now' ? 'time' : undefined;
}

/** `import(name)`: what it imports is not in the text. */
function isUnreadableImport(node: ts.Node): boolean {
  if (!ts.isCallExpression(node) || node.expression.kind !== ts.SyntaxKind.ImportKeyword) return false;
  const [name] = node.arguments;
  return name === undefined || !ts.isStringLiteral(name);
}

const isNamed = (node: ts.Expression, name: string): boolean => ts.isIdentifier(node) && node.text === name;

/** True for `process` as the name of a member, a property, a label; false where it stands for the global. */
function isOnlyAName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) {
    const isOfGlobalThis = isNamed(parent.expression, 'globalThis') || isNamed(parent.expression, 'global');
    return parent.name === node && !isOfGlobalThis;
  }
  if (ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) return parent.name === node;
  return ts.isMethodDeclaration(parent) || ts.isMethodSignature(parent) || ts.isPropertyDeclaration(parent);
}

/** Parts that import each other, directly or around corners. */
function cyclesIn(sources: Sources): Violation[] {
  const edges = new Map<string, Set<string>>();
  for (const [file, text] of Object.entries(sources)) {
    const part = partOf(file);
    const targets = edges.get(part) ?? new Set();
    edges.set(part, targets);
    for (const specifier of importsOf(text)) {
      const other = specifier.startsWith('.') ? partOf(resolveImport(file, specifier)) : part;
      if (other !== part) targets.add(other);
    }
  }
  const reaches = (from: string, goal: string, seen = new Set<string>()): boolean =>
    [...(edges.get(from) ?? [])].some((next) => {
      if (next === goal) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, goal, seen);
    });
  return [...edges.keys()]
    .filter((part) => reaches(part, part))
    .map((part) => ({ file: part, why: 'is part of a cycle of imports' }));
}
