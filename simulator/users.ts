// Who can log in to the simulated Finvera. Knows nothing of tokens.
import { createHash } from 'node:crypto';
import type { SimulatedUser, SimulatorSettings } from './settings.ts';

/** A user with every member settled. */
export interface User {
  readonly email: string;
  readonly password: string;
  readonly userId: string;
  readonly username: string;
  readonly tier: string;
}

/** The password of the default users, and of everyone with `anyUser`. */
const DEMO_PASSWORD = 'demo-password';

/** Who exists unless the options say otherwise. */
export const DEFAULT_USERS: readonly SimulatedUser[] = [
  { email: 'demo@finvera.test', password: DEMO_PASSWORD, tier: 'enterprise' },
  { email: 'enterprise@finvera.test', password: DEMO_PASSWORD, tier: 'enterprise' },
  { email: 'standard@finvera.test', password: DEMO_PASSWORD, tier: 'standard' },
  { email: 'second@finvera.test', password: DEMO_PASSWORD, tier: 'standard' },
];

/** A UUID that is always the same for the same email. */
export function userIdOf(email: string): string {
  const hex = createHash('sha256').update(`finvera-user:${email.toLowerCase()}`).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function settle(user: SimulatedUser): User {
  return {
    email: user.email,
    password: user.password,
    userId: user.userId ?? userIdOf(user.email),
    username: user.username ?? user.email.split('@', 1)[0] ?? user.email,
    tier: user.tier ?? 'standard',
  };
}

/** Looks users up by their credentials. */
export interface UserDirectory {
  /** The user with these credentials; undefined whatever was wrong. Emails are compared without regard to case. */
  authenticate(email: string, password: string): User | undefined;
}

/** Builds the directory; `anyUser` is read on each login, so that it may change. */
export function createUserDirectory(users: readonly SimulatedUser[], settings: SimulatorSettings): UserDirectory {
  const byEmail = new Map(users.map((user) => [user.email.toLowerCase(), settle(user)]));
  return {
    authenticate(email, password) {
      const known = byEmail.get(email.toLowerCase());
      if (known !== undefined) return known.password === password ? known : undefined;
      if (!settings.anyUser || password !== DEMO_PASSWORD || !email.includes('@')) return undefined;
      return settle({ email, password, tier: settings.anyUserTier });
    },
  };
}
