"""The browser: LiteRT.js, the page that a bundle brings along, a server on loopback, and Chromium to run files in."""
