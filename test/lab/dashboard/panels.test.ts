// What the pictures of the dashboard are drawn from, and how: without a Prometheus.
import { describe, expect, test } from '@jest/globals';
import { type Chart, drawPanels } from './panel-chart.ts';
import { evaluate, readPanelRows } from './panels.ts';

const RUN = { from: 100, to: 200, stepSeconds: 10, stretches: [{ name: 'trouble', from: 120, to: 140 }] };

const chart = (lines: Chart['lines'], more: Partial<Chart> = {}): Chart => ({
  title: 'A panel',
  unit: 'short',
  isTimeline: false,
  lines,
  ...more,
});

describe('a panel', () => {
  test('asks by its own expressions, with what Grafana fills in, and names each series as its legend says', async () => {
    const panels = readPanelRows().flatMap((row) => row.panels);
    const panel = panels.find(({ title }) => title.startsWith('Refreshes a second'));
    const asked: string[] = [];
    const { lines, unit } = await evaluate(
      {
        range: async (expression) => {
          asked.push(expression);
          return [
            {
              metric: { outcome: 'rejected', why: '' },
              values: [
                [100, '2'],
                [110, 'NaN'],
              ],
            },
          ];
        },
      },
      panel as NonNullable<typeof panel>,
      RUN,
    );
    expect(asked.join()).toContain('finvera_gateway_refreshes_total');
    expect(asked.join()).not.toContain('$');
    expect(unit).toBe('reqps');
    expect(lines).toEqual([{ label: 'rejected', points: [[100, 2]] }]);
  });
});

describe('its picture', () => {
  test('has a line for what was said, none where nothing was, and the stretches by name', () => {
    const points = [100, 110, 120, 160, 170].map((at) => [at, 3] as const);
    const picture = drawPanels('Heading', [chart([{ label: 'a<b', points }])], RUN);
    expect(picture.match(/<polyline/g)).toHaveLength(2);
    expect(picture).toContain('>trouble</text>');
    expect(picture).toContain('>a&lt;b</text>');
  });

  test('has a bar for as long as an alert was raised', () => {
    const points = [140, 150, 180].map((at) => [at, 1] as const);
    const picture = drawPanels('Heading', [chart([{ label: 'Alert', points }], { isTimeline: true })], RUN);
    expect(picture.match(/class="b1"/g)).toHaveLength(2);
  });

  test('says so where there was nothing', () => {
    expect(drawPanels('Heading', [chart([])], RUN)).toContain('nothing in this run');
  });

  test.each([
    ['s', 0.25, '300 ms'],
    ['s', 7, '8 s'],
    ['percentunit', 1, '100 %'],
    ['bytes', 1_400_000, '1.5 MB'],
    ['Bps', 400, '400 B/s'],
    ['short', 0, '>1<'],
  ])('writes %s of %d at its axis as %s', (unit, value, written) => {
    const picture = drawPanels('Heading', [chart([{ label: 'a', points: [[100, value]] }], { unit })], RUN);
    expect(picture).toContain(written);
  });
});
