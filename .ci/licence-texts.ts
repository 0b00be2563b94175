/** The licences of packages, as they must go with copies of their code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)(?:[.-](?:md|txt|mit|apache))?$/i;

/** @param folders of the packages, from `root`. @returns name, version and licence of each, and the texts that lie in its folder. */
export function licenceTexts(root: string, folders: readonly string[]): string {
  const entries = folders.map((folder) => {
    const { name, version, license, author } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
      author?: string | { name: string };
    };
    const by = typeof author === 'object' ? author.name : author;
    const files = readdirSync(join(root, folder)).filter((file) => LICENCE_FILE.test(file));
    const texts = files.sort().map((file) => readFileSync(join(root, folder, file), 'utf8').trim());
    if (texts.length === 0) texts.push(fromReadme(join(root, folder)));
    const head = `${name} ${version}, ${license}${by === undefined ? '' : `, by ${by}`}`;
    return [head, ...texts].join('\n\n');
  });
  return `${entries.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** Some packages have it as the last part of their README. */
function fromReadme(folder: string): string {
  const name = readdirSync(folder).find((file) => /^readme(?:\.md)?$/i.test(file));
  const text = name === undefined ? '' : readFileSync(join(folder, name), 'utf8');
  return /^#+ *licen[cs]e[\s\S]*/im.exec(text)?.[0].trim() ?? '';
}
