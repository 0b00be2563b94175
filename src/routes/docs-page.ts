/** The description of the endpoints as a page for people, outside production only. One file, no script, nothing loaded. */
import { createHash } from 'node:crypto';
import type { RequestHandler } from 'express';
import { contextOf } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import { sendBody } from './answer.ts';
import type { OpenApiDocument } from './openapi.ts';
import { COMMON_ERRORS, OPERATIONS, type Operation } from './openapi-operations.ts';

const STYLE = `
:root { color-scheme: light dark; --line: #c9d1d9; --soft: #57606a; --page: #fff; --text: #1b2733; --accent: #0b5c56; --code: #eef2f5 }
@media (prefers-color-scheme: dark) { :root { --line: #3b4854; --soft: #a9b7c4; --page: #10171e; --text: #e6ecf1; --accent: #5eead4; --code: #1b252f } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text); font: 16px/1.55 system-ui, sans-serif }
h1 { margin: 0 0 .5rem; font-size: 1.6rem }
a { color: var(--accent) }
code, pre { font: .8125rem/1.5 ui-monospace, Menlo, Consolas, monospace }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0 }
summary { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; padding: .6rem 1rem; cursor: pointer }
summary:focus-visible, a:focus-visible, pre:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.method { min-width: 4.2rem; font-weight: 700; color: var(--accent) }
.what { color: var(--soft) }
.more { padding: 0 1rem 1rem; border-top: 1px solid var(--line) }
h2 { margin: 1rem 0 .4rem; font-size: .95rem }
pre { margin: 0; padding: .75rem; background: var(--code); border-radius: .4rem; overflow: auto; max-height: 24rem }
table { width: 100%; border-collapse: collapse; font-size: .9rem }
td, th { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
const CONTENT_SECURITY_POLICY = `default-src 'none';style-src 'sha256-${STYLE_HASH}';base-uri 'none';form-action 'none';frame-ancestors 'none'`;

export function serveDocsPage(describe: () => OpenApiDocument): RequestHandler {
  let page: string | undefined;
  return (_req, res) => {
    page ??= render(describe());
    const { answerHeaders } = contextOf(res);
    // This answer is a page: the policy of all the others would leave it without its style.
    const at = answerHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-security-policy');
    if (at >= 0) answerHeaders.splice(at, 2);
    sendBody(res, 200, 'text/html; charset=utf-8', page, [
      'Content-Security-Policy',
      CONTENT_SECURITY_POLICY,
      'Cache-Control',
      'no-store',
    ]);
  };
}

function render({ info, paths }: OpenApiDocument): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(info.title)}: endpoints</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(info.title)}: endpoints</h1>
<p>${marked(info.description)} For programs: <a href="openapi.json">openapi.json</a>. In production there is no such page.</p>
<p class="what">Any of them may also answer ${errorWords(COMMON_ERRORS)}. Every error is <code>application/problem+json</code>.</p>
<main>
${OPERATIONS.map((operation) => renderOperation(operation, paths[operation.path]?.[operation.method])).join('\n')}
</main>
</body>
</html>
`;
}

function renderOperation(operation: Operation, described: unknown): string {
  const { method, path, summary, parameters = [], needsSession, success, errors } = operation;
  const { requestBody, responses } = described as {
    readonly requestBody?: { readonly content: Record<string, { readonly schema: unknown }> };
    readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: unknown }> }>;
  };
  const schema = (content: Record<string, { readonly schema: unknown }> | undefined) =>
    Object.entries(content ?? {})
      .map(
        ([type, { schema }]) =>
          `<p class="what"><code>${escapeHtml(type)}</code></p><pre tabindex="0">${escapeHtml(JSON.stringify(schema, null, 2))}</pre>`,
      )
      .join('');
  const rows = parameters.map(
    ({ name, in: place, description }) =>
      `<tr><th scope="row"><code>${escapeHtml(name)}</code></th><td>${place}</td><td>${escapeHtml(description)}</td></tr>`,
  );
  return `<details><summary><span class="method">${method.toUpperCase()}</span><code>${escapeHtml(path)}</code><span class="what">${escapeHtml(summary)}</span></summary>
<div class="more">
${needsSession ? '<p>Needs the session cookie.</p>' : ''}
${rows.length > 0 ? `<h2>Parameters</h2><table>${rows.join('')}</table>` : ''}
${requestBody ? `<h2>Body</h2>${schema(requestBody.content)}` : ''}
<h2>${success.status}</h2><p>${escapeHtml(success.description)}</p>${schema(responses[success.status]?.content)}
${errors.length > 0 ? `<h2>Errors</h2><p>${errorWords(errors)}</p>` : ''}
</div></details>`;
}

function errorWords(kinds: Operation['errors']): string {
  return kinds
    .map((kind) => new GatewayError(kind))
    .map(({ status, code }) => `${status} <code>${code}</code>`)
    .join(', ');
}

/** Text with `code` in it. */
const marked = (text: string): string => escapeHtml(text).replaceAll(/`([^`]*)`/g, '<code>$1</code>');

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
