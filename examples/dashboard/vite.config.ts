// How the dashboard is built: static files for any web server, or for the gateway's FRONTEND.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // Every file under a name of its own: nothing inline, so that the page's policy can forbid what is.
    assetsInlineLimit: 0,
  },
});
