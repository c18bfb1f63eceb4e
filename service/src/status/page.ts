/**
 * The operator's page: the status document, drawn by the browser every two seconds. One static text without a framework or
 * anything from elsewhere; what it shows is set as text, never as markup.
 */
export const statusPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sluice</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color-scheme: light dark; }
  h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
  .good { color: #18794e } .bad { color: #c62a2f; font-weight: 600 }
  table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }
  td.number { text-align: right; font-variant-numeric: tabular-nums }
  progress { width: 10rem } code { font-size: .9em } #ask { margin-top: 2rem }
</style>
<h1>Sluice <span id="version"></span></h1>
<form id="ask">Operator token: <input id="token" type="password" autocomplete="off" size="40"> <button>Show</button></form>
<p id="state" role="status"></p>
<main id="main"></main>
<script>
const byId = (id) => document.getElementById(id);
const add = (parent, tag, text, kind) => {
  const element = parent.appendChild(document.createElement(tag));
  if (text !== undefined && text !== null) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const row = (table, name, value, kind) => {
  const line = add(table, 'tr');
  add(line, 'th', name);
  add(line, 'td', value, kind);
};
const bytes = (count) => count === null ? '?' : count < 1e4 ? count + ' B' : count < 1e7 ? Math.round(count / 1e3) + ' kB' : Math.round(count / 1e6) + ' MB';
const copyText = (p) => p.rows + ' of about ' + p.rowsEstimate + ' rows' +
  (p.rowsPerSecond === null ? '' : ', ' + p.rowsPerSecond + ' rows/s') + (p.secondsLeft ? ', ' + p.secondsLeft + ' s left' : '');

function drawStream(main, stream) {
  add(main, 'h2', 'Stream ' + stream.id + ': ' + stream.lifecycle + (stream.phase ? ', ' + stream.phase : ''));
  const table = add(main, 'table');
  if (stream.error) row(table, 'Error', '[' + stream.error.code + '] ' + stream.error.message + ' → ' + stream.error.hint, 'bad');
  for (const each of stream.problems) row(table, 'Problem', each.table + ': [' + each.code + '] ' + each.message + ' → ' + each.hint, 'bad');
  row(table, 'Checkpoint', stream.checkpoint ? 'op ' + stream.checkpoint.opId + ' at ' + stream.checkpoint.position : 'none yet');
  const closed = stream.gates.closed;
  row(table, 'Gates', closed ? closed + ' is closed; it waits for ' + stream.gates[closed].waitsFor : 'all open', closed ? 'bad' : 'good');
  const at = stream.positions;
  row(table, 'Positions', 'source ' + at.sourceHead + ', received ' + at.received + ', durable ' + at.durable + ', acknowledged ' + at.acknowledged);
  row(table, 'Lag', bytes(stream.lag.bytes) + ', ' + (stream.lag.seconds === null ? '?' : stream.lag.seconds) + ' s');
  if (stream.slot) row(table, 'Slot', stream.slot.status + (stream.slot.active ? ', active' : ', not active') + ', retains ' + bytes(stream.slot.retainedBytes));
  row(table, 'Copy', stream.progress.percent + ' %: ' + copyText(stream.progress));
  const time = stream.progress.time;
  if (time) row(table, 'Time', ['read', 'evaluate', 'flush', 'wait'].map((stage) =>
    stage + ' ' + Math.round(time.stages[stage] / time.elapsedMs * 100) + ' %').join(', ') + ' of ' + Math.round(time.elapsedMs / 1000) + ' s of tasks');
  const tables = add(main, 'table');
  for (const each of stream.tables) {
    const line = add(tables, 'tr');
    add(add(line, 'td'), 'code', each.schema + '.' + each.name);
    const bar = add(add(line, 'td'), 'progress');
    bar.max = 100;
    bar.value = each.percent;
    add(line, 'td', each.percent + ' %', 'number');
    add(line, 'td', each.tasks.done + '/' + each.tasks.all + ' tasks');
    add(line, 'td', copyText(each));
  }
}

function draw(status) {
  const { service, clients, streams } = status;
  byId('version').textContent = service.version;
  byId('state').textContent = (service.ready ? 'Ready: ' : 'Not ready: ') + service.reason +
    (service.notice === null ? '' : ' [' + service.notice.code + '] ' + service.notice.message);
  byId('state').className = service.ready ? 'good' : 'bad';
  const main = document.createElement('main');
  main.id = 'main';
  add(main, 'p', clients.connected + ' of ' + clients.max + ' clients: ' + clients.byActivity.current + ' current, ' +
    clients.byActivity.downloading + ' downloading, ' + clients.byActivity.blocked + ' blocked');
  for (const stream of streams) drawStream(main, stream);
  byId('main').replaceWith(main);
}

async function look() {
  const token = sessionStorage.getItem('token');
  byId('ask').hidden = token !== null;
  if (token === null) return;
  try {
    const response = await fetch('/api/status', { headers: { authorization: 'Token ' + token } });
    if (response.status === 401) sessionStorage.removeItem('token');
    const document = await response.json();
    if (response.ok) draw(document);
    else byId('state').textContent = document.error.description;
    byId('ask').hidden = response.status !== 401;
  } catch {
    byId('state').textContent = 'The service does not answer.';
    byId('state').className = 'bad';
  }
}

byId('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', byId('token').value);
  look();
});
window.setInterval(look, 2000);
look();
</script>
`;
