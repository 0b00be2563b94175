/** Whether other accounts of the machine can read the file of the session keys, by its rights and those of the folders above. */
import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Finding } from './finding.ts';

const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;
/** Where Docker and Kubernetes put what only the container sees: there is no other account in it. */
const CONTAINER_SECRETS = '/run/secrets/';

export function judgeKeysFile(file: string | undefined): readonly Finding[] {
  if (file === undefined || file.startsWith(CONTAINER_SECRETS) || !canOthersRead(file)) return [];
  const says = 'Every account on this machine may read the file of SESSION_KEYS_FILE.';
  return [{ area: 'keys', level: 'wrong', says, mend: `chmod o-r ${file}` }];
}

function canOthersRead(file: string): boolean {
  try {
    const place = realpathSync(file);
    if ((statSync(place).mode & OTHERS_READ) === 0) return false;
    return foldersAbove(place).every((folder) => (statSync(folder).mode & OTHERS_ENTER) !== 0);
  } catch {
    return false; // that it cannot be read is another finding's to say
  }
}

function foldersAbove(path: string): readonly string[] {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...foldersAbove(folder)];
}
