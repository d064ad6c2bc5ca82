// Keeps the page true without reloading it: when the event stream tells of something, and every two seconds while somebody looks (what a
// balancer does is not in the log), the page is asked for again and only what differs is changed. Scroll, selection and open details stay.
"use strict";
(() => {
  const link = document.getElementById("link");
  let busy = false, again = false, soon = 0;

  const connected = (yes) => {
    link.textContent = yes ? link.dataset.yes : link.dataset.no;
    link.classList.toggle("on", yes);
  };

  const localTimes = (root) => {
    for (const t of root.querySelectorAll("time[datetime]")) {
      t.textContent = new Date(t.dateTime).toLocaleTimeString(document.documentElement.lang, {hour12: false});
    }
  };

  const refresh = async () => {
    if (document.hidden) return;
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, {headers: {Accept: "text/html"}, signal: AbortSignal.timeout(10000)});
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.href = answer.url; return; }
      if (answer.ok) {
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        localTimes(next);
        morph(document.querySelector("main"), next.querySelector("main"));
      }
      connected(answer.ok);
    } catch {
      connected(false);
    } finally {
      busy = false;
      if (again) { again = false; later(); }
    }
  };

  const later = () => {
    if (soon) return;
    soon = setTimeout(() => { soon = 0; refresh(); }, 150); // one change is often several events
  };

  // morph makes the element like the new one, keeping every node that can stay.
  const morph = (old, now) => {
    for (const a of now.attributes) {
      if (old.getAttribute(a.name) === a.value) continue;
      if (a.name === "data-state") flash(old);
      old.setAttribute(a.name, a.value);
    }
    for (const a of [...old.attributes]) {
      if (!now.hasAttribute(a.name) && !(a.name === "open" && old.tagName === "DETAILS") && a.name !== "style") old.removeAttribute(a.name);
    }
    if (old.tagName === "PROGRESS") old.value = now.value;
    const known = new Map([...old.children].filter((c) => c.id).map((c) => [c.id, c]));
    let at = old.firstChild;
    for (const n of [...now.childNodes]) {
      let match = n.id ? known.get(n.id) : at;
      if (match && (match.nodeType !== n.nodeType || match.nodeName !== n.nodeName || (match.id || "") !== (n.id || ""))) match = null;
      if (!match) {
        old.insertBefore(document.importNode(n, true), at);
        continue;
      }
      if (match === at) at = at.nextSibling; else old.insertBefore(match, at);
      if (n.nodeType === Node.ELEMENT_NODE) morph(match, n);
      else if (match.nodeValue !== n.nodeValue) match.nodeValue = n.nodeValue;
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const flash = (element) => {
    element.classList.remove("changed");
    requestAnimationFrame(() => element.classList.add("changed"));
  };

  localTimes(document);
  const stream = new EventSource("/stream");
  stream.onopen = () => connected(true);
  stream.onerror = () => connected(false);
  stream.onmessage = later;
  setInterval(refresh, 2000);
  document.addEventListener("visibilitychange", refresh);
})();
