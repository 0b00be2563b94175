// The page's start: loads the gateway's client, then shows the application.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { loadClient } from './gateway.ts';
import './style.css';

const container = document.getElementById('root');
if (!container) throw new Error('index.html has no #root.');
const root = createRoot(container);

loadClient().then(
  (client) =>
    root.render(
      <StrictMode>
        <App client={client} />
      </StrictMode>,
    ),
  () =>
    root.render(
      <main className="centred">
        <h1>The gateway does not answer</h1>
        <p>This page is served, but the gateway behind it is not. Load it again in a moment.</p>
      </main>,
    ),
);
