/** Which licences the packages of a lock file have that run in production, and which of them nobody has agreed to. Pure. */

/** Those that ask for no more than their text to be kept. What is not among them is for a person to decide. */
const AGREED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
]);

/** What is read of `package-lock.json`. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
}

export interface Judgement {
  /** How many packages have each licence. */
  readonly counts: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
}

export function judgeLicences({ packages }: LockFile): Judgement {
  const counts = new Map<string, number>();
  const faults: string[] = [];
  // The one without a path is the project itself.
  for (const [path, { version, license, dev }] of Object.entries(packages)) {
    if (path === '' || dev) continue;
    const name = `${path.replace(/^.*node_modules\//, '')}@${version}`;
    if (license === undefined) faults.push(`${name} names no licence`);
    else if (!isAgreed(license)) faults.push(`${name} is under ${license}, which is not agreed to`);
    counts.set(license ?? 'none', (counts.get(license ?? 'none') ?? 0) + 1);
  }
  if (counts.size === 0) faults.push('the lock file names no package that runs in production');
  return { counts, faults };
}

/** An SPDX expression of licences: of several joined by OR one must be agreed to, of those joined by AND each. */
function isAgreed(expression: string): boolean {
  const ways = expression.replace(/^\((.*)\)$/, '$1').split(' OR ');
  return ways.some((way) => way.split(' AND ').every((licence) => AGREED.has(licence)));
}
