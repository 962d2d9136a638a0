"""The table, the JSON, and a plot of throughput and latency: an SVG of rectangles and words."""

import html
import json

BUSY = 3.0  # a load above this, before our own work, is somebody else's


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def head(about):
    packages = " ".join(f"{k} {v}" for k, v in about["packages"].items())
    lines = [
        f"command   {about['command']}",
        f"commit    {about['commit']}",
        f"date      {about['date']}, {about['seconds']} s",
        f"machine   {about['machine']}, {about['memory_mib']} MiB, {about['system']}",
        f"packages  {packages}",
        f"load      {about['load_before']:.1f} before, {about['load_after']:.1f} after",
    ]
    if about["load_before"] > BUSY:
        lines.append("BUSY      others used this machine: figures with a load above 3 say little")
    return lines


def table(about, rows):
    columns = ("id", "what", "ours", "floor", "ratio", "must", "goal", "verdict", "spread", "load")
    cells = [columns]
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] else ""
        spread = row["spread"]
        cells.append((
            row["id"], row["what"], number(row["ours_median"]) + (unit if row["ours"] else ""),
            number(row["floor_median"]) if row["floor"] else "-", number(row["ratio"]),
            str(row["must"]), str(row["goal"]), row["verdict"],
            f"{number(spread[0])} to {number(spread[1])}" if spread and len(row["ours"]) > 1 else "-",
            f"{row['load']:.0f}" + ("!" if row["load"] > BUSY else ""),
        ))
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = {2, 3, 4, 5, 6, 9}

    def show(line):
        parts = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths)))
        return "  ".join(parts).rstrip()

    lines = [*head(about), "", show(columns), "  ".join("-" * w for w in widths)]
    lines += map(show, cells[1:])
    lines += ["", "ours and floor are medians; ratio and spread are run by run. R9 to R11: less is better.",
              ""]
    for row in rows:
        for note in [*row["notes"], *([f"void: {row['void']}"] if row["void"] else []),
                     *([row["missing"]] if row["missing"] else [])]:
            lines.append(f"{row['id']:5} {row['what'] or '-'}: {note}")
    return "\n".join(lines)


# --- the plot ---

WIDTH, LEFT, BAR, STEP = 860, 290, 11, 40
OURS, FLOOR, LINE, GREY = "#2b6cb0", "#a0aec0", "#c53030", "#4a5568"


def text_at(x, y, words, size=12, anchor="start", color="#1a202c"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" fill="{color}">'
            f"{html.escape(words)}</text>")


def bar(x, y, width, color):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{BAR}" fill="{color}"/>'


def throughput(rows, top):
    """Each sink beside its floor, the floor's bar always as long."""
    room = WIDTH - LEFT - 190
    parts = [text_at(10, top, "Throughput: the exporter (blue) and its floor (grey)", 15)]
    y = top + 16
    for row in rows:
        if row["id"] not in ("R1", "R2", "R5", "R6", "R7") or not row["judged"] or not row["floor"]:
            continue
        full = room / 1.3
        parts.append(text_at(LEFT - 10, y + 15, row["what"], anchor="end"))
        parts.append(bar(LEFT, y, min(full * row["ratio"], room), OURS))
        parts.append(bar(LEFT, y + BAR + 2, full, FLOOR))
        parts.append(text_at(LEFT + room + 10, y + 15,
                             f"{number(row['ours_median'])} / {number(row['floor_median'])} {row['unit']}"))
        y += STEP
    return parts, y


def latency(rows, top):
    """p50 and p99 in ms; a red line where the batch interval ends."""
    found = []
    for row in rows:
        sinks = row["more"].get("sinks", {}).get("sinks") or [row["more"].get("sink")]
        if row["id"] == "R9" and sinks[0]:
            found.append((row["what"].partition("confirmed, ")[2], sinks[0]))
    parts = [text_at(10, top, "Latency, due to confirmed: p50 (blue), p99 (grey), batch interval (red)", 15)]
    y = top + 16
    if not found:
        return parts, y
    most = max(max(s["latency_s"]["p99"], s["interval_s"]) for _, s in found)
    scale = (WIDTH - LEFT - 190) / most
    for words, sink in found:
        quantiles = sink["latency_s"]
        parts.append(text_at(LEFT - 10, y + 15, words, anchor="end"))
        parts.append(bar(LEFT, y, quantiles["p50"] * scale, OURS))
        parts.append(bar(LEFT, y + BAR + 2, quantiles["p99"] * scale, FLOOR))
        x = LEFT + sink["interval_s"] * scale
        parts.append(f'<line x1="{x:.1f}" y1="{y - 2}" x2="{x:.1f}" y2="{y + 2 * BAR + 4}" stroke="{LINE}"'
                     ' stroke-width="2"/>')
        parts.append(text_at(WIDTH - 180, y + 15, f"{quantiles['p50'] * 1e3:.0f} / "
                             f"{quantiles['p99'] * 1e3:.0f} / max {quantiles['max'] * 1e3:.0f} ms"))
        y += STEP
    return parts, y


def plot(about, rows):
    first, y = throughput(rows, 30)
    second, y = latency(rows, y + 30)
    foot = f"{about['command']} at {about['commit']}, {about['machine']}, {about['date']}"
    parts = [*first, *second, text_at(10, y + 20, foot, 10, color=GREY)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 34:.0f}"'
        ' font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{y + 34:.0f}" fill="white"/>', *parts, "</svg>", ""])


def write(path, about, rows, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".txt").write_text(text + "\n")
    path.with_suffix(".json").write_text(json.dumps({"about": about, "results": rows}, indent=1) + "\n")
    path.with_suffix(".svg").write_text(plot(about, rows))
    print(f"\nwritten: {path}.txt .json .svg")
