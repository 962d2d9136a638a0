"""deploy/prometheus: the rules are right, each is tested, and what they ask for exists."""

import re
import shutil
import subprocess

import pytest

from campaign import launch, source
from harness import ROOT, Sim, wait_for
from ports import Port
from test_docs import prose, slug

pytestmark = pytest.mark.release

DIRECTORY = ROOT / "deploy" / "prometheus"
RULES = DIRECTORY / "kismet-export.rules.yml"
TESTS = DIRECTORY / "kismet-export.test.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
COUNTERS = ROOT / "src" / "stats" / "counters.def"
SELECTOR = re.compile(r"\b(kismet_export_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


def alerts():
    """{name: text of its rule}"""
    parts = re.split(r"^      - alert: (\w+)\n", RULES.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def expression(text):
    return text[text.index("expr:") : text.index("\n        for:")]


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: install prometheus")
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", RULES.name), ("test", "rules", TESTS.name), ("check", "config", "prometheus.yml")],
    ids=lambda a: "-".join(a[:2]),
)
def test_promtool_agrees(arguments):
    run = subprocess.run(["promtool", *arguments], cwd=DIRECTORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_each_alert_says_what_it_must():
    headings = {slug(h) for h in re.findall(r"^#+ (.*)$", prose(RUNBOOK), re.MULTILINE)}
    assert len(alerts()) >= 13
    for name, text in alerts().items():
        assert re.search(r"^        for: \d+m$", text, re.MULTILINE), name
        severity = re.search(r"severity: (\w+)", text)[1]
        assert severity in ("page", "ticket"), name
        assert all(f"          {word}: " in text for word in ("summary", "description")), name
        link = re.search(r"runbook_url: docs/runbook\.md#(\S+)", text)[1]
        assert link == slug(name) and link in headings, name
        # It stands in the runbook under its severity.
        before = RUNBOOK.read_text().partition(f"### {name}\n")[0]
        assert re.findall(r"^## (\w+)$", before, re.MULTILINE)[-1].lower() == severity, name
    assert {h for h in headings if h.startswith("kismetexport")} == {slug(n) for n in alerts()}


def test_each_alert_is_tested_both_ways():
    """One moment at which it is raised and one at which it is not."""
    rows = re.split(r"^      - (?=\{?alertname)", TESTS.read_text(), flags=re.MULTILINE)[1:]
    raised = {re.search(r"alertname: (\w+)", row)[1] for row in rows if "exp_alerts" in row}
    quiet = {re.search(r"alertname: (\w+)", row)[1] for row in rows if row.startswith("{")}
    assert raised == set(alerts())
    assert quiet | {"KismetExportRecordsDropped"} == set(alerts())


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: install prometheus")
def test_a_rule_that_sleeps_fails_its_test(tmp_path):
    """Each alert, made one that never comes: its unit test is red then."""
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    for name, text in alerts().items():
        broken = RULES.read_text().replace(expression(text), "expr: vector(0) > 1")
        (tmp_path / RULES.name).write_text(broken)
        run = subprocess.run(
            ["promtool", "test", "rules", TESTS.name], cwd=tmp_path, capture_output=True, text=True
        )
        assert run.returncode != 0, name


def test_every_metric_of_the_rules_is_declared():
    declared = set(re.findall(r'KX_(?:COUNTER|GAUGE)\(\w+, \w+, "(\w+)"', COUNTERS.read_text()))
    asked = {n for text in alerts().values() for n, _ in SELECTOR.findall(expression(text))}
    assert len(asked) >= 10
    assert {name.removeprefix("kismet_export_") for name in asked} <= declared
    assert not any("devices" in name for name in asked)  # liveness is no number of devices


def test_every_selector_finds_something(started, tmp_path):
    """A word of a label that is written wrongly would make an alert that never comes."""
    sim = started(Sim, "--devices", "20")
    exporter = launch(started, tmp_path, [source(sim.url)], stats={"listen": "127.0.0.1:0"})
    port = Port(exporter)
    exporter.streaming()

    def missing():
        series = [(name, dict(labels)) for name, labels in port.metrics()]
        lost = []
        for text in alerts().values():
            for name, matchers in SELECTOR.findall(expression(text)):
                for label, kind, value in MATCHER.findall(matchers) or [("", "", "")]:
                    for word in value.split("|") if kind == "=~" else [value]:
                        if not any(n == name and l.get(label, "") == word for n, l in series):
                            lost.append((name, label, word))
        return lost

    # Skew and datasources are known after the first look at Kismet's health.
    wait_for(lambda: not missing() or not exporter.running(), 40, "every selector's series")
    assert missing() == []
    exporter.finish()


def test_the_document_shows_the_scrape_configuration():
    shown = (ROOT / "docs" / "metrics.md").read_text()
    job = re.search(r"job_name: (\S+)", (DIRECTORY / "prometheus.yml").read_text())[1]
    assert f"job_name: {job}" in shown and f'job="{job}"' in RULES.read_text()
