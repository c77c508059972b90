// What the page does by itself. Runs once, in a gr.HTML component; `trigger` calls the handlers wired to it in ui/app.py.

// Waits until `find` gives an element: the server may have to draw it first.
function whenThere(find, use, tries = 100) {
  const element = find();
  if (element) use(element);
  else if (tries) setTimeout(() => whenThere(find, use, tries - 1), 50);
}

// Scrolls the panel that holds the element, so that the rest of the page stays where it is; the page where no panel scrolls.
// What stands in the upper part already is left there.
function bringToTop(element) {
  let panel = element.parentElement;
  while (panel && !(panel.scrollHeight > panel.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(panel).overflowY))) {
    panel = panel.parentElement;
  }
  const isPage = !panel || panel === document.body || panel === document.documentElement;
  const top = isPage ? 0 : panel.getBoundingClientRect().top;
  const height = isPage ? window.innerHeight : panel.clientHeight;
  const distance = element.getBoundingClientRect().top - top;
  if (distance >= 0 && distance < 0.4 * height) return;
  if (isPage) element.scrollIntoView({ block: "start" });
  else panel.scrollTo({ top: panel.scrollTop + distance - 12 });
}

function openSource(card) {
  document.querySelectorAll("#sources details.source").forEach((other) => other.classList.toggle("chosen", other === card));
  card.open = true;
  card.querySelector("summary").focus({ preventScroll: true });
  bringToTop(card);
}

// A link into a guide: #read-<guide>--<section>?line=…&quote=…, its parts encoded. The server marks what is named and gives it the
// id of this visit, so that the place is found again, however often one link is followed.
let visits = 0;
function readGuide(link) {
  const [path, query = ""] = link.split("?", 2);
  const parts = path.split("--");
  const wanted = new URLSearchParams(query);
  visits += 1;
  const visit = visits;
  trigger("read_guide", {
    document_id: decodeURIComponent(parts[0]),
    section: decodeURIComponent(parts.slice(1).join("--")),
    line: Number(wanted.get("line") ?? 0),
    quote: wanted.get("quote") ?? "",
    visit,
  });
  whenThere(() => {
    const place = document.getElementById(`visit-${visit}`);
    return place?.closest("#reader")?.checkVisibility() ? place : null;
  }, showPlace, 400);
}

// What is marked is shown with its heading where both fit.
function showPlace(place) {
  const before = [...document.querySelectorAll("#reader :is(h1, h2, h3, h4, h5, h6)")].filter(
    (heading) => heading.compareDocumentPosition(place) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  const heading = before.at(-1);
  const isNear = heading && place.getBoundingClientRect().top - heading.getBoundingClientRect().top < 0.4 * window.innerHeight;
  const top = isNear ? heading : place;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  bringToTop(top);
  // Pictures above it that are still to come push it down; where all are there, nobody who reads on is thrown back.
  const coming = [...document.querySelectorAll("#reader img")].filter((image) => !image.complete);
  if (coming.length) Promise.allSettled(coming.map((image) => image.decode())).then(() => bringToTop(top));
}

// A new question comes to the top, and again when there is an answer below it: that is read from its start.
let wasPending = false;
new MutationObserver(() => {
  const isPending = Boolean(document.querySelector("#chat .pending"));
  if (isPending !== wasPending) bringToTop([...document.querySelectorAll("#chat .user-row")].at(-1) ?? document.body);
  wasPending = isPending;
  // Code that is wider than its panel is scrolled by keyboard too.
  for (const code of document.querySelectorAll("pre:not([tabindex])")) code.tabIndex = 0;
}).observe(document.body, { childList: true, subtree: true });

// A link that begins an interview, #practise-<kind>/<name>, or saves a file, #save-<kind>/<name>/<ending>.
function practise(link) {
  const [kind, name = ""] = link.split("/").map(decodeURIComponent);
  trigger("practise", { kind, name });
}

// The file comes in the page, under the id of this visit; what is made from it here is gone once it is saved.
function saveFile(link, clicked) {
  const [kind, name = "", ending = ""] = link.split("/").map(decodeURIComponent);
  visits += 1;
  const visit = visits;
  clicked.ariaBusy = "true";
  trigger("save", { kind, name, ending, visit });
  whenThere(() => document.getElementById(`parcel-${visit}`), (parcel) => {
    clicked.ariaBusy = null;
    const bytes = Uint8Array.from(atob(parcel.dataset.content), (letter) => letter.charCodeAt(0));
    const file = document.createElement("a");
    file.href = URL.createObjectURL(new Blob([bytes]));
    file.download = parcel.download;
    file.click();
    parcel.remove();
    setTimeout(() => URL.revokeObjectURL(file.href), 60_000);
  }, 1200);
}

// Whoever types a date passes by others: the plan waits until they rest.
let dayChosen = 0;
document.addEventListener("input", (event) => {
  if (!event.target.matches?.("#plan-day input")) return;
  clearTimeout(dayChosen);
  dayChosen = setTimeout(() => trigger("choose_day", { day: event.target.value }), 500);
});

// A tile of the map opens the list of its guide at its section.
document.addEventListener("click", (event) => {
  const row = document.getElementById(event.target.closest?.(".tile[data-row]")?.dataset.row ?? "");
  if (!row) return;
  event.preventDefault();
  row.closest("details").open = true;
  document.querySelectorAll("#map li.chosen").forEach((other) => other.classList.remove("chosen"));
  row.classList.add("chosen");
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#source-'], a[href^='#read-'], a[href^='#practise-'], a[href^='#save-']");
  if (!link) return;
  event.preventDefault();
  const href = link.getAttribute("href").slice(1);
  if (href.startsWith("practise-")) return practise(href.slice("practise-".length));
  if (href.startsWith("save-")) return saveFile(href.slice("save-".length), link);
  if (href.startsWith("read-")) {
    link.closest("details.contents")?.removeAttribute("open");
    readGuide(href.slice("read-".length));
    return;
  }
  const target = decodeURIComponent(href);
  if (!document.getElementById(target)) trigger("show_source", { target_id: target });
  whenThere(() => document.getElementById(target), openSource);
});

// In an interview a new question stands at the top of the page, and what is new below it comes to the top.
let questionShown = "";
let notesShown = 0;
new MutationObserver(() => {
  const question = document.querySelector("#interview-question h2")?.textContent ?? "";
  const notes = [...document.querySelectorAll("#transcript :is(.said, .card)")];
  if (question !== questionShown) window.scrollTo({ top: 0 });
  else if (notes.length > notesShown) bringToTop(notes[notesShown]);
  questionShown = question;
  notesShown = notes.length;
}).observe(document.body, { childList: true, subtree: true });

// The server may have to draw these first.
window.focusAnswer = () =>
  whenThere(() => document.querySelector("#attempt textarea"), (field) => field.focus({ preventScroll: true }));
window.showDispute = () => whenThere(() => document.querySelector("#transcript .disputed"), bringToTop, 20);

// The time used runs on between two answers of the server; what it counts at most, the server counts at most too.
setInterval(() => {
  for (const clock of document.querySelectorAll(".timer [data-used]")) {
    clock.since ??= Date.now();
    const seconds = Math.min(Number(clock.dataset.used) + Math.floor((Date.now() - clock.since) / 1000), Number(clock.dataset.most));
    clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}, 1000);

// Whoever pressed a button that is gone now can go on typing; on a phone that would bring up its keyboard.
window.focusQuestion = () => {
  const active = document.activeElement ?? document.body;
  const isElsewhere = active !== document.body && active.checkVisibility() && !active.matches("#chat-column button");
  if (!isElsewhere && matchMedia("(hover: hover)").matches) document.querySelector("#question textarea")?.focus({ preventScroll: true });
};

// A conversation that is opened again is shown at its last question.
window.showLastTurn = () => {
  // Its formulas are set after it is there.
  setTimeout(() => {
    const last = [...document.querySelectorAll("#chat .user-row")].at(-1);
    if (last?.checkVisibility() && window.innerWidth > 900) bringToTop(last);
  }, 300);
};

// Where there is room the conversations are listed from the start.
whenThere(
  () => document.querySelector("#conversations > button"),
  (fold) => {
    if (window.innerWidth > 900 && !fold.classList.contains("open")) fold.click();
  },
);

document.addEventListener("keydown", (event) => {
  const stop = document.querySelector("#stop");
  if (event.key === "Escape" && !event.defaultPrevented && stop?.checkVisibility()) stop.click();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest?.("#question")) {
    event.preventDefault();
    document.querySelector("#ask")?.click();
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest?.("#attempt")) {
    event.preventDefault();
    document.querySelector("#send-answer")?.click();
  }
});

// What is copied should read well elsewhere: without links into this page and without our tags.
const clipboard = navigator.clipboard;
if (clipboard?.writeText) {
  const write = clipboard.writeText.bind(clipboard);
  clipboard.writeText = (text) =>
    write(
      text
        .replace(/\[(\[\d+\])\]\(#source-[^)]*\)/g, "$1")
        .replace(/\]\(#(?:source|read)-[^)]*\)/g, "]")
        .replace(/<\/?(?:span|small|p|mark|div)\b[^>]*>/g, "")
        .replaceAll("&lt;", "<"),
    );
}
