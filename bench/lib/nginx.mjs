// nginx in front of instances of the app that are restarted one after the other, as people do it with systemd.
import { writeFileSync } from 'node:fs';
import path from 'node:path';

// nginx passes a request on to the next instance where the first refuses it, if it may be repeated. By default it then leaves
// the first alone for 10 s, and where the other is restarted meanwhile, nobody is left: `max_fails=0` turns that off.
export const configuration = (directory, port, upstreams) => `
daemon off;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
worker_processes auto;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  upstream app {
    ${upstreams.map((upstream) => `server 127.0.0.1:${upstream} max_fails=0;`).join('\n    ')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;

// A script that keeps one instance running, and one that restarts all of them in turn, each once the last one answers.
export function writeScripts(directory, { node, app, upstreams }) {
  const keep = upstreams.map((port) => {
    const file = path.join(directory, `instance-${port}.sh`);
    writeFileSync(file, `while :; do PORT=${port} '${node}' '${app}' & echo $! > '${directory}/${port}.pid'; wait $!; done\n`);
    return file;
  });
  const restart = path.join(directory, 'restart.sh');
  const one = (port) => `
old=$(cat '${directory}/${port}.pid')
kill "$old"
until new=$(cat '${directory}/${port}.pid') && [ "$new" != "$old" ] && (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null; do sleep 0.05; done
`;
  writeFileSync(restart, upstreams.map(one).join(''));
  return { keep, restart };
}
