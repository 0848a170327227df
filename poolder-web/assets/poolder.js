// The script of the dashboard: live pages, charts at the width of the screen, and keys. Every page
// and every form works without it.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Live pages: a hidden element holds the stream, so that removing it ends the stream. The stream
  // pauses by itself while the page is hidden.
  const live = $("#live");
  const button = $("#live-switch");
  let stream = null;
  const tell = (lost) => {
    button.classList.toggle("lost", Boolean(lost));
    button.textContent = lost ? "Lost" : "Live";
    button.title = lost;
  };
  const connect = () => {
    stream = document.createElement("i");
    stream.hidden = true;
    stream.setAttribute("hx-sse:connect", live.dataset.live);
    stream.setAttribute("hx-target", "#live");
    stream.setAttribute("hx-swap", "innerMorph");
    stream.addEventListener("htmx:sse:error", () => tell("The dashboard does not answer. The page tries again."));
    stream.addEventListener("htmx:sse:after:message", ({ detail: { message } }) => tell(message.event === "away" ? message.data : ""));
    document.body.append(stream);
    htmx.process(stream);
  };
  if (live && button && live.dataset.live) {
    button.hidden = false;
    connect();
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      tell("");
      if (on) return connect();
      button.textContent = "Paused";
      const old = stream;
      htmx.trigger(old, "htmx:abort");
      htmx.swap({ sourceElement: old, target: old, swap: "delete", text: "" });
    });
  }

  // Charts.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const strokes = { 1: "--chart-1", 2: "--chart-2", 3: "--chart-3", 4: "--chart-4", b: "--bad-fill" };
  const span = (micros) => {
    if (micros == null) return "–";
    const units = [["d", 864e8], ["h", 36e8], ["min", 6e7], ["s", 1e6], ["ms", 1e3], ["µs", 1]];
    const [name, unit] = units.find(([, unit]) => micros >= unit) || units[5];
    return `${+(micros / unit).toFixed(micros / unit < 10 ? 1 : 0)} ${name}`;
  };
  const plain = (value) => (value == null ? "–" : (+value.toFixed(value < 10 ? 2 : 0)).toLocaleString("en"));
  const clock = (at, times) => {
    const text = new Date(at * 1000).toISOString();
    return times.at(-1) - times[0] > 86400 ? text.slice(5, 10) : text.slice(11, 16);
  };
  const tens = (u, axis, low, high) => {
    const powers = [];
    for (let power = 1; power <= high; power *= 10) if (power >= low) powers.push(power);
    return powers;
  };
  const draw = (figure) => {
    const data = JSON.parse(figure.dataset.chart);
    const say = data.scale === "rate" ? plain : span;
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const series = data.lines.map((line) => ({
      label: line.name, stroke: colour(strokes[line.colour]), width: 1.5, points: { show: false },
      // Failures are bars on a scale of their own, since they are few beside all others.
      ...(line.colour === "b" ? { scale: "few", paths: uPlot.paths.bars({ size: [0.6, 12] }), fill: colour(strokes.b), width: 0 }
        : { fill: data.scale === "rate" ? colour(strokes[line.colour]) + "22" : undefined }),
    }));
    const marks = (u) => {
      const { ctx, bbox: { left, top, width, height } } = u, px = devicePixelRatio;
      const placed = [];
      ctx.save();
      ctx.font = `600 ${11 * px}px system-ui`;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      // Deaths before deploys, the last ones first.
      for (const mark of data.marks.toSorted((a, b) => b.bad - a.bad || b.at - a.at)) {
        const x = u.valToPos(mark.at, "x", true);
        ctx.strokeStyle = colour(mark.bad ? "--bad-fill" : "--line-2");
        ctx.setLineDash([2 * px, 3 * px]);
        ctx.beginPath();
        ctx.moveTo(x, top);
        ctx.lineTo(x, top + height);
        ctx.stroke();
        // A label stays within the chart; one that would hide another is left out.
        const half = ctx.measureText(mark.text).width / 2 + 8 * px;
        const middle = Math.max(half, Math.min(x, left + width + 16 * px - half));
        if (placed.some((other) => Math.abs(other.middle - middle) < other.half + half)) continue;
        placed.push({ middle, half });
        ctx.setLineDash([]);
        ctx.beginPath();
        ctx.roundRect(middle - half, top - 17 * px, 2 * half, 16 * px, 8 * px);
        ctx.fillStyle = colour("--surface");
        ctx.fill();
        ctx.stroke();
        ctx.fillStyle = colour(mark.bad ? "--bad" : "--muted");
        ctx.fillText(mark.text, middle, top - 8.5 * px);
      }
      ctx.restore();
    };
    const said = document.createElement("p");
    said.className = "at small muted";
    const show = (u) => {
      const at = u.cursor.idx;
      said.textContent = at == null ? "\u00a0" :
        `${new Date(u.data[0][at] * 1000).toISOString().slice(5, 16).replace("T", " ")} UTC: ` +
        u.series.slice(1).map((line, n) => `${line.label} ${say(u.data[n + 1][at])}`).join(", ");
    };
    figure.replaceChildren();
    const plot = new uPlot({
      width: figure.clientWidth - 32, height: 220, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } }, padding: [20, 20, 0, 0],
      scales: data.scale === "rate" ? { y: { range: (u, low, high) => [0, (high || 1) * 1.1] }, few: { range: (u, low, high) => [0, (high || 1) * 2.5] } } : { y: { distr: 3 } },
      axes: [{ ...axis, size: 28, values: (u, values) => values.map((at) => clock(at, u.data[0])) }, { ...axis, size: 60, ...(data.scale === "rate" ? {} : { splits: tens }), values: (u, values) => values.map((value) => (value == null ? "" : say(value))) }],
      series: [{}, ...series], hooks: { draw: [marks], setCursor: [show] },
    }, [data.times, ...data.lines.map((line) => line.values)], figure);
    figure.append(said);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", `${figure.id}, also as a table`);
    show(plot);
    return plot;
  };
  let plots = [];
  const drawAll = () => {
    for (const { plot } of plots) plot.destroy();
    plots = $$("[data-chart]").filter((figure) => figure.clientWidth > 0).map((figure) => ({ figure, plot: draw(figure) }));
  };
  const resize = () => plots.forEach(({ figure, plot }) => plot.setSize({ width: figure.clientWidth - 32, height: 220 }));
  drawAll();
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Rows that are chosen in a list.
  const ticks = $$("input[form=bulk]");
  const chosen = $("#chosen");
  const hint = chosen ? chosen.textContent : "";
  const count = () => {
    const some = ticks.filter((tick) => tick.checked).length;
    if (chosen) chosen.textContent = some ? `${some} chosen` : hint;
  };
  const head = $("th.pick");
  if (head && ticks.length) {
    const every = document.createElement("input");
    every.type = "checkbox";
    every.setAttribute("aria-label", "Choose all of this page");
    every.addEventListener("change", () => { ticks.forEach((tick) => { tick.checked = every.checked; }); count(); });
    head.replaceChildren(every);
  }
  ticks.forEach((tick) => tick.addEventListener("change", count));
  count();
  const choose = () => {
    const tick = $("tr.here input[form=bulk]");
    if (tick) { tick.checked = !tick.checked; count(); }
  };
  const runNow = () => {
    const run = $("#bulk button[value=run-now], #bulk button[value=revive]");
    if (!run) return;
    if (!ticks.some((tick) => tick.checked)) choose();
    if (ticks.some((tick) => tick.checked)) run.click();
  };

  // Texts that can be copied.
  $$("[data-copy]").filter(() => navigator.clipboard).forEach((copy) => {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
      copy.textContent = "Copied";
    });
  });

  // Keys.
  let row = -1;
  let leader = false;
  const move = (by) => {
    // The list of jobs where the page has one, else the rows of all tables but those behind charts.
    const rows = $$($("#jobs") ? "#jobs tbody tr" : "main .card tbody tr").filter((it) => it.checkVisibility());
    if (!rows.length) return;
    row = Math.max(0, Math.min(rows.length - 1, row + by));
    rows.forEach((it, n) => it.classList.toggle("here", n === row));
    const link = $("a", rows[row]);
    if (link) link.focus();
    rows[row].scrollIntoView({ block: "nearest" });
  };
  const pages = { o: "/", q: "/queues", j: "/jobs" };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape" && typing) return typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (leader) {
      leader = false;
      if (pages[event.key]) location.href = document.body.dataset.base + pages[event.key];
      return;
    }
    const act = {
      "/": () => $("#search").focus(), "?": () => $("#help").showModal(), j: () => move(1), k: () => move(-1), x: choose, r: runNow,
      g: () => { leader = true; setTimeout(() => { leader = false; }, 1500); },
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
})();
