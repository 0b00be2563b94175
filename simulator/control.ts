// The simulator's own HTTP interface below `/__sim/`, the same as its methods. Meets no faults and is not recorded.
import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import type { FaultSpec } from './faults.ts';
import { CALLS, type Call, type Received } from './received.ts';
import { InvalidInput } from './settings.ts';
import type { SimulatorControls } from './simulator.ts';

export const CONTROL_PREFIX = '/__sim/';

const NO_CONTENT: Answer = { status: 204, headers: [], body: Buffer.alloc(0) };

/** Answers a control call; bad input is a 400 that names the problem. */
export function answerControl(received: Received, controls: SimulatorControls): Answer {
  try {
    return dispatch(received, controls);
  } catch (error) {
    if (error instanceof InvalidInput) return errorAnswer(400, 'Invalid request parameters', error.message);
    throw error;
  }
}

function dispatch(received: Received, controls: SimulatorControls): Answer {
  const { method, path } = received;
  if (path.startsWith('/__sim/faults/') && method === 'DELETE') return removeFault(path, controls);
  switch (`${method} ${path.slice(CONTROL_PREFIX.length)}`) {
    case 'GET faults':
      return jsonAnswer(200, {
        faults: controls.faults().map(({ id, applied, spec }) => ({ id, applied, ...spec })),
      });
    case 'POST faults':
      return jsonAnswer(201, { id: controls.addFault(bodyOf(received) as unknown as FaultSpec).id });
    case 'DELETE faults':
      controls.clearFaults();
      return NO_CONTENT;
    case 'GET requests':
      return jsonAnswer(200, { requests: controls.requests(callIn(received)) });
    case 'GET counters':
      return jsonAnswer(200, controls.counters());
    case 'POST reset':
      controls.reset();
      return NO_CONTENT;
    case 'POST revoke':
      return revoke(received, controls);
    case 'PATCH options':
      return jsonAnswer(200, controls.configure(bodyOf(received)));
    case 'POST clock':
      return advance(received, controls);
    case 'GET streams':
      return jsonAnswer(200, { streams: controls.streams() });
    case 'POST streams/push':
      return jsonAnswer(200, { sent: controls.push(bodyOf(received)) });
    case 'POST streams/drop':
      return jsonAnswer(200, { dropped: controls.dropStreams(bodyOf(received)) });
    default:
      return errorAnswer(404, 'Not found', `${method} ${path} is not a control call`);
  }
}

function bodyOf(received: Received): Record<string, unknown> {
  const { kept } = received.body;
  if (kept === undefined) throw new InvalidInput('the body is too large');
  let value: unknown;
  try {
    value = kept.byteLength === 0 ? {} : JSON.parse(kept.toString('utf8'));
  } catch {
    throw new InvalidInput('the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidInput('the body is no object');
  return value as Record<string, unknown>;
}

function callIn(received: Received): Call | undefined {
  const asked = new URLSearchParams(received.query).get('call');
  if (asked === null) return undefined;
  const call = CALLS.find((one) => one === asked);
  if (call === undefined) throw new InvalidInput(`call: one of ${CALLS.join(', ')}`);
  return call;
}

function removeFault(path: string, controls: SimulatorControls): Answer {
  const fault = controls.faults().find(({ id }) => String(id) === path.slice('/__sim/faults/'.length));
  if (fault === undefined) return errorAnswer(404, 'Not found', 'There is no such fault');
  fault.remove();
  return NO_CONTENT;
}

function revoke(received: Received, controls: SimulatorControls): Answer {
  const { what = 'all', email } = bodyOf(received);
  if (what !== 'access' && what !== 'refresh' && what !== 'all') {
    throw new InvalidInput('what: one of access, refresh, all');
  }
  if (email !== undefined && typeof email !== 'string') throw new InvalidInput('email: not a string');
  return jsonAnswer(200, { revoked: controls.revoke(what, email) });
}

function advance(received: Received, controls: SimulatorControls): Answer {
  const { advanceMs } = bodyOf(received);
  if (typeof advanceMs !== 'number') throw new InvalidInput('advanceMs: not a number');
  controls.advanceClock(advanceMs);
  return jsonAnswer(200, { now: controls.now() });
}
