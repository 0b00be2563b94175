/** What `doctor` finds: a sentence, how bad it is, and how it is mended. */
export interface Finding {
  readonly area: 'process' | 'settings' | 'keys' | 'browser' | 'redis' | 'clock' | 'finvera';
  /** `wrong` must be mended; `advice` may be wanted as it is. */
  readonly level: 'ok' | 'advice' | 'wrong';
  readonly says: string;
  readonly mend?: string;
}
