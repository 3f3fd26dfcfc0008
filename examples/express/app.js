// An Express application on the socket that it is given.
'use strict';
const express = require('express');

const app = express();
app.get('/', (request, response) => {
  response.send(`express ${process.env.LITHOS_NAME || 'alone'}\n`);
});
const given = parseInt(process.env.LISTEN_FDS, 10) === 1;
app.listen(given ? {fd: 3} : 8080);
