"""The page at "/": what a browser makes of it while records flow and a sink is held."""

import json

import pytest

from browser import Browser
from campaign import launch, source
from harness import Sim, wait_for
from httpstub import Answer, Stub
from ports import Port

pytestmark = pytest.mark.release

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"
SECRET = "Canary0123456789Canary0123456789"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as made:
        yield made


def influxdb(stub, name="lake"):
    return {"name": name, "type": "influxdb", "url": stub.url, "token": "x", "org": "home",
            "bucket": "kismet"}


def refusing(started, message="unauthorized access"):
    stub = started(lambda _directory: Stub())
    stub.default = Answer(401, json.dumps({"message": message}))
    return stub


def start(started, tmp_path, sinks, sources, stats=None):
    exporter = launch(started, tmp_path, sources, sinks=sinks,
                      stats={"listen": "127.0.0.1:0", **(stats or {})})
    exporter.streaming()
    return exporter, Port(exporter)


def database(tmp_path, name="db"):
    return {"name": name, "type": "sqlite", "path": str(tmp_path / "kismet.db")}


def strip(name):
    """JavaScript: the part of the page that shows a source or sink."""
    return f"[...document.querySelectorAll('article')].find(a => a.querySelector('h3').textContent === {json.dumps(name)})"


def number(text):
    return float(text.replace(",", ""))


def test_live_rates_and_the_held_sink(started, tmp_path, browser):
    sim = started(Sim, "--devices", "300", "--change", "50", "--events-per-second", "2")
    sinks = [database(tmp_path), influxdb(refusing(started))]
    exporter, port = start(started, tmp_path, sinks, [source(sim.url, "attic")])
    wait_for(lambda: port.ask("/readyz")[0] == 503, what="the sink is held")
    wait_for(lambda: port.status()["sinks"][0]["delivered_each_step"][-1:] > [0], 30, "a step")
    page = browser.open(port.words)
    page.shows("1 thing needs you", "sink lake is held", "unauthorized access", "send SIGHUP",
               "1 of 1 sources heard, 1 of 2 sinks well", "What became of every record")

    # Rates are live, and the charts have an area each.
    def rate(name):
        return number(page.value(f"{strip(name)}.querySelector('.rate').firstChild.textContent"))

    wait_for(lambda: rate("db") > 0 and rate("attic") > 0, 30, "rates")
    assert rate("lake") == 0
    for name in ("attic", "db"):
        assert "V" in page.value(f"{strip(name)}.querySelector('.area').getAttribute('d')")
    assert page.value(f"{strip('db')}.querySelector('.state').textContent") == "ok"
    assert page.value(f"{strip('lake')}.querySelector('.state').textContent") == "held"

    # It asks again by itself, and shows what has changed.
    delivered = "document.querySelector('#ledger tbody').rows[1].cells[1].textContent"
    first = number(page.value(delivered))
    wait_for(lambda: number(page.value(delivered)) > first, 40, "it is refreshed")
    # What one that is well has to say stands with it: that it polls, that nothing has come yet.
    page.value("status.sources[0].text = 'connected, but nothing has come'; show()")
    assert "but nothing has come" in page.value(f"{strip('attic')}.textContent")
    assert "but nothing has come" not in page.value("document.querySelector('#todo').textContent")
    # The pointer over a chart reads the same moment in all of them.
    page.value(
        f"{strip('attic')}.querySelector('svg[role=img]').dispatchEvent(new PointerEvent("
        f"'pointermove', {{bubbles: true, clientX: {strip('attic')}.querySelector('svg[role=img]')"
        ".getBoundingClientRect().right - 1}))"
    )
    legends = page.value("[...document.querySelectorAll('.legend')].map(l => l.textContent)")
    assert len(legends) == 3 and all(" ago" in text for text in legends), legends

    # Nothing but the page and its data was asked for, and nobody complained.
    assert set(page.requested) == {port.words, port.words + "status.json"}
    assert page.complaints == []
    exporter.finish(status=0)


def test_it_fits_and_can_be_read(started, tmp_path, browser):
    sim = started(Sim, "--devices", "30")
    long = "a-name-without-any-space-in-it-which-nobody-would-choose-"[:60]
    sinks = [database(tmp_path), influxdb(refusing(started, "x" * 300), long)]
    exporter, port = start(started, tmp_path, sinks, [source(sim.url, "attic")])
    wait_for(lambda: port.ask("/readyz")[0] == 503, what="the sink is held")
    page = browser.open(port.words)
    page.shows("is held")
    for width in (320, 360, 820, 1280):
        for dark in (False, True):
            page.look(width, 800, dark)
            # No sideways scrolling, whatever the name.
            assert page.value("document.documentElement.scrollWidth") <= width, width
            worst = page.value(CONTRAST)
            assert worst["ratio"] >= 4.5, (width, dark, worst)
    # Structure: one h1, headings in order, tables with headers, charts and marks with words.
    levels = page.value("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels
    assert page.value("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-hidden')"
                      " || (s.getAttribute('role') === 'img' && s.getAttribute('aria-label')))")
    assert page.value("[...document.querySelectorAll('table')].every(t => t.caption.textContent)")
    assert page.value("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert page.value("document.documentElement.lang") == "en"
    assert page.value("document.querySelector('#verdict').closest('[role=status]') !== null")
    assert page.complaints == []
    exporter.finish()


# The smallest contrast of a text with what is painted behind it (WCAG 2).
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => { for (; node; node = node.parentElement) {
    const color = rgb(getComputedStyle(node).backgroundColor); if (color[3] === 255) return color; } return [255, 255, 255]; };
  let worst = {ratio: 99};
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || ['SCRIPT', 'NOSCRIPT'].includes(node.tagName) || !node.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst.ratio) worst = {ratio, text: node.textContent.slice(0, 60), class: node.className};
  }
  return worst;
})()
"""


def test_hostile_texts_are_only_texts(started, tmp_path, browser):
    sim = started(Sim, "--devices", "30")
    sinks = [database(tmp_path), influxdb(refusing(started, HOSTILE), "lake")]
    exporter, port = start(started, tmp_path, sinks, [source(sim.url, "attic")])
    wait_for(lambda: port.ask("/readyz")[0] == 503, what="the sink is held")
    page = browser.open(port.words)
    page.shows("<img src=x onerror=alert(1)>")  # as it is, and as text
    # The same in every text that the exporter could ever say, and names that are no names.
    status = port.status()

    def poison(value):
        if isinstance(value, dict):
            return {key: poison(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    poisoned = poison(status)
    poisoned["sinks"][0]["name"] = "__proto__"
    poisoned["sources"][0]["state"] = "constructor"
    poisoned["sinks"][0]["dropped_by_reason"] = {HOSTILE: 3}
    poisoned["sinks"][0]["dropped"] = 3
    poisoned["sinks"][0]["delivered_each_step"] = [HOSTILE, -1, None, 7]
    poisoned["late"] = [{"thread": HOSTILE, "seconds": 3}]
    page.value(f"status = {json.dumps(poisoned)}; show()")
    text = page.text()
    assert text.count(HOSTILE) >= 8, text
    assert page.value("document.querySelectorAll('img, script').length") == 1  # the page's own
    assert HOSTILE in page.value("document.title")
    assert page.complaints == []
    exporter.finish()


def test_the_end_of_the_exporter_is_seen(started, tmp_path, browser):
    sim = started(Sim, "--devices", "30")
    exporter, port = start(started, tmp_path, [database(tmp_path)], [source(sim.url, "attic")])
    page = browser.open(port.words)
    page.shows("All is well")
    assert not page.value("document.querySelector('#silent').checkVisibility()")
    exporter.finish()
    page.shows("No answer from kismet-export", "asked again each 5 s")
    assert "no answer" in page.value("document.title")


def test_a_token_is_asked_for(started, tmp_path, browser):
    sim = started(Sim, "--devices", "30")
    (tmp_path / "token").write_text(SECRET + "\n")
    (tmp_path / "token").chmod(0o600)
    exporter, port = start(started, tmp_path, [database(tmp_path)], [source(sim.url, "attic")],
                           stats={"token_file": str(tmp_path / "token")})
    page = browser.open(port.words)
    page.shows("A token is wanted")
    assert page.value("document.activeElement.id") == "token"

    def give(text):
        page.value(f"document.querySelector('#token').value = {json.dumps(text)}; "
                   "document.querySelector('#ask button').click()")

    give("wrong" + SECRET)
    page.shows("That token is not the one")
    give(SECRET)
    page.shows("All is well", "attic")
    assert not page.value("document.querySelector('#ask').checkVisibility()")
    assert [text for text in page.complaints if "401" not in text] == []
    # It is nowhere to be read afterwards.
    assert SECRET not in page.value("document.documentElement.outerHTML + location + document.cookie "
                                    "+ JSON.stringify({...localStorage, ...sessionStorage})")
    assert not any(SECRET in url for url in page.requested)
    exporter.finish()
