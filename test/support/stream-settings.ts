// The settings of streams with the defaults that ship, and what a test wants to be different.
import type { StreamSettings } from '../../src/config/settings.ts';
import { STREAMS } from '../../src/config/stream-schema.ts';

export function streamSettings(changes: Partial<StreamSettings> = {}): StreamSettings {
  return { ...STREAMS.parse([]).values, ...changes };
}
