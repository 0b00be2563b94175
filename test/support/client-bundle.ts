// Before the tests: a gateway that runs from its sources serves the browser client that a build would make.
import { fileURLToPath } from 'node:url';
import { bundleClientIfStale } from '../../.ci/bundle-client.ts';

export default function provideClientBundle(): void {
  bundleClientIfStale(fileURLToPath(new URL('../../dist/client/bundle.js', import.meta.url)));
}
