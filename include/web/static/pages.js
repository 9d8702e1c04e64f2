// Times in the viewer's zone, links that leave the frame, and pages that wait for a result.
"use strict";

const FORMAT = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});

function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = FORMAT.format(new Date(time.dateTime));
  }
}

// Airflow's frame may neither open windows nor navigate the page around it, but that page is of the
// same origin: a link there may.
function leaveFrame(event) {
  const link = event.target.closest("a[data-airflow]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = link.href;
  window.parent.document.body.append(outside);
  outside.click();
  outside.remove();
}

// A judgement takes seconds: ask until there is one, then show the page anew.
async function wait(notice) {
  for (let asked = 0; asked < 30; asked += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const reply = await fetch(notice.dataset.wait);
    if (!reply.ok) return;
    if ((await reply.json()).judged) {
      window.location.reload();
      return;
    }
  }
}

// A form that takes seconds says so, and is not sent twice.
function sending(event) {
  const button = event.submitter;
  if (event.target.method !== "post" || !button || !button.dataset.busy) return;
  button.textContent = button.dataset.busy;
  button.setAttribute("aria-disabled", "true");
  event.target.addEventListener("submit", (again) => again.preventDefault());
}

document.addEventListener("click", leaveFrame);
document.addEventListener("submit", sending);
showLocalTimes(document);
for (const notice of document.querySelectorAll("[data-wait]")) wait(notice);
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
