import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from '../processes.ts'
import { hs256 } from '../tokens.ts'
import { type How, type Subject, freePort } from './subject.ts'

const version = spawnSync('nginx', ['-v'], { encoding: 'utf8' })

/** nginx as a plain reverse proxy: one worker, kept-alive connections on both sides, and an access log in its default form where one is wanted. */
export const nginx: Subject = {
  name: 'nginx plain',
  about: version.stderr?.trim() ?? '',
  absent: version.error ? 'nginx is not installed' : undefined,
  checksTokens: false,
  path: '/anything',
  tokens: hs256.tokens,
  async start(directory, upstreamPort, how) {
    const port = await freePort()
    const file = join(directory, 'nginx.conf')
    writeFileSync(file, config(directory, port, upstreamPort, how))
    const process = start(how.cores, 'nginx', ['-p', directory, '-c', file, '-e', join(directory, 'error.log')])
    return { process, port }
  },
}

// The access log is buffered because Gibbon's is, too. Bodies pass by memory alone, for the same reason.
const config = (directory: string, port: number, upstreamPort: number, { workers, tls, http2, accessLog }: How) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${workers};
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
events { worker_connections 4096; }
http {
  access_log ${accessLog ? `${directory}/access.log combined buffer=64k flush=1s` : 'off'};
  client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
  keepalive_requests 1000000000;
  upstream service { server 127.0.0.1:${upstreamPort}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''}${http2 ? ' http2' : ''}${workers > 1 ? ' reuseport' : ''};
    ${tls ? `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key}; ssl_protocols TLSv1.3;` : ''}
    client_max_body_size 0;
    location / {
      proxy_pass http://service;
      proxy_request_buffering off; proxy_max_temp_file_size 0;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`
