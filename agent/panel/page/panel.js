// The page of a station. It shows what the agent sends, counts down what is counted down, and sends what is touched. It decides nothing and keeps nothing: the
// only thing that it remembers is a PIN while it is typed, in one variable of this file, and never in the page, an address or a store.
'use strict';
(() => {
  const root = document.documentElement;
  const find = (selector) => document.querySelector(selector);
  const meta = (name) => find(`meta[name="tapline-${name}"]`).content;
  const token = meta('token');
  const run = meta('run'); // of the agent: the next one has another token

  // The one gate through which text becomes elements. All of it comes from the agent's own templates.
  const gate = window.trustedTypes
    ? window.trustedTypes.createPolicy('tapline', { createHTML: (html) => html })
    : { createHTML: (html) => html };

  // ---- What is shown.

  const parts = new Map(); // what each part was made of
  let shown = null;
  let skew = 0; // agent's clock less this page's own, in ms

  function show(m) {
    const first = shown === null;
    const moved = first || shown.kind !== m.kind || shown.title !== m.title || shown.say !== m.say;
    if (first || shown.cue !== m.cue) {
      if (!first) ring(m.sound);
    }
    shown = m;
    root.lang = m.lang;
    root.dir = m.dir;
    root.dataset.kind = m.kind;
    root.dataset.tone = m.tone;
    root.toggleAttribute('data-open', m.open);
    document.title = m.title;
    for (const [id, html] of Object.entries(m.parts)) {
      if (parts.get(id) === html) continue;
      parts.set(id, html);
      document.getElementById(id).innerHTML = gate.createHTML(html);
    }
    keepPIN();
    // A sheet that asks about what is over closes.
    if (sheet === 'leave' && !(find('[data-end]').dataset.end)) close();
    if (sheet && sheet !== 'gone' && moved && ['pin', 'second', 'refused', 'claim'].includes(m.kind)) close();
    lay();
    tick();
    if (moved) find('#say').textContent = m.say;
  }

  // ---- Sheets: what the page says for itself.

  let sheet = '';
  let closing = 0;

  function open(name, lasts) {
    clearTimeout(closing);
    sheet = name;
    if (lasts) closing = setTimeout(close, lasts);
    lay();
    const title = find(`#${name} h1`);
    if (title) find('#say').textContent = title.textContent;
  }

  function close() {
    clearTimeout(closing);
    sheet = '';
    lay();
  }

  // lay shows the sheet that is open, and takes what is under it out of reach.
  function lay() {
    for (const s of document.querySelectorAll('.sheet')) s.hidden = s.id !== sheet;
    root.dataset.sheet = sheet;
    find('#stage').inert = sheet !== '';
    const acts = find('.acts');
    if (acts) acts.hidden = sheet !== '';
    const held = find('#emergency');
    held.hidden = sheet === 'reasons' || sheet === 'gone'; // a button that nobody hears is none
    held.classList.toggle('held', holding !== 0);
  }

  // ---- Counting down.

  const two = (n) => String(n).padStart(2, '0');

  function tick() {
    const now = Date.now() + skew;
    const clock = find('#clock');
    const local = new Date(now);
    if (clock) clock.textContent = `${two(local.getHours())}:${two(local.getMinutes())}`;
    for (const e of document.querySelectorAll('[data-until]')) {
      const left = Math.max(0, Number(e.dataset.until) - now);
      if (e.tagName === 'PROGRESS') {
        e.value = left;
        continue;
      }
      const s = Math.round(left / 1000);
      e.textContent = `${Math.floor(s / 60)}:${two(s % 60)}`;
    }
  }
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  setInterval(tick, calm ? 1000 : 250);

  // ---- Hearing from the agent.

  const silence = 12000; // the agent says something every 5 s
  const patience = 4000; // and a line that broke is given so long to come back
  let heard = performance.now();
  let broken = 0;
  let source = null;

  function listen() {
    if (source) source.close();
    source = new EventSource('/panel/events');
    const on = (name, act) => source.addEventListener(name, (e) => {
      heard = performance.now();
      broken = 0;
      if (sheet === 'gone') close();
      act(JSON.parse(e.data));
    });
    on('hello', (m) => {
      skew = m.now - Date.now();
      if (m.run !== run) location.reload();
    });
    on('beat', (m) => { skew = m.now - Date.now(); });
    on('show', show);
    source.addEventListener('error', () => {
      if (!broken) broken = performance.now();
    });
  }

  let asking = 0;
  setInterval(() => {
    const now = performance.now();
    const lost = now - heard > silence || (broken && now - broken > patience);
    if (!lost) return;
    if (sheet !== 'gone') {
      forget();
      open('gone');
      ring('expiring');
    }
    if (now - asking < 3000) return;
    asking = now;
    // The agent has a new token after each start, so the page is loaded again as soon as there is one to load.
    fetch('/', { method: 'HEAD', cache: 'no-store' }).then((r) => { if (r.ok) location.reload(); }, () => {});
  }, 1000);

  // ---- Telling the agent.

  async function tell(path, body) {
    const answer = await fetch(path, {
      method: 'POST', cache: 'no-store', credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json', 'X-Tapline-Token': token },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`the agent answered ${answer.status}`);
    return answer.json();
  }

  const failed = () => {
    ring('refused');
    open('failed', 6000);
  };

  // ---- PIN.

  let pin = '';
  let pinFor = ''; // the tap that it is for
  const longest = 12;

  function forget() {
    pin = '';
    dots();
  }

  function dots() {
    const row = find('#dots');
    if (!row) return;
    row.textContent = '\u25CF'.repeat(pin.length);
    const words = find('#typed-words');
    find('#typed').textContent = pin.length ? words.children[pin.length - 1].textContent : '';
  }

  // keepPIN keeps what was typed while the same tap waits, and forgets it with the tap.
  function keepPIN() {
    const pad = find('.pad');
    const now = pad ? pad.dataset.session : '';
    if (now !== pinFor) pin = '';
    pinFor = now;
    dots();
  }

  function type(digit) {
    if (pin.length < longest) pin += digit;
    dots();
  }

  function enter() {
    if (!pin || !pinFor) return;
    const body = { session: pinFor, pin };
    forget();
    tell('/api/v1/pin', body).catch(failed);
  }

  // ---- Emergency: two seconds, then a reason.

  const holdFor = 2000;
  let holding = 0;

  function hold() {
    if (holding || sheet === 'reasons') return;
    holding = setTimeout(() => {
      release();
      open('reasons', 30000);
    }, holdFor);
    lay();
  }

  function release() {
    clearTimeout(holding);
    holding = 0;
    lay();
  }

  addEventListener('pointerdown', (e) => {
    wake();
    if (e.target.closest('#emergency') && e.isPrimary && e.button === 0) {
      hold();
    }
  });
  for (const over of ['pointerup', 'pointercancel', 'blur']) addEventListener(over, release);
  addEventListener('pointermove', (e) => {
    if (!holding) return;
    const b = find('#emergency').getBoundingClientRect();
    if (e.clientX < b.left || e.clientX > b.right || e.clientY < b.top || e.clientY > b.bottom) release();
  });
  addEventListener('contextmenu', (e) => e.preventDefault());

  // ---- Touches and, where there are some, keys.

  addEventListener('click', (e) => {
    const b = e.target.closest('button');
    if (!b) return;
    const d = b.dataset;
    if (d.digit) type(d.digit);
    else if (d.do === 'delete') { pin = pin.slice(0, -1); dots(); }
    else if (d.do === 'enter') enter();
    else if ('close' in d) close();
    else if (d.end) { close(); tell('/api/v1/session/end', { session: d.end }).catch(failed); }
    else if (d.reason) { close(); tell('/api/v1/emergency', { reason: d.reason }).catch(failed); }
    else if (d.act === 'leave') open('leave', 20000);
    else if (d.act === 'claim') tell('/api/v1/emergency/claim', { emergency: d.id }).catch(failed);
    else if (d.act === 'cancel') { forget(); tell('/api/v1/session/end', { session: d.id }).catch(failed); }
  });
  addEventListener('keydown', (e) => {
    if (e.target.closest && e.target.closest('#emergency') && (e.key === 'Enter' || e.key === ' ')) {
      e.preventDefault();
      if (!e.repeat) hold();
    } else if (pinFor && !sheet && /^[0-9]$/.test(e.key)) type(e.key);
    else if (pinFor && !sheet && e.key === 'Backspace') { pin = pin.slice(0, -1); dots(); }
    else if (pinFor && !sheet && e.key === 'Enter' && !e.target.closest('button')) enter();
    else if (e.key === 'Escape' && sheet && sheet !== 'gone') close();
  });
  addEventListener('keyup', (e) => { if (e.key === 'Enter' || e.key === ' ') release(); });

  // ---- Sounds, each with a frame around the page that says the same.

  const sounds = {
    ok: [[660, 0, 0.12], [880, 0.13, 0.2]],
    refused: [[220, 0, 0.22], [180, 0.26, 0.3]],
    expiring: [[740, 0, 0.1], [740, 0.2, 0.1], [740, 0.4, 0.1]],
  };
  let air = null;
  let fading = 0;

  function wake() {
    if (meta('sounds') === 'on' && !air && window.AudioContext) air = new AudioContext();
    if (air && air.state === 'suspended') air.resume();
  }

  function ring(name) {
    if (!sounds[name]) return;
    root.dataset.cue = name;
    clearTimeout(fading);
    fading = setTimeout(() => { delete root.dataset.cue; }, 1200);
    wake();
    if (!air || air.state !== 'running') return;
    for (const [pitch, from, lasts] of sounds[name]) {
      const tone = air.createOscillator();
      const loud = air.createGain();
      const at = air.currentTime + from;
      tone.frequency.value = pitch;
      loud.gain.setValueAtTime(0.0001, at);
      loud.gain.exponentialRampToValueAtTime(0.25, at + 0.01);
      loud.gain.exponentialRampToValueAtTime(0.0001, at + lasts);
      tone.connect(loud).connect(air.destination);
      tone.start(at);
      tone.stop(at + lasts + 0.02);
    }
  }

  document.addEventListener('visibilitychange', () => { if (document.hidden) forget(); });
  lay();
  tick();
  keepPIN();
  listen();
})();
