"""The documents are true: options, examples, queries, links. What they show is run here."""

import json
import os
import re
import sqlite3
import subprocess
import sys

import pytest

from harness import BUILD, CAPTURES, ROOT, SLOW, Exporter

pytestmark = pytest.mark.release

EXPORTER = BUILD / "kismet-export"
README = ROOT / "README.md"
SCRIPT = ROOT / "docs" / "coming-from-the-script.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
CAPTURE = CAPTURES / "neighbourhood-fields.ndjson.zst"
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def ask(*arguments, program=EXPORTER, env=None):
    """Status, standard output and standard error of a short run without KISMET_* around it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KISMET_")}
    run = subprocess.run(
        [str(program), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30 * SLOW,
        env={**environment, **(env or {})},
    )
    return run.returncode, run.stdout, run.stderr


def help_text(program=EXPORTER):
    status, text, _ = ask("--help", program=program)
    assert status == 0
    return text


def blocks(path, language=None, after=""):
    """The fenced blocks of a language (None: of every one), those behind a marker line."""
    text = path.read_text().partition(after)[2] if after else path.read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [body for word, body in found if language is None or word == language]


def slug(heading):
    """The anchor that a heading gets."""
    plain = re.sub(r"[`*_]|\]\([^)]*\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def prose(path):
    """The text without its fenced blocks: a # in them is a comment, not a heading."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


# --- options ---


def documented_options():
    """The table of docs/options.md, below its heading and words."""
    text = (ROOT / "docs" / "options.md").read_text()
    return text[text.index("| file |") :]


def test_option_table_is_what_the_program_prints():
    status, table, _ = ask("--help-options")
    assert status == 0
    assert documented_options() == table, "put what kismet-export --help-options prints there"


def test_every_flag_of_help_is_in_the_table():
    shown = set(re.findall(r"^ +(?:-\w, +)?(--[a-z-]+)", help_text(), re.MULTILINE))
    assert len(shown) > 20
    missing = shown - set(FLAG.findall(documented_options())) - {"--help", "--version"}
    assert not missing


def test_flags_that_commands_in_the_documents_use_exist():
    known = {
        "kismet-export": set(FLAG.findall(help_text())) | {"--help-options"},
        "kismet-sim": set(FLAG.findall(help_text(BUILD / "kismet-sim"))),
    }
    seen = 0
    for path in DOCUMENTS:
        for block in blocks(path):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.search(r"(?:^|[ /])(kismet-export|kismet-sim) (?=.*--)([^|#]*)", line)
                if command and not line.startswith("cmake"):
                    seen += 1
                    unknown = set(FLAG.findall(command[2])) - known[command[1]]
                    assert not unknown, f"{path.name}: {line}"
    assert seen >= 5


def script_flags():
    return re.findall(r"^\| `(--[a-z-]+)` \|", SCRIPT.read_text(), re.MULTILINE)


def test_every_flag_of_the_script_is_there_and_spoken_of():
    of_the_script = """--kismet-host --kismet-port --update-rate --export-type --postgres-conn
        --influx-url --influx-token --influx-org --influx-bucket --mqtt-host --mqtt-port
        --mqtt-topic-prefix --mqtt-username --mqtt-password --server-host --server-port
        --data-format""".split()
    assert sorted(script_flags()) == sorted(of_the_script)
    assert set(of_the_script) <= set(FLAG.findall(help_text()))


def test_exit_codes_are_those_of_help():
    codes = re.search(r"Exit codes: ([^.]*)\.", help_text().replace("\n", " "))[1]
    section = README.read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    in_table = re.findall(r"^\| (\d+) \|", section, re.MULTILINE)
    assert sorted(re.findall(r"\d+", codes)) == sorted(in_table)


# --- examples ---


@pytest.mark.parametrize("example", blocks(README, "yaml"), ids=("two-sources", "short"))
def test_yaml_examples_pass_check(tmp_path, example):
    folder = f"{tmp_path}/"
    for name in re.findall(r"/etc/kismet-export/(\S+)", example):
        (tmp_path / name).write_text("0123456789ABCDEF0123456789ABCDEF\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "example.yaml"
    path.write_text(example.replace("/etc/kismet-export/", folder))
    secret = {name: "0123456789" for name in re.findall(r"\$\{(\w+)\}", example)}
    status, text, error = ask("--config", path, "check", env=secret)
    assert status == 0, error
    assert "NO CREDENTIAL" not in text
    assert "warning" not in error


def test_shown_output_of_check_is_real(tmp_path):
    """The block behind the first example, but for the name of the file."""
    shown = next(b for b in blocks(README) if b.startswith("configuration: "))
    example = blocks(README, "yaml")[0]
    for name in ("attic.key", "garden.key", "ca.pem"):
        (tmp_path / name).write_text("0123456789ABCDEF\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "config.yaml"
    path.write_text(example.replace("/etc/kismet-export", str(tmp_path)))
    state = {"STATE_DIRECTORY": "/var/lib/kismet-export"}
    status, text, error = ask("--config", path, "check", env=state)
    assert status == 0, error
    assert text.replace(str(tmp_path), "/etc/kismet-export") == shown


def test_consumer_of_the_readme_reads_a_replay(started, tmp_path):
    consumer = tmp_path / "near.py"
    consumer.write_text(blocks(README, "python", after="<!-- consumer -->")[0])
    assert len(consumer.read_text().strip().splitlines()) <= 10
    lines = tmp_path / "lines"
    flags = ["--export-type", "console", "--data-format", "json", "--sensor", "docs"]
    with open(lines, "wb") as out:
        exporter = started(Exporter, "replay", CAPTURE, "--speed", "max", *flags, stdout=out)
    assert exporter.finish(sig=None)["console"]["dropped"] == 0
    with open(lines, "rb") as source:
        run = subprocess.run(
            [sys.executable, consumer], stdin=source, capture_output=True, text=True, timeout=30
        )
    assert run.returncode == 0, run.stderr
    printed = run.stdout.splitlines()

    items = [json.loads(line) for line in lines.read_text().splitlines()]
    events = [i for i in items if "event_type" in i]
    near = {i["mac_addr"] for i in items if i.get("signal_dbm") and i["signal_dbm"] > -40}
    assert len(printed) == len(events) + len(near)
    assert events and near

    shown = blocks(README, after="<!-- consumer output -->")[0].splitlines()
    rest = iter(printed)
    for line in shown:  # in this order
        assert line in rest, f"not printed: {line}"
    count = re.search(r"\(Four of (\d+) lines\.\)", README.read_text())
    assert int(count[1]) == len(printed) and len(shown) == 4


def json_line(*flags):
    status, text, error = ask("replay", CAPTURE, "--speed", "max", "--data-format", "json", *flags)
    assert status == 0, error
    return json.loads(next(s for s in text.splitlines() if s.startswith('{"timestamp"')))


@pytest.mark.parametrize("at, flags", [(0, []), (1, ["--compat", "script"])])
def test_json_of_the_script_document_is_real(at, flags):
    shown = json.loads(blocks(SCRIPT, "json")[at])
    printed = json_line("--sensor", "vm", *flags)
    assert list(shown) == list(printed)
    shown_time, printed_time = shown.pop("timestamp"), printed.pop("timestamp")
    assert re.sub(r"\d", "0", shown_time) == re.sub(r"\d", "0", printed_time)
    assert shown == printed


# --- queries ---


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("docs") / "kismet.db"
    flags = ["--export-type", "sqlite", "--sqlite-path", path, "--history"]
    status, _, error = ask("replay", CAPTURE, "--speed", "max", *flags)
    assert status == 0, error
    return path


def queries():
    for path in DOCUMENTS:
        for block in blocks(path, "sql"):
            for query in block.split(";\n"):
                if query.strip():
                    yield pytest.param(query, id=re.sub(r"\W+", "-", query)[:40].strip("-"))


@pytest.mark.parametrize("query", queries())
def test_queries_run(database, query):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        db.execute(query).fetchall()


def test_recent_devices_of_the_readme_are_those_heard_lately(database, tmp_path):
    query = next(q for q in blocks(README, "sql")[0].split(";\n") if "Who is here" in q)
    copy = tmp_path / "kismet.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    with sqlite3.connect(copy) as db:
        heard = "UPDATE kismet_devices SET last_updated = datetime('now', ?) || '.123456'"
        db.execute(heard, ("-6 minutes",))
        assert db.execute(query).fetchall() == []
        db.execute(heard + " WHERE mac_addr = '3C:5A:B4:00:00:36'", ("-4 minutes",))
        assert [row[0] for row in db.execute(query)] == ["3C:5A:B4:00:00:36"]


# --- links ---


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", prose(file), re.MULTILINE)
            assert anchor in map(slug, headings), f"{path.name}: {target}"
