// nginx with Lua and Redis, the floor of the field: writes its configuration and starts it. Installs nothing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../test/support/redis-server.ts';
import { type Contender, type Stage, startProcess } from '../contender.ts';
import { ACCESS_TOKEN, IDLE_SECONDS, REFRESH_TOKEN } from '../job.ts';

/** What Debian calls it; elsewhere it is installed by hand, or left out. */
export const NGINX_PACKAGES = ['nginx', 'libnginx-mod-http-lua', 'lua-nginx-redis', 'lua-cjson'] as const;

const SESSION_ID = 'bench-session-0123456789abcdef0123456789abcdef';
const MODULES = '/usr/lib/nginx/modules';

function configuration(folder: string, port: number, redisPort: number, upstreamPort: number): string {
  return `user ${userInfo().username};
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
load_module ${MODULES}/ndk_http_module.so;
load_module ${MODULES}/ngx_http_lua_module.so;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 65s;
  lua_package_path '/usr/share/lua/5.1/?.lua;;';
  init_by_lua_block { redis = require 'nginx.redis'; cjson = require 'cjson' }
  upstream finvera { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    location /delivery/ {
      access_by_lua_block {
        local id = ngx.var.cookie_bench_session
        if not id then return ngx.exit(401) end
        local store = redis:new()
        store:set_timeout(1000)
        if not store:connect('127.0.0.1', ${redisPort}) then return ngx.exit(503) end
        local session = store:getex('nginx:' .. id, 'EX', ${IDLE_SECONDS})
        store:set_keepalive(10000, 128)
        if not session or session == ngx.null then return ngx.exit(401) end
        ngx.req.set_header('Authorization', 'Bearer ' .. cjson.decode(session).access_token)
        ngx.req.clear_header('Cookie')
      }
      proxy_pass http://finvera;
      proxy_http_version 1.1;
      proxy_set_header Connection '';
    }
  }
}
`;
}

function writeConfiguration(parent: string, port: number, redisPort: number, upstreamPort: number): string {
  const folder = join(parent, 'nginx');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(folder, port, redisPort, upstreamPort));
  return file;
}

/** Tries the configuration: says no where nginx, its Lua module or a Lua package is missing. */
export function hasNginx(folder: string): boolean {
  const file = writeConfiguration(folder, 1, 1, 1);
  return spawnSync('nginx', ['-t', '-q', '-c', file], { stdio: 'ignore' }).status === 0;
}

export const nginxLua: Contender = {
  name: 'nginx-lua',
  label: 'nginx + Lua + Redis',
  description:
    'one worker; Lua reads the session from Redis at every request, decodes it and sets the bearer; no sealing, no refresh, no metrics, no log',
  async start({ redisPort, redisUrl, upstreamPort, folder }: Stage) {
    const client = new Redis(redisUrl);
    const session = JSON.stringify({ access_token: ACCESS_TOKEN, refresh_token: REFRESH_TOKEN, user_id: 'user-0' });
    await client.set(`nginx:${SESSION_ID}`, session, 'EX', IDLE_SECONDS);
    client.disconnect();
    const port = await freePort();
    const file = writeConfiguration(folder, port, redisPort, upstreamPort);
    const started = await startProcess('nginx', ['-c', file], port, {});
    return { port, ...started, credential: ['Cookie', `bench_session=${SESSION_ID}`] };
  },
};
