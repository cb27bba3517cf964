const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => escapes[character]);

/** The start page with what the server knows about itself. */
export function page({ kernel, runtime, host, up }) {
  const rows = { Kernel: kernel, Runtime: runtime, Machine: host, 'Running for': up };
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Node server on BytePort</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <main>
    <h1>Hello from Node.js</h1>
    <p>An Express server in a microVM of its own, with a kernel of its own.</p>
    <dl>
${Object.entries(rows)
  .map(([name, value]) => `      <div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`)
  .join('\n')}
    </dl>
  </main>
</body>
</html>
`;
}
