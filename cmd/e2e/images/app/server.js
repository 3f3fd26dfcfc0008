// An HTTP server on descriptor 3, as the manual's recipe for Express does it.
'use strict';
const http = require('http');

if (parseInt(process.env.LISTEN_FDS, 10) !== 1) {
  throw new Error('LISTEN_FDS is not 1');
}
http.createServer((request, response) => {
  response.end(`${process.pid} ${process.env.LITHOS_NAME}\n`);
}).listen({fd: 3});
