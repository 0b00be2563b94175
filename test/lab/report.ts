// Turns what the laboratory measured into docs/reliability.md. Pure.
import type { Outcome } from './scenario.ts';

export interface ScenarioReport extends Outcome {
  readonly name: string;
  readonly seconds: number;
}

export interface Machine {
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
}

export function reportReliability(reports: readonly ScenarioReport[], machine: Machine, at: Date): string {
  const date = at.toISOString().slice(0, 10);
  const rows = reports.map(({ name, violations, numbers }) => {
    const values = Object.entries(numbers).map(([what, value]) => `${what}: ${value}`);
    return `| ${name} | ${violations.length === 0 ? 'held' : violations.join('; ')} | ${values.join('<br>')} |`;
  });
  const raw = reports.map((report) => JSON.stringify(report)).join('\n');
  return `# Reliability

What \`npm run lab\` measured on ${date}: real gateway processes, a real Redis (Sentinel and Cluster too) and the
simulator on one machine with ${machine.cores} cores and ${machine.memoryGiB} GiB, Node ${machine.node.slice(1)}. The file is written by
that command. \`npm run check\` runs the same scenarios in a smaller size.

| scenario | invariants | numbers |
|---|---|---|
${rows.join('\n')}

## Raw output

\`\`\`json
${raw}
\`\`\`
`;
}
