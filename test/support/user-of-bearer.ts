// Whose token the simulator's Finvera was asked with: it writes the user's id into it.

/** @returns the user's id; undefined where there is no bearer. */
export function userOfBearer(authorization: string | undefined): string | undefined {
  const payload = authorization?.split(' ')[1]?.split('.')[1];
  return payload && (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub: string }).sub;
}
