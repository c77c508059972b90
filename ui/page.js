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

// Headings keep the numbers that guides give them, anchors do not: the end of the id decides.
function findHeading(anchor) {
  const headings = [...document.querySelectorAll("#reader :is(h1, h2, h3, h4, h5, h6)[id]")];
  return headings.find((heading) => heading.id === `h-${anchor}`) || headings.find((heading) => heading.id.endsWith(anchor));
}

function readGuide(target) {
  const [documentId, anchor = ""] = target.split("--", 2);
  trigger("read_guide", { document_id: documentId });
  // The old guide is on the page until the new one comes: look after a moment.
  setTimeout(() => whenThere(() => (anchor ? findHeading(anchor) : document.querySelector("#reader h1")), bringToTop), 400);
}

// A new question comes to the top, and again when there is an answer below it: that is read from its start.
let wasPending = false;
new MutationObserver(() => {
  const isPending = Boolean(document.querySelector("#chat .pending"));
  if (isPending !== wasPending) bringToTop([...document.querySelectorAll("#chat .user-row")].at(-1) ?? document.body);
  wasPending = isPending;
}).observe(document.body, { childList: true, subtree: true });

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#source-'], a[href^='#read-']");
  if (!link) return;
  event.preventDefault();
  const target = decodeURIComponent(link.getAttribute("href").slice(1));
  if (target.startsWith("read-")) {
    readGuide(target.slice("read-".length));
    return;
  }
  if (!document.getElementById(target)) trigger("show_source", { target_id: target });
  whenThere(() => document.getElementById(target), openSource);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest?.("#attempt")) {
    event.preventDefault();
    document.querySelector("#grade")?.click();
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
