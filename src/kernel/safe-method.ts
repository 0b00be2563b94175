/** Methods that change nothing (RFC 9110 §9.2.1), of those the gateway takes. */
const SAFE: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

export const isSafeMethod = (method: string): boolean => SAFE.includes(method);
